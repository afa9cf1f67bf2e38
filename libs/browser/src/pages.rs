//! What the pages of a session do, and orders to them: by `BiDi` where the session has it, else by looking again and again.
//!
//! [`Pages`] is the seam. Both sides keep [`Events`] up to date, and both take the few `BiDi` commands that steps need; what
//! a session without `BiDi` cannot do is [`DriverError::Unsupported`].

use std::{sync::MutexGuard, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    bidi::{Bidi, Events},
    classic::Classic,
    error::DriverError,
};

/// The pages of one session.
#[derive(Debug)]
pub(crate) enum Pages {
    /// They tell what they do.
    Bidi(Bidi),
    /// They have to be looked at.
    Classic(Box<Classic>),
}

impl Pages {
    /// Tells whether the session has `BiDi`.
    pub(crate) fn has_bidi(&self) -> bool {
        matches!(self, Self::Bidi(_))
    }

    /// Looks at what has happened so far.
    pub(crate) fn events(&self) -> MutexGuard<'_, Events> {
        match self {
            Self::Bidi(bidi) => bidi.events(),
            Self::Classic(classic) => classic.events(),
        }
    }

    /// Waits until `look` returns something or the deadline passes; `None` also when the connection closes.
    pub(crate) async fn wait_for<T>(
        &self,
        deadline: Instant,
        look: impl FnMut(&Events) -> Option<T>,
    ) -> Option<T> {
        match self {
            Self::Bidi(bidi) => bidi.wait_for(deadline, look).await,
            Self::Classic(classic) => classic.wait_for(deadline, look).await,
        }
    }

    /// Sends a `BiDi` command, or does as it says, and waits for its end.
    pub(crate) async fn command(
        &self,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        match self {
            Self::Bidi(bidi) => bidi.command(method, params, limit).await,
            Self::Classic(classic) => classic.command(method, &params, limit).await,
        }
    }

    /// Gives a dialog that is in the way its answer; with `BiDi` it has got it already, or is about to.
    pub(crate) async fn answer_dialog(&self, limit: Duration) -> Result<(), DriverError> {
        match self {
            Self::Bidi(_) => Ok(()),
            Self::Classic(classic) => classic.answer_dialog(limit).await,
        }
    }
}

//! What the pages of a session do, and orders to them: by `DevTools` where they can be reached, by `BiDi` where the session has it,
//! else by looking again and again.
//!
//! [`Pages`] is the seam. All sides keep [`Events`] up to date, and all take the few `BiDi` commands that steps need; what
//! one of them cannot do is [`DriverError::Unsupported`].

use std::{
    ops::{Deref, DerefMut},
    sync::MutexGuard,
    time::Duration,
};

use fantoccini::error::ErrorStatus;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    bidi::{Bidi, Events},
    classic::Classic,
    devtools::{DevTools, Known},
    driver::{Place, Turns},
    error::DriverError,
    locate::ELEMENT,
};

/// A promise of the next task. Of a message, as tests replace a page's clock and hidden pages have slow ones.
const NEXT_TASK: &str = "new Promise((done) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => done();
  port2.postMessage(null);
})";

/// The pages of one session.
#[derive(Debug)]
pub(crate) enum Pages {
    /// They tell what they do, in a Chromium of this machine.
    DevTools(Box<DevTools>),
    /// They tell what they do, in any browser that has `BiDi`.
    Bidi(Bidi),
    /// They have to be looked at.
    Classic(Box<Classic>),
}

/// The events of a session, while nobody else can look.
pub(crate) enum Told<'p> {
    ByDevTools(MutexGuard<'p, Known>),
    Alone(MutexGuard<'p, Events>),
}

impl Deref for Told<'_> {
    type Target = Events;

    fn deref(&self) -> &Events {
        match self {
            Self::ByDevTools(known) => &known.events,
            Self::Alone(events) => events,
        }
    }
}

impl DerefMut for Told<'_> {
    fn deref_mut(&mut self) -> &mut Events {
        match self {
            Self::ByDevTools(known) => &mut known.events,
            Self::Alone(events) => events,
        }
    }
}

/// How the driver gets to a frame that is counted as the driver counts.
pub(crate) fn counted(path: &[u16]) -> Turns {
    path.iter().map(|index| json!(index)).collect()
}

pub(crate) fn no_such_frame() -> DriverError {
    DriverError::Remote {
        command: "a look at the page",
        status: Some(ErrorStatus::NoSuchFrame.description()),
        message: "there is no such frame".to_owned(),
    }
}

impl Pages {
    /// Tells whether each test can have a user context of its own.
    pub(crate) fn has_user_contexts(&self) -> bool {
        !matches!(self, Self::Classic(_))
    }

    /// Returns the `DevTools`, if they are reached beside the driver.
    pub(crate) fn devtools(&self) -> Option<&DevTools> {
        match self {
            Self::DevTools(devtools) => Some(devtools),
            Self::Bidi(_) | Self::Classic(_) => None,
        }
    }

    /// Looks at what has happened so far.
    pub(crate) fn events(&self) -> Told<'_> {
        match self {
            Self::DevTools(devtools) => Told::ByDevTools(devtools.known()),
            Self::Bidi(bidi) => Told::Alone(bidi.events()),
            Self::Classic(classic) => Told::Alone(classic.events()),
        }
    }

    /// Waits until `look` returns something or the deadline passes; `None` also when the connection closes.
    pub(crate) async fn wait_for<T>(
        &self,
        deadline: Instant,
        look: impl FnMut(&Events) -> Option<T>,
    ) -> Option<T> {
        match self {
            Self::DevTools(devtools) => devtools.wait_for(deadline, look).await,
            Self::Bidi(bidi) => bidi.wait_for(deadline, look).await,
            Self::Classic(classic) => classic.wait_for(deadline, look).await,
        }
    }

    /// Returns how the driver gets to a frame; a browser that only can be looked at counts as the driver does.
    ///
    /// # Errors
    /// [`DriverError`]; there may be no such frame.
    pub(crate) async fn turns(
        &self,
        Place { page, path }: &Place,
        limit: Duration,
    ) -> Result<Turns, DriverError> {
        if let Self::Classic(_) = self {
            return Ok(counted(path));
        }
        let (mut parent, mut turns) = (page.clone(), Turns::new());
        for index in path {
            let child = self.events().frame_at(&parent, &[*index]).ok_or_else(no_such_frame)?;
            turns.push(match self {
                Self::DevTools(devtools) => devtools.owner_of((&parent, &child), limit).await?,
                _ => {
                    let order = json!({
                        "context": parent,
                        "locator": { "type": "context", "value": { "context": child } },
                    });
                    let found = self.command("browsingContext.locateNodes", order, limit).await?;
                    json!({ ELEMENT: found["nodes"][0]["sharedId"] })
                }
            });
            parent = child;
        }
        Ok(turns)
    }

    /// Waits a moment for the browser's own page about a failure after `mark`: until it is there, no picture can be taken.
    pub(crate) async fn await_error_page(&self, page: &str, mark: u64, deadline: Instant) {
        let Self::DevTools(devtools) = self else { return };
        if self.events().failed_since(page, mark, false) {
            devtools.await_error_page(page, mark, deadline).await;
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
            Self::DevTools(devtools) => devtools.command(method, params, limit).await,
            Self::Bidi(bidi) => bidi.command(method, params, limit).await,
            Self::Classic(classic) => classic.command(method, &params, limit).await,
        }
    }

    /// Hears what a document has to tell, and says whether it may begin a navigation that it was asked for after `mark`.
    pub(crate) async fn may_begin(&self, frame: &str, mark: u64, limit: Duration) -> bool {
        let Self::DevTools(devtools) = self else { return true };
        let nothing = json!({ "expression": "0" });
        let _ = devtools.page(frame, "Runtime.evaluate", nothing, limit).await;
        self.events().requested > mark
    }

    /// Waits for a task of a document that comes after those that are due; what they begin is told by then. One that is only
    /// looked at is looked at anyway before it is known to have settled.
    pub(crate) async fn next_task(&self, frame: &str, limit: Duration) {
        match self {
            Self::DevTools(devtools) => {
                let Some(document) = devtools.document_of(frame) else { return };
                let script = format!("return {NEXT_TASK}");
                let _ = devtools.call((frame, &document), &script, json!([]), limit).await;
            }
            Self::Bidi(bidi) => {
                let order = json!({
                    "expression": NEXT_TASK, "target": { "context": frame }, "awaitPromise": true,
                });
                let _ = bidi.command("script.evaluate", order, limit).await;
            }
            Self::Classic(_) => {}
        }
    }

    /// Gives a dialog that is in the way its answer; where pages tell, it has got it already, or is about to.
    pub(crate) async fn answer_dialog(&self, limit: Duration) -> Result<(), DriverError> {
        match self {
            Self::DevTools(_) | Self::Bidi(_) => Ok(()),
            Self::Classic(classic) => classic.answer_dialog(limit).await,
        }
    }
}

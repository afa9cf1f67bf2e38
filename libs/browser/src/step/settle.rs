//! Between two steps: what the one before has begun is waited for before anybody looks.
//!
//! The browser answers input before it tells of the navigation that the input began: a form is sent, and a timer's page left, only
//! by the document's next task. So its next task is waited for; what was begun before is told before that has ended.

use gauntlet_core::flow::{Step, StepKind, Target};
use tokio::time::Instant;

use crate::{
    bidi::Events,
    session::{Session, limit},
};

impl Session<'_> {
    /// Waits, as far as there is time, for a page or chosen frame that is on its way to another document; a slow one fails
    /// nothing here.
    pub(crate) async fn settle(&mut self, step: &Step, deadline: Instant) {
        let (page, path) = match (&step.target, &self.current) {
            (Target::Current, Some((page, path))) => (page.clone(), path.as_slice()),
            _ => (self.main.clone(), [].as_slice()),
        };
        let frame = self.pages.events().frame_at(&page, path);
        let leaves = |events: &Events| {
            events.is_leaving(&page) || frame.as_ref().is_some_and(|frame| events.is_leaving(frame))
        };
        if std::mem::take(&mut self.acted) {
            self.hear_out(&leaves, deadline).await;
        }
        // A page that shows a dialog does not get on by itself.
        let settled = |events: &Events| (events.held || !leaves(events)).then_some(());
        let _ = self.pages.wait_for(deadline, settled).await;
    }

    /// Waits until the document that was acted on has told what it began.
    async fn hear_out(&self, leaves: &impl Fn(&Events) -> bool, deadline: Instant) {
        let Some(frame) = self.frame() else { return };
        // One that leaves may answer only when the other document is there.
        let told = |events: &Events| (events.held || leaves(events)).then_some(());
        tokio::select! {
            biased;
            () = self.pages.next_task(&frame, limit(deadline)) => {}
            _ = self.pages.wait_for(deadline, told) => {}
        }
    }
}

/// Tells whether a step does nothing to the page that could lead on to another one.
pub(super) fn only_looks(kind: &StepKind) -> bool {
    matches!(
        kind,
        StepKind::Check(_)
            | StepKind::Store { .. }
            | StepKind::WaitForElement(_)
            | StepKind::WaitForExpression { .. }
            | StepKind::SelectFrame(_)
            | StepKind::SelectWindow { .. }
            | StepKind::SetViewport(_)
            | StepKind::ResizeWindow { .. }
            | StepKind::EmulateNetworkConditions { .. }
            | StepKind::Close
            | StepKind::Pause { .. }
            | StepKind::Echo { .. }
            | StepKind::Custom { .. }
            | StepKind::Control(_)
    )
}

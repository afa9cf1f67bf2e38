//! Between two steps: what the one before has begun is waited for before anybody looks.
//!
//! The browser answers input before it tells of the navigation that the input began: a link's a moment later, a form's or that of
//! a timer that is due only with the document's next task. Measured: Chromium puts that off until the next frame, 15 ms. Only who
//! looks at once waits for it whether or not something was asked for; who acts or waits would not gain by it.

use gauntlet_core::flow::{Check, Step, StepKind, Target};
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
        let (acted, to_the_end) = (self.acted.take(), looks_at_once(&step.kind));
        loop {
            let heard = match acted {
                Some(mark) => self.hear_out(mark, to_the_end, &leaves, deadline).await,
                None => true,
            };
            // A page that shows a dialog does not get on by itself.
            let settled = |events: &Events| (events.held || !leaves(events)).then_some(());
            let in_time = self.pages.wait_for(deadline, settled).await.is_some();
            if heard || !in_time {
                return;
            }
        }
    }

    /// Waits until the document that was acted on after `mark` has told what it began; returns false if it leaves before that:
    /// another navigation may take the place of the first.
    async fn hear_out(
        &self,
        mark: u64,
        to_the_end: bool,
        leaves: &impl Fn(&Events) -> bool,
        deadline: Instant,
    ) -> bool {
        let Some(frame) = self.frame() else { return true };
        let hear = async {
            if to_the_end || self.pages.may_begin(&frame, mark, limit(deadline)).await {
                self.pages.next_task(&frame, limit(deadline)).await;
            }
        };
        // One that leaves may answer only when the other document is there.
        let told = |events: &Events| (events.held || leaves(events)).then_some(events.held);
        tokio::select! {
            biased;
            () = hear => true,
            held = self.pages.wait_for(deadline, told) => held.unwrap_or(true),
        }
    }
}

/// Tells whether what a step sees counts, however soon it looks.
fn looks_at_once(kind: &StepKind) -> bool {
    matches!(
        kind,
        StepKind::Check(Check { wait: false, .. })
            | StepKind::Store { .. }
            | StepKind::Script(_)
            | StepKind::SelectFrame(_)
            | StepKind::Control(_)
    )
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

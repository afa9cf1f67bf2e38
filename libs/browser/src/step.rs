//! Performs one step, with the reference runner's semantics.

use gauntlet_core::flow::{AssertedNavigation, FailureClass, Flow, Step, StepKind};
use tokio::time::Instant;

use crate::session::{Session, Stop};

mod fill;
mod page;
mod pointer;
mod wait;

/// What a step leaves behind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    /// Which selector alternative won.
    pub(crate) alternative: Option<usize>,
}

/// A step that the model knows and this browser does not perform.
pub(crate) fn not_performed_yet() -> Stop {
    Stop::failure(FailureClass::ImportError, "this step kind is not performed yet")
}

impl Session<'_> {
    /// Performs a step and the navigation it asserts.
    pub(crate) async fn perform(&mut self, flow: &Flow, step: &Step) -> Result<Done, Stop> {
        let deadline = Instant::now() + flow.timeout_of(step);
        self.settle(deadline).await;
        // What counts as started by this step is what starts after this moment.
        let mark = self.bidi.events().mark();
        let page = match &step.navigation {
            Some(_) => Some(self.target(step, deadline).await?.0),
            None => None,
        };
        let done = self.act(step, deadline).await?;
        if let (Some(page), Some(asserted)) = (page, &step.navigation)
            && !matches!(step.kind, StepKind::Navigate { .. })
        {
            self.await_navigation(step, &page, mark, asserted, deadline).await?;
        }
        match self.bidi.events().forbidden.take() {
            Some(dialog) => Err(Stop::failure(FailureClass::Assertion, "a dialog opened")
                .because("no dialog", dialog)),
            None => Ok(done),
        }
    }

    async fn act(&mut self, step: &Step, deadline: Instant) -> Result<Done, Stop> {
        match &step.kind {
            StepKind::Navigate { url } => self.navigate(step, url, deadline).await,
            StepKind::SetViewport(viewport) => self.set_viewport(step, *viewport, deadline).await,
            StepKind::Click(click) => self.click(step, click, 1, deadline).await,
            StepKind::DoubleClick(click) => self.click(step, click, 2, deadline).await,
            StepKind::Hover { selectors } => self.hover(step, selectors, deadline).await,
            StepKind::Change { selectors, value } => {
                self.change(step, selectors, value, deadline).await
            }
            StepKind::KeyDown { key } => self.key(key, true, deadline).await,
            StepKind::KeyUp { key } => self.key(key, false, deadline).await,
            StepKind::Scroll { selectors, x, y } => {
                let to = (x.unwrap_or(0.0), y.unwrap_or(0.0));
                self.scroll(step, selectors.as_ref(), to, deadline).await
            }
            StepKind::Close => self.close_page(step, deadline).await,
            StepKind::EmulateNetworkConditions { download, upload, latency_ms } => {
                self.throttle(*download, *upload, *latency_ms, deadline).await
            }
            StepKind::WaitForElement(wait) => self.wait_for_element(step, wait, deadline).await,
            StepKind::WaitForExpression { expression } => {
                self.wait_for_expression(step, expression, deadline).await
            }
            // The reference runner has no plug-in for it either.
            StepKind::Custom { .. } => Ok(Done::default()),
            StepKind::ResizeWindow { .. }
            | StepKind::Pointer(_)
            | StepKind::DragTo { .. }
            | StepKind::SetChecked { .. }
            | StepKind::SelectOption(_)
            | StepKind::Type(_)
            | StepKind::SetContent { .. }
            | StepKind::Submit { .. }
            | StepKind::Press { .. }
            | StepKind::SelectWindow { .. }
            | StepKind::SelectFrame(_)
            | StepKind::Check(_)
            | StepKind::Dialog { .. }
            | StepKind::Script(_)
            | StepKind::Store { .. }
            | StepKind::Pause { .. }
            | StepKind::Echo { .. }
            | StepKind::Control(_) => Err(not_performed_yet()),
        }
    }

    /// Waits, as far as there is time, for a page that is on its way to another document; a slow page fails nothing here.
    async fn settle(&self, deadline: Instant) {
        let _ = self
            .bidi
            .wait_for(deadline, |events| (!events.is_leaving(&self.main)).then_some(()))
            .await;
    }

    async fn await_navigation(
        &mut self,
        step: &Step,
        page: &str,
        mark: u64,
        asserted: &AssertedNavigation,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let frames = !step.frame.is_empty();
        let arrived = self.bidi.wait_for(deadline, |events| {
            (events.context(page).is_none() || events.navigated_since(page, mark, frames))
                .then_some(events.context(page).is_some())
        });
        match arrived.await {
            Some(true) => self.check_arrival(step, asserted, deadline).await,
            Some(false) if matches!(step.kind, StepKind::Close) => Ok(()),
            _ => {
                let started = self.bidi.events().started_since(page, mark);
                let found = if started { "one that did not finish loading" } else { "none" };
                let message = "the step's navigation did not happen in time";
                Err(Stop::failure(FailureClass::Navigation, message).because("a navigation", found))
            }
        }
    }

    /// In strict mode, compares where we are with where the recording was.
    async fn check_arrival(
        &mut self,
        step: &Step,
        asserted: &AssertedNavigation,
        deadline: Instant,
    ) -> Result<(), Stop> {
        if !self.options.strict_asserted_events {
            return Ok(());
        }
        self.enter(step, deadline).await?;
        let at = self
            .execute("return [location.href, document.title]", serde_json::json!([]), deadline)
            .await?;
        for (wanted, found) in [(&asserted.url, &at[0]), (&asserted.title, &at[1])] {
            let found = found.as_str().unwrap_or_default();
            if wanted.as_ref().is_some_and(|wanted| wanted != found) {
                let stop =
                    Stop::failure(FailureClass::Assertion, "the navigation ended somewhere else");
                return Err(stop.because(wanted.clone().unwrap_or_default(), found));
            }
        }
        Ok(())
    }
}

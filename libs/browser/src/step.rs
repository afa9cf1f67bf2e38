//! Performs one step, with the reference runner's semantics.

use gauntlet_core::flow::{AssertedNavigation, FailureClass, Quantity, Step, StepKind, Value};
use tokio::time::Instant;

use crate::session::{POLL, Session, Stop};

mod check;
mod dialog;
mod fill;
mod keys;
mod page;
mod pointer;
mod script;
mod select;
mod settle;
mod wait;
mod window;

/// Returns what is wanted and what is there instead: the URL, which may be relative, or the title.
const ARRIVED: &str = "const [url, title] = arguments;
const whole = (url) => { try { return new URL(url, location.href).href; } catch { return url; } };
if (url !== null && whole(url) !== location.href) return [whole(url), location.href];
return title !== null && title !== document.title ? [title, document.title] : [];";

/// What a step leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Which selector alternative won.
    pub(crate) alternative: Option<usize>,
    /// A variable and its new value.
    pub(crate) stored: Option<(String, Value)>,
    /// What the test says.
    pub(crate) note: Option<String>,
}

impl Done {
    fn by(alternative: usize) -> Self {
        Self::maybe_by(Some(alternative))
    }

    fn maybe_by(alternative: Option<usize>) -> Self {
        Self { alternative, ..Self::default() }
    }
}

impl Session<'_> {
    /// Performs a step whose variables are resolved, and waits for the navigation it asserts and the window it opens.
    pub(crate) async fn perform(&mut self, step: &Step, deadline: Instant) -> Result<Done, Stop> {
        self.settle(step, deadline).await;
        // What counts as started by this step is what starts after this moment.
        let mark = self.pages.events().mark();
        self.acted = (!settle::only_looks(&step.kind)).then_some(mark);
        let page = match &step.navigation {
            Some(_) => Some(self.target(step, deadline).await?),
            None => None,
        };
        let mut done = self.act(step, deadline).await?;
        if let (Some((page, path)), Some(asserted)) = (page, &step.navigation) {
            // Loading a URL has waited for it already.
            if matches!(step.kind, StepKind::Navigate { .. }) {
                self.check_arrival(step, asserted, deadline).await?;
            } else {
                let frames = !path.is_empty();
                self.await_navigation(step, &page, frames, mark, asserted, deadline).await?;
            }
        }
        if let Some(opens) = &step.opens_window {
            done = self.opened(opens, mark, done).await?;
        }
        match self.pages.events().forbidden.take() {
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
            StepKind::Pointer(pointer) => self.pointer(step, pointer, deadline).await,
            StepKind::DragTo { selectors, onto } => {
                self.drag(step, (selectors, onto), deadline).await
            }
            StepKind::Change { selectors, value } => {
                self.change(step, selectors, value, deadline).await
            }
            StepKind::SetChecked { selectors, checked } => {
                self.set_checked(step, selectors, *checked, deadline).await
            }
            StepKind::SelectOption(select) => self.select(step, select, deadline).await,
            StepKind::Type(typing) => self.type_keys(step, typing, deadline).await,
            StepKind::SetContent { selectors, text } => {
                self.set_content(step, selectors, text, deadline).await
            }
            StepKind::Submit { selectors } => self.submit(step, selectors, deadline).await,
            StepKind::KeyDown { key } => self.key(key, true, deadline).await,
            StepKind::KeyUp { key } => self.key(key, false, deadline).await,
            StepKind::Press { selectors, key, modifiers } => {
                self.press(step, selectors.as_ref(), (key, modifiers), deadline).await
            }
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
            StepKind::ResizeWindow { width, height } => {
                let pixels = |quantity: &Quantity| quantity.number().unwrap_or_default();
                self.resize_window(step, (pixels(width), pixels(height)), deadline).await
            }
            StepKind::SelectWindow { handle } => self.select_window(handle, deadline).await,
            StepKind::SelectFrame(choice) => self.select_frame(step, choice, deadline).await,
            StepKind::Check(check) => self.check(step, check, deadline).await,
            StepKind::Dialog { action, time } => self.dialog((action, *time), deadline).await,
            StepKind::Script(script) => self.script(step, script, deadline).await,
            StepKind::Store { variable, source } => {
                self.store(step, variable, source, deadline).await
            }
            StepKind::Pause { milliseconds } => {
                // Bounded by the test's own limit.
                tokio::time::sleep(milliseconds.milliseconds().unwrap_or_default()).await;
                Ok(Done::default())
            }
            StepKind::Echo { text } => Ok(Done { note: Some(text.clone()), ..Done::default() }),
            // The reference runner has no plug-in for the one either, and the other is the run's to follow.
            StepKind::Custom { .. } | StepKind::Control(_) => Ok(Done::default()),
        }
    }

    async fn await_navigation(
        &mut self,
        step: &Step,
        page: &str,
        frames: bool,
        mark: u64,
        asserted: &AssertedNavigation,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let arrived = self.pages.wait_for(deadline, |events| {
            let over = events.context(page).is_none()
                || events.failed_since(page, mark, frames)
                || events.navigated_since(page, mark, frames);
            over.then(|| events.context(page).is_some())
        });
        let arrived = arrived.await;
        if self.pages.events().failed_since(page, mark, frames) {
            self.pages.await_error_page(page, mark, deadline).await;
            let stop = Stop::failure(FailureClass::Navigation, "the step's navigation failed");
            return Err(stop.because("a navigation", "an error page of the browser"));
        }
        match arrived {
            Some(true) => self.check_arrival(step, asserted, deadline).await,
            _ => {
                let started = self.pages.events().started_since(page, mark);
                let found = if started { "one that did not finish loading" } else { "none" };
                let message = "the step's navigation did not happen in time";
                Err(Stop::failure(FailureClass::Navigation, message).because("a navigation", found))
            }
        }
    }

    /// Compares where the page is with where it was to go; looks again until that holds, as pages lead on to others by
    /// themselves. What a recorder saw is compared only in strict mode.
    async fn check_arrival(
        &mut self,
        step: &Step,
        asserted: &AssertedNavigation,
        deadline: Instant,
    ) -> Result<(), Stop> {
        if asserted.recorded && !self.options.strict_asserted_events {
            return Ok(());
        }
        loop {
            self.enter(step, deadline).await?;
            let wanted = serde_json::json!([asserted.url, asserted.title]);
            let differing = self.examine(ARRIVED, wanted, deadline).await?;
            let (Some(wanted), Some(found)) = (differing[0].as_str(), differing[1].as_str()) else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                let message = "the navigation ended somewhere else";
                return Err(Stop::failure(FailureClass::Assertion, message).because(wanted, found));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

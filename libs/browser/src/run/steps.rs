//! Goes through a flow's steps: follows its branches and loops, keeps its variables, and decides what a failure means.

use gauntlet_core::flow::{
    AfterFailure, Control as Marker, Cursor, FailureClass, Flow, Next, Step, StepKind,
};
use tokio::time::Instant;

use super::progress::Progress;
use crate::{
    Control,
    capture::PICTURE_LIMIT,
    session::{Session, Stop},
    step::Done,
    value::truthy,
};

impl Session<'_> {
    /// Performs the steps, in the order that branches and loops make of them, until one stops the test.
    pub(super) async fn steps(
        &mut self,
        flow: &Flow,
        control: &Control,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let result = self.follow(flow, control, progress).await;
        progress.scope = self.scope.clone();
        result
    }

    async fn follow(
        &mut self,
        flow: &Flow,
        control: &Control,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let mut cursor = Cursor::new(&flow.steps).map_err(|error| {
            progress.start(error.step());
            Stop::failure(FailureClass::ImportError, error.to_string())
        })?;
        loop {
            let next = cursor.next(&mut self.scope).map_err(|failure| {
                progress.start(cursor.at());
                Stop::failure(failure.class(), failure.to_string())
            })?;
            match next {
                Next::End => return Ok(()),
                Next::Decide(index) => {
                    control.begin_step(index);
                    progress.start(index);
                    let holds = self.decide(flow, &flow.steps[index]).await?;
                    progress.pass(&flow.steps[index], &Done::default(), &self.scope);
                    cursor.decide(holds);
                }
                Next::Perform(index) => {
                    control.begin_step(index);
                    let pause = flow.steps[index].recorded_pause.mul_f64(self.options.pace);
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    progress.start(index);
                    self.one(flow, &flow.steps[index], progress).await?;
                    if !matches!(flow.steps[index].kind, StepKind::SetViewport(_)) {
                        self.busy = None;
                    }
                    // A picture would show what was just put into the page.
                    if !flow.steps[index].sensitive {
                        progress.picture(self.picture_of_step(progress.pictures).await);
                    }
                    if !flow.delay.is_zero() {
                        tokio::time::sleep(flow.delay).await;
                    }
                }
            }
        }
    }

    /// Performs one step, and forgives or notes its failure if it may.
    async fn one(&mut self, flow: &Flow, step: &Step, progress: &mut Progress) -> Result<(), Stop> {
        let resolved = self.scope.resolve(step).map_err(|error| {
            Stop::failure(FailureClass::Assertion, "a number of the step is none")
                .because("a number", error.text)
        })?;
        let deadline = Instant::now() + flow.timeout_of(&resolved);
        self.reach.step(self.proxy);
        let performed = self.perform(&resolved, deadline).await;
        match performed.map_err(|stop| self.reach.explain(self.proxy, &resolved, stop)) {
            Ok(done) => {
                progress.pass(&resolved, &done, &self.scope);
                if let Some((variable, value)) = done.stored {
                    self.scope.set(&variable, value, step.sensitive);
                }
                Ok(())
            }
            Err(stop) => {
                let after = match &stop {
                    Stop::Failure(problem) => step.after_failure(problem.class),
                    Stop::Driver(_) => AfterFailure::Stop,
                };
                if after == AfterFailure::Stop {
                    return Err(stop);
                }
                let failure = progress.describe(&resolved, stop, &self.scope);
                match after {
                    AfterFailure::Forgive => progress.forgive(&resolved, failure),
                    AfterFailure::FailLater | AfterFailure::Stop => {
                        progress.fail_later(&resolved, failure);
                        if self.options.screenshot_on_failure
                            && progress.screenshot.is_none()
                            && !self.holds()
                        {
                            progress.screenshot = self.screenshot(PICTURE_LIMIT).await;
                            progress.page_source = self.page_source().await;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Evaluates a marker's condition in the page.
    async fn decide(&mut self, flow: &Flow, step: &Step) -> Result<bool, Stop> {
        let StepKind::Control(
            Marker::If { condition }
            | Marker::ElseIf { condition }
            | Marker::While { condition, .. }
            | Marker::RepeatIf { condition, .. },
        ) = &step.kind
        else {
            return Ok(false);
        };
        let deadline = Instant::now() + flow.timeout_of(step);
        self.settle(step, deadline).await;
        Ok(truthy(&self.evaluate(step, condition, deadline).await?))
    }
}

//! Says whom a page did not reach when that may be why a step failed: browsers do not know it, our proxy does.

use gauntlet_core::flow::{FailureClass, Step, StepKind};

use crate::{
    egress::EgressProxy,
    session::{Problem, Stop},
};

/// What the proxy had seen when the last two steps began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reach {
    before: u64,
    now: u64,
}

impl Reach {
    /// Begins a step.
    pub(super) fn step(&mut self, proxy: Option<&EgressProxy>) {
        let mark = proxy.map_or(0, EgressProxy::mark);
        (self.before, self.now) = (self.now, mark);
    }

    /// Explains a failure of the step that began last. A click is over before the page it leads to is asked for, so that what
    /// was denied during the step before counts, too.
    pub(super) fn explain(&self, proxy: Option<&EgressProxy>, step: &Step, stop: Stop) -> Stop {
        let Some(proxy) = proxy else { return stop };
        let mut problem = match stop {
            Stop::Failure(problem) => problem,
            Stop::Driver(_) => return stop,
        };
        let not_loaded =
            matches!(problem.class, FailureClass::Navigation | FailureClass::TargetUnreachable);
        if matches!(step.kind, StepKind::Navigate { .. }) && not_loaded {
            self.explain_navigation(proxy, &mut problem);
        } else if let Some(denied) = proxy.failed_since(self.before, |failure| failure.is_denial())
        {
            problem.message = format!("{}; {denied}", problem.message);
        }
        Stop::Failure(problem)
    }

    /// The last connection that failed is that of the page itself, or of where it led.
    fn explain_navigation(&self, proxy: &EgressProxy, problem: &mut Problem) {
        let Some(failure) = proxy.failed_since(self.now, |_| true) else { return };
        if failure.is_denial() {
            problem.class = FailureClass::EgressDenied;
            problem.message = failure.to_string();
            return;
        }
        problem.class = FailureClass::TargetUnreachable;
        let said = problem.found.take().unwrap_or_default();
        problem.found = Some(format!("{failure} ({said})"));
    }
}

//! Running one test in one browser: the seam between the protocol and real browsers.
//!
//! [`TestRunner`] starts browsers, [`LiveBrowser`] runs tests in one. Production drives Chromium by `gauntlet-browser`
//! (see `browsers.rs`); tests and chaos runs script it. The contract of both: a cancelled test returns at once because the
//! browser is killed, and a dropped browser leaves no process (EX-1, G8). Nothing here is durable.

use futures_util::future::BoxFuture;
use gauntlet_browser::{Control, LaunchError, TestOptions, TestOutcome};
use gauntlet_core::{egress::EgressRules, flow::Flow, ids::RunId};
use gauntlet_proto::v1;
use std::sync::Arc;

/// What a browser is started for. Two equal values may share a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSpec {
    /// The run; it is in the command line of every process, so that leftovers can be found.
    pub run_id: RunId,
    /// Which browser.
    pub browser: v1::Browser,
    /// Whether it shows a window.
    pub headed: bool,
    /// What the run's environment says about whom pages may reach.
    pub egress: Arc<EgressRules>,
}

/// Starts browsers.
pub trait TestRunner: Send + Sync + 'static {
    /// Returns the browsers that can be started here.
    fn browsers(&self) -> Vec<v1::Browser>;

    /// Tells whether somebody sees to it that pages reach only whom they may.
    fn filters_egress(&self) -> bool {
        true
    }

    /// Returns what sets these browsers apart, for people (see `ListExecutors`). It may start one to find out.
    fn attributes(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Starts a browser. Dropping the future leaves no process.
    fn launch(&self, spec: BrowserSpec)
    -> BoxFuture<'_, Result<Box<dyn LiveBrowser>, LaunchError>>;

    /// Kills what dead owners left and returns how many processes that were. It may block; called once, at start.
    fn sweep(&self) -> u32 {
        0
    }
}

/// One browser that is up. Dropping it kills all its processes.
pub trait LiveBrowser: Send {
    /// Runs one test, isolated from those before it, and keeps the step it is at in `control`. When that is cancelled the
    /// browser is killed and the outcome is `Cancelled`.
    fn run_test<'b>(
        &'b mut self,
        flow: &'b Flow,
        options: &'b TestOptions,
        control: &'b Control,
    ) -> BoxFuture<'b, TestOutcome>;

    /// Returns whether another test can be run in it.
    fn is_healthy(&self) -> bool;

    /// Kills all its processes and returns when none is left.
    fn kill(&mut self) -> BoxFuture<'_, ()>;
}

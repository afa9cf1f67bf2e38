//! The life of a process: tasks have an owner, stopping is drain-then-kill.
//!
//! Owns the two cancellation tokens (soft `drain`, hard `kill`), the tracker of every task and the verdict on how the
//! process ended. It does not decide what draining means; each task watches [`Lifecycle::draining`] and finishes what it
//! holds. A crash here ends the process; leases and rows make that safe elsewhere.

use futures_util::FutureExt as _;
use std::{
    any::Any,
    error::Error,
    io,
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::AbortHandle;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// How long killed tasks get to be dropped before the process leaves without them.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything finished: exit code 0.
    Clean,
    /// A task failed: exit code 1.
    Failed,
    /// The configuration was refused: exit code 2.
    BadConfig,
    /// The grace elapsed or a second signal came, and tasks were cut off: exit code 3.
    Killed,
    /// A code that the program chose itself, such as the CLI's verdict.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::BadConfig => Self::from(2),
            Exit::Killed => Self::from(3),
            Exit::Code(code) => Self::from(code),
        }
    }
}

/// What a task may return: nothing, or a result whose error fails the lifecycle.
pub trait TaskOutcome: Send {
    /// Returns the outcome as a result.
    ///
    /// # Errors
    /// The error of the task, if it had one.
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl TaskOutcome for () {
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>> + Send> TaskOutcome for Result<(), E> {
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)
    }
}

/// Owner of the tasks of a process, or of one service inside the all-in-one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    drain: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
    failed: AtomicBool,
    parent: Option<Lifecycle>,
}

impl Lifecycle {
    /// Returns a lifecycle that hears no signals, for tests and for embedding.
    #[must_use]
    pub fn new() -> Self {
        Self::build(CancellationToken::new(), CancellationToken::new(), None)
    }

    /// Returns a lifecycle in which the first SIGINT or SIGTERM drains and the second kills.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn with_signals() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let lifecycle = Self::new();
        let (drain, kill) = (lifecycle.0.drain.clone(), lifecycle.0.kill.clone());
        let listener = async move {
            for (token, what) in [(drain, "draining"), (kill, "killing")] {
                let name = tokio::select! {
                    _ = interrupt.recv() => "SIGINT",
                    _ = terminate.recv() => "SIGTERM",
                };
                tracing::info!(signal = name, "{what} after a signal");
                token.cancel();
            }
        };
        // Not tracked: it waits for signals that may never come.
        #[expect(clippy::disallowed_methods, reason = "the listener outlives every tracked task")]
        tokio::spawn(listener);
        Ok(lifecycle)
    }

    /// Returns a lifecycle for one service inside this one: it drains and dies with this one, or earlier on its own; a
    /// failure in it fails and drains this one too; `shutdown` here waits for its tasks.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::build(self.0.drain.child_token(), self.0.kill.child_token(), Some(self.clone()))
    }

    fn build(drain: CancellationToken, kill: CancellationToken, parent: Option<Self>) -> Self {
        Self(Arc::new(Inner {
            drain,
            kill,
            tasks: TaskTracker::new(),
            failed: AtomicBool::new(false),
            parent,
        }))
    }

    /// Starts a task that `shutdown` waits for and that a kill drops at its next await.
    ///
    /// A panic, or an error while not draining, is logged under `name`, starts the drain and makes the exit non-zero.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> AbortHandle
    where
        F: Future<Output: TaskOutcome> + Send + 'static,
    {
        let lifecycle = self.clone();
        let tokens = self.tracker_tokens();
        let task = async move {
            let _tokens = tokens;
            tokio::select! {
                biased;
                () = lifecycle.killed() => tracing::warn!(task.name = name, "task was killed"),
                ended = AssertUnwindSafe(future).catch_unwind() => lifecycle.ended(name, ended),
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that starts tasks; the tokens track it"
        )]
        tokio::spawn(task).abort_handle()
    }

    fn tracker_tokens(&self) -> Vec<TaskTrackerToken> {
        std::iter::successors(Some(self), |l| l.0.parent.as_ref())
            .map(|l| l.0.tasks.token())
            .collect()
    }

    fn ended<T: TaskOutcome>(&self, name: &'static str, ended: Result<T, Box<dyn Any + Send>>) {
        match ended.map(TaskOutcome::into_result) {
            Ok(Ok(())) => tracing::debug!(task.name = name, "task ended"),
            Ok(Err(error)) if self.is_draining() => {
                tracing::warn!(task.name = name, error = %error_chain(error.as_ref()), "task failed while draining");
            }
            Ok(Err(error)) => {
                tracing::error!(task.name = name, error = %error_chain(error.as_ref()), "task failed, draining");
                self.fail();
            }
            Err(panic) => {
                tracing::error!(
                    task.name = name,
                    panic = panic_text(panic.as_ref()),
                    "task panicked, draining"
                );
                self.fail();
            }
        }
    }

    /// Marks this lifecycle and those around it as failed and drains them.
    pub fn fail(&self) {
        for lifecycle in std::iter::successors(Some(self), |l| l.0.parent.as_ref()) {
            lifecycle.0.failed.store(true, Ordering::SeqCst);
            lifecycle.0.drain.cancel();
        }
    }

    /// Starts the soft stop: claim nothing new, finish what is held, end streams.
    pub fn drain(&self) {
        self.0.drain.cancel();
    }

    /// Starts the hard stop: tasks are dropped at their next await. Implies the soft one.
    pub fn kill(&self) {
        self.0.drain.cancel();
        self.0.kill.cancel();
    }

    /// Waits until the soft stop has begun.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn draining(&self) {
        self.0.drain.cancelled().await;
    }

    /// Waits until the hard stop has begun.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn killed(&self) {
        self.0.kill.cancelled().await;
    }

    /// Returns whether the soft stop has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.drain.is_cancelled()
    }

    /// Returns whether a task of this lifecycle, or of a child, has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.failed.load(Ordering::SeqCst)
    }

    /// Returns a token that is cancelled with the soft stop, for code that takes one.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.0.drain.child_token()
    }

    /// Waits for the drain (a signal, a failed task, or [`Lifecycle::drain`]) and then shuts down.
    pub async fn run_to_end(&self, grace: Duration) -> Exit {
        self.draining().await;
        self.shutdown(grace).await
    }

    /// Drains, waits at most `grace` for the tasks of this lifecycle and its children, then kills what is left.
    pub async fn shutdown(&self, grace: Duration) -> Exit {
        self.drain();
        self.0.tasks.close();
        let finished = tokio::select! {
            biased;
            () = self.0.tasks.wait() => true,
            () = self.killed() => false,
            () = tokio::time::sleep(grace) => false,
        };
        if !finished {
            tracing::warn!(tasks = self.0.tasks.len(), "grace is over, killing what is left");
            self.kill();
            if tokio::time::timeout(KILL_WAIT, self.0.tasks.wait()).await.is_err() {
                tracing::error!(tasks = self.0.tasks.len(), "tasks did not stop when killed");
            }
        }
        // Tasks that a second signal cut off are gone too, but they did not finish.
        match (self.has_failed(), finished && !self.0.kill.is_cancelled()) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::Clean,
            (false, false) => Exit::Killed,
        }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns an error and its sources as one line, for the log at the boundary that handles it.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}

#[cfg(test)]
mod tests;

//! Stops work before each of its statements and before each COMMIT, until a test lets it go on.
//!
//! Only with the feature `step`, which nothing but `tests/interleave` asks for. The statements are those of the product, on a
//! real connection; all that is added is a point to wait at. A statement is reached when the one before it has ended, also of
//! those that are otherwise sent together. Work outside [`Steps::of`] is not stopped.

use crate::Statement;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, mpsc};

tokio::task_local! {
    static STEPS: Steps;
}

/// What the commit of a transaction is called.
pub const COMMIT: Statement = Statement { name: "COMMIT", sql: "COMMIT" };

/// The end at which work waits.
#[derive(Clone, Debug)]
pub struct Steps {
    reached: mpsc::UnboundedSender<Statement>,
    turns: Arc<Semaphore>,
    /// Held by the statement that was reached, until it has ended.
    running: Arc<Mutex<()>>,
}

/// The end that decides whose turn it is.
#[derive(Debug)]
pub struct Stepper {
    reached: mpsc::UnboundedReceiver<Statement>,
    turns: Arc<Semaphore>,
}

/// Returns both ends.
#[must_use]
pub fn steps() -> (Steps, Stepper) {
    let (send, reached) = mpsc::unbounded_channel();
    let turns = Arc::new(Semaphore::new(0));
    let steps = Steps { reached: send, turns: Arc::clone(&turns), running: Arc::default() };
    (steps, Stepper { reached, turns })
}

impl Steps {
    /// Does work whose transactions stop before each statement.
    pub async fn of<T>(self, work: impl Future<Output = T>) -> T {
        STEPS.scope(self, work).await
    }
}

impl Stepper {
    /// Waits for the next statement that the work stops before; none when the work is done.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn reached(&mut self) -> Option<Statement> {
        self.reached.recv().await
    }

    /// Lets the statement run that the work stopped before.
    pub fn go_on(&self) {
        self.turns.add_permits(1);
    }
}

/// Stops stepped work here as before a statement: at what it does besides Postgres.
pub async fn stop(at: Statement) {
    before(at).await;
}

/// Waits for the turn, if this is stepped work. What it returns is kept until the statement has ended.
pub(crate) async fn before(statement: Statement) -> Option<OwnedMutexGuard<()>> {
    let steps = STEPS.try_with(Clone::clone).ok()?;
    // Goes round in order: statements that are sent together are first polled in theirs.
    let running = steps.running.lock_owned().await;
    // A test that went away lets the work end.
    if steps.reached.send(statement).is_ok()
        && let Ok(turn) = steps.turns.acquire().await
    {
        turn.forget();
    }
    Some(running)
}

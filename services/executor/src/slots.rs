//! The places where tests run: at most one browser each, kept warm for the next test of the same run.
//!
//! Owns every browser of the executor, so that none outlives its use (EX-1): at most `slots` are up, those of another run
//! die before a new one starts, and all die with the session. A crash is the supervisor's business.

use crate::run_test::{BrowserSpec, LiveBrowser, TestRunner};
use futures_util::future::join_all;
use gauntlet_browser::LaunchError;
use gauntlet_core::ids::RunId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

struct Warm {
    spec: BrowserSpec,
    browser: Box<dyn LiveBrowser>,
}

/// All slots of an executor.
pub(crate) struct Slots {
    total: u32,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Warm>>,
}

/// One slot in use. Dropping it keeps its browser warm.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    spec: BrowserSpec,
    browser: Option<Box<dyn LiveBrowser>>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub(crate) fn new(total: u32) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(total as usize));
        Arc::new(Self { total, permits, idle: Mutex::default() })
    }

    pub(crate) fn used(&self) -> u32 {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(u32::MAX);
        self.total.saturating_sub(free)
    }

    /// Takes a slot, with a warm browser for `spec` if there is one; browsers in the way are killed.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue; a browser being killed dies by its drop.
    pub(crate) async fn acquire(self: &Arc<Self>, spec: BrowserSpec) -> Option<Slot> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let (browser, in_the_way) = self.take_warm(&spec);
        let slot = Slot { slots: Arc::clone(self), spec, browser, _permit: permit };
        kill_all(in_the_way).await;
        Some(slot)
    }

    fn take_warm(&self, spec: &BrowserSpec) -> (Option<Box<dyn LiveBrowser>>, Vec<Warm>) {
        let mut idle = self.idle();
        if let Some(index) = idle.iter().position(|warm| warm.spec == *spec) {
            return (Some(idle.remove(index).browser), Vec::new());
        }
        let room = self.total.saturating_sub(self.used()) as usize;
        let surplus = idle.len().saturating_sub(room);
        (None, idle.drain(..surplus).collect())
    }

    /// Kills the idle browsers of a run and returns when nothing of them is left.
    pub(crate) async fn kill_run(&self, run_id: RunId) {
        let of_run: Vec<Warm> = {
            let mut idle = self.idle();
            let (of_run, others) =
                idle.drain(..).partition(|warm: &Warm| warm.spec.run_id == run_id);
            *idle = others;
            of_run
        };
        kill_all(of_run).await;
    }

    /// Kills every idle browser.
    pub(crate) async fn kill_idle(&self) {
        let all = std::mem::take(&mut *self.idle());
        kill_all(all).await;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Warm>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn kill_all(mut browsers: Vec<Warm>) {
    join_all(browsers.iter_mut().map(|warm| warm.browser.kill())).await;
}

impl Slot {
    /// Returns the browser of this slot, started if need be. Whoever holds it gives it back with [`Slot::keep`], or drops
    /// it, which kills it: a browser in the middle of a test is never kept by accident.
    pub(crate) async fn browser(
        &mut self,
        runner: &dyn TestRunner,
    ) -> Result<Box<dyn LiveBrowser>, LaunchError> {
        match self.browser.take().filter(|browser| browser.is_healthy()) {
            Some(browser) => Ok(browser),
            None => runner.launch(self.spec.clone()).await,
        }
    }

    /// Keeps a browser for the next test.
    pub(crate) fn keep(&mut self, browser: Box<dyn LiveBrowser>) {
        self.browser = Some(browser);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(browser) = self.browser.take() {
            self.slots.idle().push(Warm { spec: self.spec.clone(), browser });
        }
    }
}

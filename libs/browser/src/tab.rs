//! The tabs that tests run in, each in a user context: made before they are needed, and removed or cleared after their use (G5).
//!
//! [`Stage`] does both beside the test before, or while that is judged and reported: no verdict waits for a tab. A tab is given
//! to a test only if it is new, or was seen to be clear.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use gauntlet_core::flow::Viewport;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    Emulation, TestOptions,
    driver::{Driver, GRACE, Place, Turns},
    emulate::{pretend, set_screen},
    error::DriverError,
    pages::Pages,
    reset::{Traces, reset},
};

/// What the pages of a context are made to believe from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Device {
    viewport: Viewport,
    emulation: Emulation,
}

impl Device {
    pub(crate) fn of(options: &TestOptions) -> Self {
        Self { viewport: options.viewport, emulation: options.emulation.clone() }
    }
}

/// A user context with one page.
#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) user_context: String,
    pub(crate) page: String,
    pub(crate) device: Device,
}

impl Tab {
    pub(crate) fn screen(&self) -> Viewport {
        self.device.viewport
    }

    pub(crate) fn permissions(&self) -> &[String] {
        &self.device.emulation.permissions
    }

    async fn make(pages: &Pages, driver: &Driver, device: Device) -> Result<Self, DriverError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let made = pages.command("browser.createUserContext", json!({}), GRACE * 2).await?;
        let user_context = text(&made["userContext"]);
        pretend(pages, &device.emulation, &user_context).await?;
        let tab = json!({ "type": "tab", "userContext": user_context });
        let made = pages.command("browsingContext.create", tab, GRACE * 2).await?;
        let page = text(&made["context"]);
        // As it is by itself.
        let plain = Viewport { has_touch: false, ..device.viewport };
        set_screen((driver, pages), &page, (plain, device.viewport), GRACE).await?;
        Ok(Self { user_context, page, device })
    }

    async fn remove(self, pages: &Pages) -> Result<(), DriverError> {
        let context = json!({ "userContext": self.user_context });
        pages.command("browser.removeUserContext", context, GRACE).await.map(drop)
    }
}

/// Work that goes on beside a test; it ends with its owner.
#[derive(Debug)]
struct Task<T>(JoinHandle<Result<T, DriverError>>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: Send + 'static> Task<T> {
    #[expect(clippy::disallowed_methods, reason = "the handle is owned here and aborted on drop")]
    fn spawn(work: impl Future<Output = Result<T, DriverError>> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    async fn end(mut self) -> Result<T, DriverError> {
        let ended = (&mut self.0).await;
        ended.unwrap_or_else(|error| {
            Err(DriverError::Lost { command: "tab", reason: error.to_string() })
        })
    }
}

/// The tab of the next test, on its way, and the one of the last, on its way out.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    next: Option<Task<Tab>>,
    last: Option<Task<()>>,
    made: Arc<AtomicU32>,
}

/// The connections to a browser.
type Connections<'b> = (&'b Arc<Pages>, &'b Driver);

impl Stage {
    /// Returns a tab for `device`, the one that was prepared if it fits.
    ///
    /// # Errors
    /// [`DriverError`], also of what was done since the test before: no test begins in a browser that failed meanwhile.
    pub(crate) async fn tab(
        &mut self,
        (pages, driver): Connections<'_>,
        device: Device,
    ) -> Result<Tab, DriverError> {
        if let Some(last) = self.last.take_if(|last| last.0.is_finished()) {
            last.end().await?;
        }
        if let Some(task) = self.next.take() {
            let tab = task.end().await?;
            if tab.device == device {
                return Ok(tab);
            }
            tab.remove(pages).await?;
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        Tab::make(pages, driver, device).await
    }

    /// Returns how many tabs were made so far.
    pub(crate) fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Makes a tab for the next test, beside the one that runs: only where that one does not lose the focus to it. It begins
    /// when what is returned is dropped: a page that loads needs the browser more.
    pub(crate) fn prepare(
        &mut self,
        (pages, driver): Connections<'_>,
        device: Device,
    ) -> oneshot::Sender<()> {
        let (pages, driver) = (Arc::clone(pages), driver.clone());
        self.made.fetch_add(1, Ordering::Relaxed);
        let (busy, leisure) = oneshot::channel();
        self.next = Some(Task::spawn(async move {
            // Nothing is ever sent.
            let _ = leisure.await;
            Tab::make(&pages, &driver, device).await
        }));
        busy
    }

    /// Begins to replace the tab of a test that has ended by one for the next test; or, if it can be cleared, to clear it.
    pub(crate) async fn leave(
        &mut self,
        (pages, driver): Connections<'_>,
        tab: Tab,
        traces: Traces,
        clears: bool,
    ) -> Result<(), DriverError> {
        let (pages, driver, made) = (Arc::clone(pages), driver.clone(), Arc::clone(&self.made));
        if let Some(next) = self.next.take() {
            // Two on their way out would be a heap in the end.
            if let Some(last) = self.last.take() {
                last.end().await?;
            }
            let theirs = Arc::clone(&pages);
            self.last = Some(Task::spawn(async move { tab.remove(&theirs).await }));
            self.next = Some(Task::spawn(async move {
                let tab = next.end().await?;
                follow(&driver, &tab, &traces).await?;
                Ok(tab)
            }));
            return Ok(());
        }
        self.next = Some(Task::spawn(async move {
            if clears && pages.devtools().is_some() {
                match reset(&pages, &driver, &tab, &traces).await {
                    Ok(()) => return Ok(tab),
                    Err(dirty) => {
                        tracing::info!(reason = %dirty, "the context is replaced, it could not be cleared");
                    }
                }
            }
            let device = tab.device.clone();
            tab.remove(&pages).await?;
            made.fetch_add(1, Ordering::Relaxed);
            let tab = Tab::make(&pages, &driver, device).await?;
            follow(&driver, &tab, &traces).await?;
            Ok(tab)
        }));
        Ok(())
    }
}

/// Has the driver go to the next tab if it was at the last: what the last test needed, the next one will.
async fn follow(driver: &Driver, tab: &Tab, traces: &Traces) -> Result<(), DriverError> {
    if traces.driven {
        driver.go(Place::page(&tab.page), Turns::new(), GRACE * 2).await
    } else {
        Ok(())
    }
}

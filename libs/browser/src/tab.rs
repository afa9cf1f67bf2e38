//! The tabs that tests run in, each in a user context: made before they are needed, and removed or cleared after their use (G5).
//!
//! [`Stage`] does both while the test before is judged and reported: no verdict waits for a tab. A tab is given to a test only
//! if it is new, or was seen to be clear.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use gauntlet_core::flow::Viewport;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    Emulation, TestOptions,
    driver::{Driver, GRACE},
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

/// The tab of the next test, on its way.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    next: Option<Task<Tab>>,
    made: Arc<AtomicU32>,
}

impl Stage {
    /// Returns a tab for `device`, the one that was prepared if it fits.
    ///
    /// # Errors
    /// [`DriverError`], also of what was done since the test before: no test begins in a browser that failed meanwhile.
    pub(crate) async fn tab(
        &mut self,
        pages: &Pages,
        driver: &Driver,
        device: Device,
    ) -> Result<Tab, DriverError> {
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

    /// Begins to replace the tab of a test that has ended by a new one for the next test; or, if it can be cleared, to clear
    /// it.
    ///
    /// Not sooner, and one after the other: where every core is busy, a tab made beside a test gains nothing, and the test's
    /// time limits would pay for it.
    pub(crate) fn leave(
        &mut self,
        (pages, driver): (&Arc<Pages>, &Driver),
        tab: Tab,
        traces: Traces,
        clears: bool,
    ) {
        let (pages, driver, made) = (Arc::clone(pages), driver.clone(), Arc::clone(&self.made));
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
            if traces.acted {
                // What the last test needed, the next one will.
                driver.go(&tab.page, &[], GRACE * 2).await?;
            }
            Ok(tab)
        }));
    }
}

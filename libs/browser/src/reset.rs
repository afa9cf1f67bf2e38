//! Clears a context between two tests, and looks whether it is clear; if it is not, or not soon, it is not used again (G5).
//!
//! What a site keeps is looked at as the next test would see it: in a page of the site's own origin that the site has not sent.
//! Chromium only, and only where its `DevTools` can be reached beside the driver. What cannot be undone with certainty
//! (network conditions, a window's size, logins by URL, frames of other sites) is not tried: such a context is replaced.

use std::time::Duration;

use futures_util::future::try_join_all;
use gauntlet_core::flow::Viewport;
use serde_json::{Value, json};

use crate::{
    devtools::{BLANK_PATH, DevTools, blank_pages},
    driver::{Driver, GRACE},
    emulate::set_screen,
    error::DriverError,
    pages::Pages,
    session::POLL,
    tab::Tab,
};

/// How long it may take before a new context is the better choice.
const LIMIT: Duration = Duration::from_secs(5);
/// How often a site is cleared before its context is given up.
const CLEARINGS_MAX: u32 = 3;
/// Origins that are visited again to clear them.
const ORIGINS_MAX: usize = 4;
const SEEN: &str = include_str!("js/seen.js");
const SEEN_AT_LAST: &str = include_str!("js/seen_at_last.js");

/// What a test has left behind, as far as it can be known from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces {
    /// Origins of the pages and frames it loaded.
    pub(crate) origins: Vec<String>,
    /// Pages beside the main one.
    pub(crate) windows: Vec<String>,
    /// The page with a dialog that nobody has answered.
    pub(crate) dialog: Option<String>,
    /// Whether anything but navigations was done.
    pub(crate) acted: bool,
    /// Whether the driver itself was at the page.
    pub(crate) driven: bool,
    /// The screen at its end.
    pub(crate) screen: Option<Viewport>,
    /// What cannot be undone.
    pub(crate) lasting: Option<&'static str>,
}

/// Why a context is not used again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dirty {
    #[error("{0} cannot be undone")]
    Lasting(&'static str),
    #[error("there is still: {0}")]
    Left(String),
    #[error("it took longer than {LIMIT:?}")]
    TooSlow,
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Clears the tab's context and makes sure that it is clear.
pub(crate) async fn reset(
    pages: &Pages,
    driver: &Driver,
    tab: &Tab,
    traces: &Traces,
) -> Result<(), Dirty> {
    if let Some(what) = traces.lasting {
        return Err(Dirty::Lasting(what));
    }
    let reset = clear_and_look(pages, driver, tab, traces);
    tokio::time::timeout(LIMIT, reset).await.map_err(|_| Dirty::TooSlow)?
}

async fn clear_and_look(
    pages: &Pages,
    driver: &Driver,
    tab: &Tab,
    traces: &Traces,
) -> Result<(), Dirty> {
    let Some(devtools) = pages.devtools() else {
        return Err(Dirty::Lasting("what a browser without DevTools keeps"));
    };
    if let Some(page) = &traces.dialog {
        let dismiss = json!({ "context": page, "accept": false });
        match pages.command("browsingContext.handleUserPrompt", dismiss, GRACE).await {
            // It was answered meanwhile.
            Err(error) if !error.is_fatal() => {}
            answer => drop(answer?),
        }
    }
    if let Some(now) = traces.screen.filter(|now| *now != tab.screen()) {
        set_screen((driver, pages), &tab.page, (now, tab.screen()), GRACE).await?;
    }
    let clearing = Clearing { devtools, tab };
    try_join_all(
        traces
            .windows
            .iter()
            .map(|window| clearing.browser("Target.closeTarget", json!({ "targetId": window }))),
    )
    .await?;
    // Where no page was loaded and no script was run, there is nothing to clear; only to look at.
    if traces.acted || !traces.origins.is_empty() {
        clearing.clear(&traces.origins).await?;
    }
    clearing.look().await
}

/// The clearing of one tab.
struct Clearing<'t> {
    devtools: &'t DevTools,
    tab: &'t Tab,
}

impl Clearing<'_> {
    async fn page(&self, method: &'static str, params: Value) -> Result<Value, DriverError> {
        self.devtools.page(&self.tab.page, method, params, LIMIT).await
    }

    async fn browser(&self, method: &'static str, params: Value) -> Result<Value, DriverError> {
        self.devtools.browser(method, params).await
    }

    async fn clear(&self, origins: &[String]) -> Result<(), Dirty> {
        let context = json!({ "browserContextId": self.tab.user_context });
        for origin in origins {
            // The old page says its last words before the blank one is there: only then it can be cleared for good.
            let url = json!({ "url": format!("{origin}{BLANK_PATH}") });
            tokio::try_join!(
                self.page("Fetch.enable", blank_pages()),
                self.page("Page.navigate", url)
            )?;
            // What the old page stored with its last words may arrive after the clearing; then it is cleared once more.
            let mut seen = self.clear_origin(origin).await;
            for _ in 1..CLEARINGS_MAX {
                if matches!(seen, Err(Dirty::Left(_))) {
                    seen = self.clear_origin(origin).await;
                }
            }
            seen?;
        }
        tokio::try_join!(
            self.page("Fetch.disable", json!({})),
            self.browser("Storage.clearCookies", context),
            // What the page's process keeps of images and scripts goes when it is told to keep nothing.
            self.page("Network.enable", json!({})),
            self.page("Network.setCacheDisabled", json!({ "cacheDisabled": true })),
            self.page("Network.disable", json!({})),
            // Where the test's logs were kept, it was on.
            self.page("Runtime.disable", json!({})),
            self.page("Page.navigate", json!({ "url": "about:blank" })),
        )?;
        // Only when the new document is there, the way back to the old ones can be cut.
        self.page("Runtime.evaluate", json!({ "expression": "0" })).await?;
        self.page("Page.resetNavigationHistory", json!({})).await?;
        Ok(())
    }

    /// Clears what a site keeps, and looks, in the blank page of that site.
    async fn clear_origin(&self, origin: &str) -> Result<(), Dirty> {
        let context = json!({ "browserContextId": self.tab.user_context });
        let all = json!({ "origin": origin, "storageTypes": "all" });
        tokio::try_join!(
            self.page("Storage.clearDataForOrigin", all),
            self.browser("Storage.clearCookies", context.clone()),
            self.browser("Browser.resetPermissions", context),
            self.page("Network.clearBrowserCache", json!({})),
        )?;
        let permissions = Value::from(self.tab.permissions());
        self.see(&SEEN.replace("PERMISSIONS", &permissions.to_string())).await
    }

    /// Looks at what is outside of any site's reach.
    async fn look(&self) -> Result<(), Dirty> {
        let context = json!({ "browserContextId": self.tab.user_context });
        let screen = self.tab.screen();
        let screen = json!([
            screen.width,
            screen.height,
            screen.device_scale_factor,
            screen.has_touch,
            screen.is_mobile,
        ]);
        let script = SEEN_AT_LAST.replace("SCREEN", &screen.to_string());
        let (cookies, ()) = tokio::try_join!(
            async { Ok(self.browser("Storage.getCookies", context).await?) },
            self.see(&script),
        )?;
        if cookies["cookies"].as_array().is_none_or(|cookies| !cookies.is_empty()) {
            return Err(Dirty::Left("cookies".to_owned()));
        }
        // A window takes a moment to close, a worker to end; the limit of all this bounds it.
        while self.has_company().await? {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Tells whether there is any page, frame or worker in the context beside the page; what a window shows around its page is
    /// the browser's own, and stays.
    async fn has_company(&self) -> Result<bool, DriverError> {
        let all = self.browser("Target.getTargets", json!({})).await?;
        Ok(all["targetInfos"].as_array().into_iter().flatten().any(|target| {
            target["browserContextId"] == self.tab.user_context.as_str()
                && target["targetId"] != self.tab.page.as_str()
                && target["type"] != "browser_ui"
        }))
    }

    /// Runs a script that names what is still there.
    async fn see(&self, script: &str) -> Result<(), Dirty> {
        let look = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let seen = self.page("Runtime.evaluate", look).await?;
        match seen["result"]["value"].as_array() {
            Some(left) if left.is_empty() => Ok(()),
            Some(left) => Err(Dirty::Left(Value::from(left.clone()).to_string())),
            None => Err(Dirty::Left("a page that cannot be looked at".to_owned())),
        }
    }
}

/// Says what makes a context not worth clearing, by where the test has been.
pub(crate) fn lasting(origins: &[String], elsewhere: bool) -> Option<&'static str> {
    match () {
        () if elsewhere => Some("a visit to what has no origin of its own"),
        () if origins.len() > ORIGINS_MAX => Some("a visit to so many origins"),
        () => None,
    }
}

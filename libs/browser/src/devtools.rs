//! The pages of a Chromium of this machine, over its `DevTools`: they tell what they do, as they do over `BiDi`, at a fraction of
//! the cost. A chromedriver with `BiDi` runs a program in a page of its own that turns each message into several, and back
//! (docs/benchmarks.md has the numbers).
//!
//! [`DevTools`] takes the `BiDi` commands that tests need and gives them as commands of the browser; [`Targets`] does the
//! same with what the browser tells. Contexts have the same ids at the driver, here, and in `BiDi`.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use self::targets::Targets;
use crate::{
    bidi::{self, Events},
    cdp::Cdp,
    driver::{GRACE, lock},
    error::DriverError,
    locate::ELEMENT,
};

mod call;
mod cookies;
mod emulation;
mod input;
mod network;
mod targets;

pub(crate) use call::{name_of, node_of};
pub(crate) use targets::blank_pages;

/// How long the browser's own page about a failure is waited for.
const ERROR_PAGE_LIMIT: Duration = Duration::from_secs(2);
/// What a site is asked for when nothing shall be asked of it: the request is answered here, with an empty page.
pub(crate) const BLANK_PATH: &str = "/.well-known/gauntlet-blank";

/// What is known of the browser. One lock guards both halves: with two, the listener and a test could wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Known {
    targets: Targets,
    pub(crate) events: Events,
}

/// How a navigation ended.
enum End {
    Loaded,
    Failed,
    Gone,
}

/// The connection to one browser.
#[derive(Debug)]
pub(crate) struct DevTools {
    cdp: Cdp,
    known: Arc<Mutex<Known>>,
    changed: watch::Receiver<u64>,
}

impl DevTools {
    /// Connects to the browser that has its files in `folder`, and to all its pages to come.
    pub(crate) async fn connect(folder: &Path) -> Result<Self, DriverError> {
        let (wake, changed) = watch::channel(0);
        let known = Arc::new(Mutex::new(Known::default()));
        let told = Arc::clone(&known);
        let listener = move |event: &crate::cdp::Event<'_>| {
            let Known { targets, events } = &mut *lock(&told);
            let orders = targets.take(events, event);
            wake.send_modify(|count| *count += 1);
            orders
        };
        let cdp = Cdp::connect(folder, listener).await?;
        cdp.command("", "Target.setAutoAttach", targets::attach_to(targets::Attach::Pages), GRACE)
            .await?;
        Ok(Self { cdp, known, changed })
    }

    /// Looks at what has happened so far.
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// Waits until `look` returns something or the deadline passes; `None` also when the connection closes.
    pub(crate) async fn wait_for<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&Events) -> Option<T>,
    ) -> Option<T> {
        bidi::wait_for(&self.changed, deadline, || look(&self.known().events)).await
    }

    /// Sends a command to the browser itself.
    pub(crate) async fn browser(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Value, DriverError> {
        self.cdp.command("", method, params, GRACE).await
    }

    /// Sends a command to a page, or to the page that a frame is in.
    pub(crate) async fn page(
        &self,
        context: &str,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let session = {
            let known = self.known();
            known.targets.session_of(&known.events, context)
        };
        let Some(session) = session else { return Err(self.gone(context, method)) };
        self.cdp.command(&session, method, params, limit).await
    }

    /// Returns the element that holds a frame, as the driver calls it.
    pub(crate) async fn owner_of(
        &self,
        (parent, frame): (&str, &str),
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let order = json!({ "frameId": frame });
        let owner = self.page(parent, "DOM.getFrameOwner", order, limit).await?;
        let document = self.document_of(parent).unwrap_or_default();
        Ok(json!({ ELEMENT: name_of(parent, &document, &owner["backendNodeId"]) }))
    }

    /// Says what became of a page that is not there.
    pub(crate) fn gone(&self, context: &str, command: &'static str) -> DriverError {
        if self.known().targets.has_crashed(context) {
            return DriverError::Crashed { command, reason: "its page crashed".to_owned() };
        }
        let message = "the page was closed".to_owned();
        DriverError::Remote { command, status: None, message }
    }

    /// Does what a `BiDi` command says.
    pub(crate) async fn command(
        &self,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let context = params["context"].as_str().unwrap_or_default();
        match method {
            "browser.createUserContext" => {
                let own = json!({ "disposeOnDetach": true });
                let made = self.browser("Target.createBrowserContext", own).await?;
                Ok(json!({ "userContext": made["browserContextId"] }))
            }
            "browser.removeUserContext" => {
                let user_context = params["userContext"].as_str().unwrap_or_default();
                self.known().targets.forget(user_context);
                let order = json!({ "browserContextId": user_context });
                self.browser("Target.disposeBrowserContext", order).await
            }
            "browsingContext.create" => self.create(&params).await,
            "browsingContext.close" => {
                self.browser("Target.closeTarget", json!({ "targetId": context })).await
            }
            "browsingContext.navigate" => {
                let url = params["url"].as_str().unwrap_or_default();
                self.navigate(context, url, limit).await
            }
            "browsingContext.captureScreenshot" => {
                let jpeg = params["format"]["type"] == "image/jpeg";
                let quality = (params["format"]["quality"].as_f64().unwrap_or(0.8) * 100.0).round();
                let order = match jpeg {
                    true => json!({ "format": "jpeg", "quality": quality as u8 }),
                    false => json!({}),
                };
                self.page(context, "Page.captureScreenshot", order, limit).await
            }
            "browsingContext.handleUserPrompt" => {
                let answer = targets::answer(&params);
                self.page(context, "Page.handleJavaScriptDialog", answer, limit).await
            }
            "script.evaluate" => {
                let context = params["target"]["context"].as_str().unwrap_or_default();
                self.evaluate(context, params["expression"].clone(), limit).await
            }
            "storage.getCookies" => self.cookies(&params).await,
            "storage.setCookie" => self.set_cookie(&params).await,
            "permissions.setPermission" => {
                let order = json!({
                    "permission": params["descriptor"], "setting": params["state"],
                    "origin": params["origin"], "browserContextId": params["userContext"],
                });
                self.browser("Browser.setPermission", order).await
            }
            _ => self.pretend(method, &params),
        }
    }

    async fn create(&self, params: &Value) -> Result<Value, DriverError> {
        let order = json!({
            "url": "about:blank", "browserContextId": params["userContext"],
            "background": params["background"] == true,
        });
        let made = self.browser("Target.createTarget", order).await?;
        let page = made["targetId"].as_str().unwrap_or_default();
        let is_there = |events: &Events| events.context(page).map(drop);
        if self.wait_for(Instant::now() + GRACE, is_there).await.is_none() {
            return Err(DriverError::Hung { command: "Target.createTarget", after: GRACE });
        }
        // It has heard what it was sent as it opened when it has heard this.
        self.page(page, "Page.enable", json!({}), GRACE).await?;
        // Orders that are sent to every page of the context as it opens have no answer; here what is refused is told.
        let pretence = self.known().targets.pretence(params["userContext"].as_str());
        for (method, params) in pretence {
            self.page(page, method, params, GRACE).await?;
        }
        Ok(json!({ "context": page }))
    }

    /// Loads a URL in a page or frame, and waits for `load`.
    async fn navigate(
        &self,
        context: &str,
        url: &str,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        const NAVIGATE: &str = "browsingContext.navigate";
        let deadline = Instant::now() + limit;
        let refused =
            |message: String| DriverError::Remote { command: NAVIGATE, status: None, message };
        let mark = self.known().events.mark();
        let order = json!({ "url": url, "frameId": context });
        let answer = match self.page(context, "Page.navigate", order, limit).await {
            Err(DriverError::Hung { .. }) => {
                return Err(DriverError::Hung { command: NAVIGATE, after: limit });
            }
            answer => answer?,
        };
        if let Some(error) = answer["errorText"].as_str().filter(|error| !error.is_empty()) {
            if error != "net::ERR_ABORTED" {
                self.await_error_page(context, mark, deadline).await;
            }
            return Err(refused(error.to_owned()));
        }
        // Without one the document stays the same.
        let Some(document) = answer["loaderId"].as_str() else { return Ok(json!({})) };
        let ended = self.wait_for(deadline, |events| match events.context(context) {
            None => Some(End::Gone),
            Some(page) if page.document == document => Some(End::Loaded),
            // Another navigation took its place.
            Some(_) if events.navigated_since(context, mark, false) => Some(End::Loaded),
            Some(_) if events.failed_since(context, mark, false) => Some(End::Failed),
            Some(_) => None,
        });
        match ended.await {
            Some(End::Loaded) => Ok(json!({})),
            Some(End::Gone) => Err(self.gone(context, NAVIGATE)),
            Some(End::Failed) => {
                Err(refused("the page went on to one that could not be loaded".to_owned()))
            }
            None if self.changed.has_changed().is_err() => {
                let reason = "its connection closed".to_owned();
                Err(DriverError::Crashed { command: NAVIGATE, reason })
            }
            None => Err(DriverError::Hung { command: NAVIGATE, after: limit }),
        }
    }

    /// Waits for what comes instead of a page that failed after `mark`.
    pub(crate) async fn await_error_page(&self, context: &str, mark: u64, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + ERROR_PAGE_LIMIT);
        let is_there = |events: &Events| events.shows_failure(context, mark).then_some(());
        let _ = self.wait_for(deadline, is_there).await;
    }

    /// Evaluates an expression beside a page's own scripts, which neither notice nor meddle.
    async fn evaluate(
        &self,
        context: &str,
        expression: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let world = json!({ "frameId": context });
        let world = self.page(context, "Page.createIsolatedWorld", world, limit).await?;
        let order = json!({
            "expression": expression, "contextId": world["executionContextId"], "returnByValue": true,
        });
        self.page(context, "Runtime.evaluate", order, limit).await
    }

    /// Has console and network of a user context told from now on.
    pub(crate) async fn tell_logs(&self, user_context: &str) -> Result<(), DriverError> {
        let orders = {
            let network = &mut self.known().targets.network;
            network.tell(Some(user_context));
            network.orders(Some(user_context))
        };
        let pages = self.known().events.contexts_of(user_context);
        for page in pages {
            for (method, params) in orders.clone() {
                self.page(&page, method, params, GRACE).await?;
            }
        }
        Ok(())
    }

    /// Opens a page of a site without asking the site, and calls a function there with one argument.
    pub(crate) async fn call_at_site(
        &self,
        page: &str,
        origin: &str,
        function: &str,
        argument: &str,
    ) -> Result<(), DriverError> {
        self.page(page, "Fetch.enable", blank_pages(), GRACE).await?;
        self.navigate(page, &format!("{origin}{BLANK_PATH}"), GRACE).await?;
        let world = json!({ "frameId": page });
        let world = self.page(page, "Page.createIsolatedWorld", world, GRACE).await?;
        let call = json!({
            "functionDeclaration": function, "executionContextId": world["executionContextId"],
            "arguments": [{ "value": argument }],
        });
        self.page(page, "Runtime.callFunctionOn", call, GRACE).await.map(drop)
    }
}

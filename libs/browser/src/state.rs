//! What a site keeps in a browser: taken where a test ended, and given to the contexts of tests that begin there (H5).
//!
//! Cookies, and the local storage of the pages that are open at the end. Session storage belongs to a tab and goes with it.
//! Whoever holds this is signed in: it is kept in memory only, and never written anywhere.

use std::fmt;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    devtools::DevTools,
    driver::GRACE,
    error::DriverError,
    session::{Session, Stop},
};

/// Cookies and local storage of one user context.
#[derive(Clone, Default)]
pub struct StorageState {
    /// As `storage.setCookie` takes them.
    cookies: Vec<Value>,
    /// Origin, and its keys and values.
    origins: Vec<(String, Value)>,
}

impl fmt::Debug for StorageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageState")
            .field("cookies", &self.cookies.len())
            .field("origins", &self.origins.len())
            .finish()
    }
}

/// A page that is never fetched, so that the site does not notice.
const NOTHING: &str = "<!doctype html><title></title>";
const READ: &str = "JSON.stringify([location.origin, Object.entries(localStorage)])";
const WRITE: &str = "(entries) => { for (const [key, value] of JSON.parse(entries)) localStorage.setItem(key, value); }";

impl Session<'_> {
    /// Takes what sites have stored in this test's context.
    pub(crate) async fn take_state(&self) -> Result<StorageState, DriverError> {
        let partition = self.partition()?;
        let found = self.pages.command("storage.getCookies", partition, GRACE).await?;
        let cookies = found["cookies"].as_array().into_iter().flatten().map(settable).collect();
        let mut origins: Vec<(String, Value)> = Vec::new();
        let ours = self.user_context.as_deref().unwrap_or_default();
        let open = self.pages.events().contexts_of(ours);
        for page in open {
            let read =
                json!({ "expression": READ, "target": { "context": page }, "awaitPromise": false });
            // A page without an origin, or one that is closing, has nothing to give.
            let Ok(read) = self.pages.command("script.evaluate", read, GRACE).await else {
                continue;
            };
            let text = read["result"]["value"].as_str().unwrap_or_default();
            let Ok((origin, entries)) = serde_json::from_str::<(String, Value)>(text) else {
                continue;
            };
            let is_new = origins.iter().all(|(known, _)| *known != origin);
            if is_new && entries.as_array().is_some_and(|entries| !entries.is_empty()) {
                origins.push((origin, entries));
            }
        }
        Ok(StorageState { cookies, origins })
    }

    /// Puts a state into this test's new context.
    pub(crate) async fn give_state(&self, state: &StorageState) -> Result<(), Stop> {
        for cookie in &state.cookies {
            let mut order = self.partition()?;
            order["cookie"] = cookie.clone();
            self.pages.command("storage.setCookie", order, GRACE).await?;
        }
        if state.origins.is_empty() {
            return Ok(());
        }
        let tab = json!({ "type": "tab", "userContext": self.user_context, "background": true });
        let made = self.pages.command("browsingContext.create", tab, GRACE).await?;
        let tab = made["context"].as_str().unwrap_or_default().to_owned();
        let answered = match self.pages.devtools() {
            Some(devtools) => write_at_sites(devtools, &tab, state).await.map_err(Stop::from),
            None => self.answer_for_sites(&tab, state).await,
        };
        let close = json!({ "context": tab });
        self.pages.command("browsingContext.close", close, GRACE).await?;
        answered
    }

    /// Opens each origin in the tab without asking the site, and writes into its local storage.
    async fn answer_for_sites(&self, tab: &str, state: &StorageState) -> Result<(), Stop> {
        let order = async |method, params| self.pages.command(method, params, GRACE).await;
        let events = json!({ "events": ["network.beforeRequestSent"], "contexts": [tab] });
        let subscribed = order("session.subscribe", events).await?;
        let phases = json!({ "phases": ["beforeRequestSent"], "contexts": [tab] });
        let intercept = order("network.addIntercept", phases).await?;
        for (origin, entries) in &state.origins {
            let url = format!("{origin}/");
            let page = json!({ "context": tab, "url": url, "wait": "complete" });
            let (opened, answered) =
                tokio::join!(order("browsingContext.navigate", page), self.answer_for_site(&url));
            answered?;
            opened?;
            let write = json!({
                "functionDeclaration": WRITE, "target": { "context": tab }, "awaitPromise": false,
                "arguments": [{ "type": "string", "value": entries.to_string() }],
            });
            order("script.callFunction", write).await?;
        }
        order("network.removeIntercept", json!({ "intercept": intercept["intercept"] })).await?;
        let subscription = json!({ "subscriptions": [subscribed["subscription"]] });
        order("session.unsubscribe", subscription).await?;
        Ok(())
    }

    /// Answers the request for `url`, which the browser holds back.
    async fn answer_for_site(&self, url: &str) -> Result<(), DriverError> {
        let held = self.pages.wait_for(Instant::now() + GRACE, |events| events.held_request(url));
        let Some(request) = held.await else {
            return Err(DriverError::Hung { command: "network.beforeRequestSent", after: GRACE });
        };
        let kind =
            json!({ "name": "content-type", "value": { "type": "string", "value": "text/html" } });
        let answer = json!({
            "request": request, "statusCode": 200, "headers": [kind],
            "body": { "type": "string", "value": NOTHING },
        });
        self.pages.command("network.provideResponse", answer, GRACE).await.map(drop)
    }

    fn partition(&self) -> Result<Value, DriverError> {
        let Some(user_context) = &self.user_context else {
            return Err(DriverError::Unsupported {
                what: "keeping what sites have stored".to_owned(),
            });
        };
        Ok(json!({ "partition": { "type": "storageKey", "userContext": user_context } }))
    }
}

/// Writes into the local storage of each origin, in pages that the sites have not sent.
async fn write_at_sites(
    devtools: &DevTools,
    tab: &str,
    state: &StorageState,
) -> Result<(), DriverError> {
    for (origin, entries) in &state.origins {
        devtools.call_at_site(tab, origin, WRITE, &entries.to_string()).await?;
    }
    Ok(())
}

/// Returns a cookie as it can be set again.
fn settable(cookie: &Value) -> Value {
    let mut kept = cookie.clone();
    if let Some(fields) = kept.as_object_mut() {
        let known = ["name", "value", "domain", "path", "httpOnly", "secure", "sameSite", "expiry"];
        fields.retain(|name, _| known.contains(&name.as_str()));
        // Measured: this is how Chromium tells a cookie that says nothing of it, and how it refuses one that is not secure.
        if fields.get("sameSite").is_some_and(|it| it == "none") && cookie["secure"] != true {
            fields.remove("sameSite");
        }
    }
    kept
}

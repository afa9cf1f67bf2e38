//! Pages of a session without `BiDi`: looked at by classic commands, as often as somebody waits for something.
//!
//! Each look compares what is there with what was seen before, and tells [`Events`] of the difference as `BiDi` would have.
//! A document is known by the time at which it began (`performance.timeOrigin`). What begins and ends between two looks is
//! not seen; nothing that a step waits for does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    bidi::Events,
    driver::{Driver, GRACE, Place, lock},
    error::{DriverError, cut},
    pages::counted,
    session::{POLL, limit},
};

/// Frames of one document that are looked at, and how deep: pages full of advertisements would slow every step down.
const FRAMES_MAX: u32 = 16;
const DEPTH_MAX: u32 = 3;
/// Frames are looked at from above: to step into one would take the focus there. One of another origin shows nothing.
const LOOK: &str = "const look = (win, depth) => {
  const at = { url: '', ready: '', began: 0, frames: [] };
  try { Object.assign(at, { url: win.location.href, ready: win.document.readyState, began: win.performance.timeOrigin }); } catch (error) { return at; }
  for (let i = 0; depth > 0 && i < Math.min(win.length, arguments[0]); i++) at.frames.push(look(win[i], depth - 1));
  return at;
};
return look(window, arguments[1]);";
const DESTROYED: &str = "browsingContext.contextDestroyed";

/// The pages of one session.
#[derive(Debug)]
pub(crate) struct Classic {
    driver: Driver,
    events: Mutex<Events>,
    seen: Mutex<HashMap<String, Seen>>,
}

/// A document as it was at the last look.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    origin: f64,
    url: String,
    ready: String,
    /// The driver says that the page is, or is going, somewhere else.
    elsewhere: bool,
    /// The document is what the browser shows instead of one that it could not load.
    failed: bool,
}

impl Classic {
    pub(crate) fn new(driver: Driver) -> Self {
        Self { driver, events: Mutex::default(), seen: Mutex::default() }
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Events> {
        lock(&self.events)
    }

    pub(crate) async fn wait_for<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&Events) -> Option<T>,
    ) -> Option<T> {
        loop {
            match self.look(limit(deadline)).await {
                Err(error) if error.is_fatal() => return None,
                _ => {}
            }
            if let Some(found) = look(&self.events()) {
                return Some(found);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Does what a `BiDi` command says.
    pub(crate) async fn command(
        &self,
        method: &'static str,
        params: &Value,
        within: Duration,
    ) -> Result<Value, DriverError> {
        let context = params["context"].as_str().unwrap_or_default();
        let (page, path) = place(context);
        match method {
            "browsingContext.navigate" => {
                let url = params["url"].as_str().unwrap_or_default();
                self.navigate(context, url, within).await
            }
            "browsingContext.close" => {
                self.go(page, &path, within).await?;
                let answer = self.driver.call(Method::DELETE, "window", None, within).await;
                self.driver.lose_way();
                answer
            }
            "browsingContext.captureScreenshot" => {
                self.go(page, &path, within).await?;
                let data = self.driver.call(Method::GET, "screenshot", None, within).await?;
                Ok(json!({ "data": data }))
            }
            _ => Err(DriverError::Unsupported { what: method.to_owned() }),
        }
    }

    /// Answers the dialog that is open, if one is.
    pub(crate) async fn answer_dialog(&self, within: Duration) -> Result<(), DriverError> {
        let text = match self.driver.call(Method::GET, "alert/text", None, within).await {
            Ok(text) => text,
            Err(error) if error.is_fatal() => return Err(error),
            Err(_) => {
                self.events().held = false;
                return Ok(());
            }
        };
        if self.events().held {
            // A step will answer it.
            return Ok(());
        }
        let page = self.driver.place().map(|place| place.page);
        let dialog = json!({ "context": page, "type": "dialog", "message": text });
        let answer = self.events().take("browsingContext.userPromptOpened", &dialog);
        let Some(answer) = answer else { return Ok(()) };
        if let Some(text) = answer["userText"].as_str() {
            // Only a prompt takes a text.
            let _ = self.driver.post("alert/text", json!({ "text": text }), within).await;
        }
        let order = if answer["accept"] == true { "alert/accept" } else { "alert/dismiss" };
        match self.driver.post(order, json!({}), within).await {
            Err(error) if error.is_fatal() => Err(error),
            _ => Ok(()),
        }
    }

    async fn navigate(
        &self,
        context: &str,
        url: &str,
        within: Duration,
    ) -> Result<Value, DriverError> {
        const NAVIGATE: &str = "browsingContext.navigate";
        let deadline = Instant::now() + within;
        let (page, path) = place(context);
        self.look(within + GRACE).await?;
        let mark = self.events().mark();
        self.go(page, &path, within + GRACE).await?;
        if path.is_empty() {
            self.driver.post("url", json!({ "url": url }), within + GRACE).await?;
        } else {
            let script = json!({ "script": "location.assign(arguments[0])", "args": [url] });
            self.driver.post("execute/sync", script, within + GRACE).await?;
        }
        let arrived = self.wait_for(deadline, |events| {
            let there =
                url.contains('#') && events.context(context).is_some_and(|at| at.url == url);
            let ended = events.navigated_since(context, mark, false)
                || events.failed_since(context, mark, false);
            (there || ended).then_some(())
        });
        if arrived.await.is_none() {
            return Err(DriverError::Hung { command: NAVIGATE, after: within });
        }
        let at = self.events().context(context).map(|at| at.url.clone()).unwrap_or_default();
        // Every browser shows a page of its own instead of one that it cannot load.
        let error_page = at.starts_with("chrome-error:") || at.starts_with("about:");
        if error_page && at != url && url.starts_with("http") {
            let why = self.shown(page, &path, deadline).await;
            let message = cut(&format!("the browser shows an error page: {why}"));
            return Err(DriverError::Remote { command: NAVIGATE, status: None, message });
        }
        Ok(Value::Null)
    }

    async fn shown(&self, page: &str, path: &[u16], deadline: Instant) -> String {
        let script = json!({ "script": "return document.body.innerText", "args": [] });
        let _ = self.go(page, path, limit(deadline)).await;
        let text = self.driver.post("execute/sync", script, limit(deadline)).await;
        text.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
    }

    async fn go(&self, page: &str, path: &[u16], within: Duration) -> Result<(), DriverError> {
        let place = Place { page: page.to_owned(), path: path.to_vec() };
        self.driver.go(place, counted(path), within).await
    }

    /// Looks at all pages, and tells of what has changed.
    pub(crate) async fn look(&self, within: Duration) -> Result<(), DriverError> {
        let before = self.driver.place();
        let looked = self.look_at_all(within).await;
        if let Err(error) = &looked {
            if error.is_fatal() {
                return looked;
            }
            // A page in motion; or a dialog, which refuses every look.
            self.answer_dialog(within).await?;
        }
        if let Some(before) = before
            && self.driver.place().as_ref() != Some(&before)
            && let Err(error) = self.go(&before.page, &before.path, within).await
            && error.is_fatal()
        {
            return Err(error);
        }
        Ok(())
    }

    async fn look_at_all(&self, within: Duration) -> Result<(), DriverError> {
        let handles = self.driver.call(Method::GET, "window/handles", None, within).await?;
        let handles: Vec<_> =
            handles.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut there = Vec::new();
        for handle in &handles {
            there.push((*handle).to_owned());
            if self.events().context(handle).is_none() {
                self.tell("browsingContext.contextCreated", handle, "");
            }
            self.go(handle, &[], within).await?;
            self.look_at(handle, within, &mut there).await?;
        }
        let gone: Vec<_> =
            lock(&self.seen).keys().filter(|id| !there.contains(*id)).cloned().collect();
        for id in gone {
            lock(&self.seen).remove(&id);
            self.tell(DESTROYED, &id, "");
        }
        Ok(())
    }

    /// Looks at the page that commands go to, and at its frames.
    async fn look_at(
        &self,
        page: &str,
        within: Duration,
        there: &mut Vec<String>,
    ) -> Result<(), DriverError> {
        let look = json!({ "script": LOOK, "args": [FRAMES_MAX, DEPTH_MAX] });
        let found = self.driver.post("execute/sync", look, within).await?;
        let Some(url) = found["url"].as_str() else { return Ok(()) };
        // Some drivers say where the page is going, before it is there.
        let going = self.driver.call(Method::GET, "url", None, within).await?;
        let elsewhere = going.as_str().is_some_and(|going| going != url);
        self.note(page, &found, elsewhere && found["ready"] == "complete", there);
        Ok(())
    }

    /// Notes what a look has found in a document and those below it.
    fn note(&self, id: &str, found: &Value, elsewhere: bool, there: &mut Vec<String>) {
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        let origin = found["began"].as_f64().unwrap_or_default();
        let (url, ready) = (text("url"), text("ready"));
        self.compare(id, Seen { origin, url, ready, elsewhere, failed: false });
        for (index, frame) in found["frames"].as_array().into_iter().flatten().enumerate() {
            let child = format!("{id}/{index}");
            if self.events().context(&child).is_none() {
                let created = json!({ "context": child, "parent": id, "url": "" });
                self.events().take("browsingContext.contextCreated", &created);
            }
            self.note(&child, frame, false, there);
            there.push(child);
        }
    }

    fn compare(&self, id: &str, mut now: Seen) {
        let before = lock(&self.seen).get(id).cloned().unwrap_or_default();
        let mut ready_before = before.ready.as_str();
        #[expect(clippy::float_cmp, reason = "it is compared with itself")]
        let is_new = now.origin != before.origin;
        // An error page has no address of its own; the driver tells the one that could not be loaded.
        let error_page =
            now.url.starts_with("chrome-error:") || now.url.starts_with("about:") && now.elsewhere;
        now.failed = if is_new { error_page } else { before.failed };
        lock(&self.seen).insert(id.to_owned(), now.clone());
        if is_new {
            self.tell("browsingContext.navigationStarted", id, &now.url);
            self.tell("browsingContext.navigationCommitted", id, &now.url);
            ready_before = "loading";
        }
        if now.failed {
            if is_new {
                self.tell("browsingContext.navigationFailed", id, &now.url);
            }
            return;
        }
        if !is_new && now.url != before.url {
            self.tell("browsingContext.fragmentNavigated", id, &now.url);
        } else if !is_new && now.elsewhere && !before.elsewhere {
            self.tell("browsingContext.navigationStarted", id, &now.url);
        } else if !is_new && before.elsewhere && !now.elsewhere {
            self.tell("browsingContext.navigationAborted", id, &now.url);
        }
        if ready_before == "loading" && now.ready != "loading" {
            self.tell("browsingContext.domContentLoaded", id, &now.url);
        }
        if ready_before != "complete" && now.ready == "complete" {
            self.tell("browsingContext.load", id, &now.url);
        }
    }

    fn tell(&self, event: &str, id: &str, url: &str) {
        self.events().take(event, &json!({ "context": id, "url": url }));
    }
}

/// Reads the id of a frame: the page's handle and the way down.
fn place(context: &str) -> (&str, Vec<u16>) {
    let mut parts = context.split('/');
    let page = parts.next().unwrap_or_default();
    (page, parts.filter_map(|index| index.parse().ok()).collect())
}

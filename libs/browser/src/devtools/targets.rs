//! What the browser tells of its pages, frames and their documents, put as `BiDi` would have told it.
//!
//! Each page has a session, and each frame that has a process of its own. A new one stands still until the orders that
//! are sent to it first have been heard: nothing that it does is missed, and what it shall believe it believes from the start.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use serde_json::{Value, json};

use super::{BLANK_PATH, network::Network};
use crate::{
    bidi::Events,
    cdp::{Event, Order},
};

/// The page that no site has sent.
const BLANK: &str = "<!doctype html><html id=gauntlet-blank>";

/// Commands that make a page believe something.
pub(super) type Pretence = Vec<(&'static str, Value)>;

/// The sessions of one browser.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// The page or frame of each session.
    contexts: HashMap<String, String>,
    /// The session of each page, and of each frame that has its own.
    sessions: HashMap<String, String>,
    crashed: HashSet<String>,
    /// Frames on their way to another document, and to which.
    leaving: HashMap<String, String>,
    /// What the pages of a user context are made to believe.
    pretences: HashMap<String, Pretence>,
    /// The document of each page or frame that was asked for it, and what it is called there.
    pub(super) documents: HashMap<String, (String, String)>,
    pub(super) network: Network,
}

/// Returns how one attaches to pages, or to what is in a page, now and later.
///
/// Workers are told to go on and left alone. Measured: a service worker that is left out here, or left before it has answered,
/// waits forever.
pub(super) fn attach_to(what: Attach) -> Value {
    let filter = match what {
        Attach::Pages => json!([{ "type": "page" }, { "exclude": true }]),
        Attach::Parts => json!([{}]),
    };
    json!({
        "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true, "filter": filter,
    })
}

/// What is attached to.
pub(super) enum Attach {
    /// All pages of the browser.
    Pages,
    /// Frames and workers of a page.
    Parts,
}

/// Returns which requests are answered here.
pub(crate) fn blank_pages() -> Value {
    json!({ "patterns": [{ "urlPattern": format!("*{BLANK_PATH}") }] })
}

/// Returns the answer to a dialog, given as `BiDi` has it.
pub(super) fn answer(params: &Value) -> Value {
    let mut answer = json!({ "accept": params["accept"] != false });
    if let Some(text) = params["userText"].as_str() {
        answer["promptText"] = json!(text);
    }
    answer
}

fn text<'v>(params: &'v Value, field: &str) -> &'v str {
    params[field].as_str().unwrap_or_default()
}

impl Targets {
    /// Returns the session that a page or frame is reached by.
    pub(super) fn session_of(&self, events: &Events, context: &str) -> Option<String> {
        let mut at = context.to_owned();
        loop {
            if let Some(session) = self.sessions.get(&at) {
                return Some(session.clone());
            }
            at = events.context(&at)?.parent.clone()?;
        }
    }

    /// Tells whether a page or frame has a session of its own.
    pub(super) fn has_session(&self, context: &str) -> bool {
        self.sessions.contains_key(context)
    }

    pub(super) fn has_crashed(&self, context: &str) -> bool {
        self.crashed.contains(context)
    }

    /// Has the pages of a user context believe one more thing.
    pub(super) fn pretend(&mut self, user_context: &str, (method, params): (&'static str, Value)) {
        let all = self.pretences.entry(user_context.to_owned()).or_default();
        // A second order of the same kind would undo the first.
        match all.iter_mut().find(|(known, _)| *known == method) {
            Some((_, known)) => {
                for (field, value) in params.as_object().into_iter().flatten() {
                    if value != "" {
                        known[field] = value.clone();
                    }
                }
            }
            None => all.push((method, params)),
        }
    }

    pub(super) fn pretence(&self, user_context: Option<&str>) -> Pretence {
        user_context.and_then(|id| self.pretences.get(id)).cloned().unwrap_or_default()
    }

    /// Forgets a user context.
    pub(super) fn forget(&mut self, user_context: &str) {
        self.pretences.remove(user_context);
        self.crashed.clear();
    }

    /// Takes one event in; returns what to order because of it.
    pub(super) fn take(&mut self, events: &mut Events, event: &Event<'_>) -> Vec<Order> {
        let params = event.params;
        match event.method {
            "Target.attachedToTarget" => return self.attached(events, event),
            "Target.detachedFromTarget" => self.detached(events, text(params, "sessionId")),
            "Inspector.targetCrashed" => {
                if let Some(context) = self.contexts.get(event.session) {
                    self.crashed.insert(context.clone());
                }
                self.detached(events, event.session);
            }
            "Fetch.requestPaused" => return vec![fulfil(event)],
            "Page.javascriptDialogOpening" => return self.dialog(events, event),
            "Page.javascriptDialogClosed" => {
                let context = self.contexts.get(event.session);
                events.take("browsingContext.userPromptClosed", &json!({ "context": context }));
            }
            method if method.starts_with("Page.") => self.page(events, method, params),
            method => {
                if let Some(context) = self.contexts.get(event.session) {
                    self.network.take(events, context, method, params);
                }
            }
        }
        Vec::new()
    }

    fn attached(&mut self, events: &mut Events, event: &Event<'_>) -> Vec<Order> {
        let (session, info) = (text(event.params, "sessionId"), &event.params["targetInfo"]);
        let (context, is_page) = (text(info, "targetId"), info["type"] == "page");
        let order = |method, params| Order::new(session, method, params);
        let go_on = order("Runtime.runIfWaitingForDebugger", json!({}));
        // A page that is loaded in advance is none yet.
        if !text(info, "subtype").is_empty() || !(is_page || info["type"] == "iframe") {
            let session = json!({ "sessionId": session });
            let detach = Order::new(event.session, "Target.detachFromTarget", session);
            return vec![Order { then: Some(Box::new(detach)), ..go_on }];
        }
        self.contexts.insert(session.to_owned(), context.to_owned());
        self.sessions.insert(context.to_owned(), session.to_owned());
        if is_page || events.context(context).is_none() {
            let parent = (!is_page).then(|| self.contexts.get(event.session));
            let created = json!({
                "context": context, "url": info["url"], "parent": parent,
                "userContext": is_page.then(|| &info["browserContextId"]),
            });
            events.take("browsingContext.contextCreated", &created);
        }
        let user_context = events.context(context).map(|context| context.user_context.clone());
        let pretence = self.pretence(user_context.as_deref());
        let told = self.network.orders(user_context.as_deref());
        let last = order("Page.setLifecycleEventsEnabled", json!({ "enabled": true }));
        // If it went on sooner, it might be in another process before this one has heard them all. But measured: what a link
        // opens in a new window hears nothing until it goes on.
        let (then, at_once) = match info["openerId"].is_string() {
            true => (None, Some(go_on)),
            false => (Some(Box::new(go_on)), None),
        };
        [
            ("Inspector.enable", json!({})),
            ("Page.enable", json!({})),
            ("Target.setAutoAttach", attach_to(Attach::Parts)),
        ]
        .into_iter()
        .chain(pretence)
        .chain(told)
        .map(|(method, params)| order(method, params))
        .chain([Order { then, ..last }])
        .chain(at_once)
        .collect()
    }

    /// A page that was closed, or a frame that went with its process.
    fn detached(&mut self, events: &mut Events, session: &str) {
        let Some(context) = self.contexts.remove(session) else { return };
        // A frame that came back into its parent's process has no session of its own any more.
        if self.sessions.get(&context).is_some_and(|its| its == session) {
            self.sessions.remove(&context);
            self.destroy(events, &context);
        }
    }

    fn destroy(&mut self, events: &mut Events, context: &str) {
        events.take("browsingContext.contextDestroyed", &json!({ "context": context }));
        self.leaving.retain(|frame, _| events.context(frame).is_some());
        self.documents.remove(context);
    }

    fn dialog(&mut self, events: &mut Events, event: &Event<'_>) -> Vec<Order> {
        let (Some(context), params) = (self.contexts.get(event.session), event.params) else {
            return Vec::new();
        };
        let mut opened = json!({
            "context": context, "type": params["type"], "message": params["message"],
        });
        if !text(params, "defaultPrompt").is_empty() {
            opened["defaultValue"] = params["defaultPrompt"].clone();
        }
        let answered = events.take("browsingContext.userPromptOpened", &opened);
        let order =
            |params| Order::new(event.session, "Page.handleJavaScriptDialog", answer(&params));
        answered.map(order).into_iter().collect()
    }

    /// What documents do.
    fn page(&mut self, events: &mut Events, method: &str, params: &Value) {
        let frame = text(params, "frameId");
        let at_frame = json!({ "context": frame });
        match method {
            "Page.frameAttached" => {
                // One that comes back from a process of its own is known.
                let was_apart = self.sessions.remove(frame).is_some();
                if !was_apart && events.context(frame).is_none() {
                    let created = json!({ "context": frame, "parent": params["parentFrameId"] });
                    events.take("browsingContext.contextCreated", &created);
                }
            }
            "Page.frameSubtreeWillBeDetached" => self.destroy(events, frame),
            // Another reason is that it goes on in a process of its own.
            "Page.frameDetached" if params["reason"] == "remove" => self.destroy(events, frame),
            "Page.frameRequestedNavigation" => events.request(),
            "Page.frameStartedNavigating" => {
                let within = matches!(
                    text(params, "navigationType"),
                    "sameDocument" | "historySameDocument"
                );
                if !within {
                    self.leaving.insert(frame.to_owned(), text(params, "loaderId").to_owned());
                    events.take("browsingContext.navigationStarted", &at_frame);
                }
            }
            "Page.frameNavigated" => self.arrived(events, params),
            "Page.navigatedWithinDocument" => {
                let within = json!({ "context": frame, "url": params["url"] });
                events.take("browsingContext.fragmentNavigated", &within);
            }
            "Page.lifecycleEvent" => match text(params, "name") {
                "DOMContentLoaded" => {
                    events.take("browsingContext.domContentLoaded", &at_frame);
                }
                "load" => {
                    let loaded = json!({ "context": frame, "navigation": params["loaderId"] });
                    events.take("browsingContext.load", &loaded);
                }
                _ => {}
            },
            // It stops without an arrival where there is no document, as for a download.
            "Page.frameStoppedLoading" if self.leaving.remove(frame).is_some() => {
                events.take("browsingContext.navigationAborted", &at_frame);
            }
            _ => {}
        }
    }

    /// A frame has another document.
    fn arrived(&mut self, events: &mut Events, params: &Value) {
        let frame = &params["frame"];
        let (id, url) = (text(frame, "id"), text(frame, "url"));
        // Those of the document before went with it; not of all of them that is told.
        for child in events.children(id) {
            self.destroy(events, &child);
        }
        let at = |url: &str| json!({ "context": id, "url": url });
        let announced = self.leaving.remove(id);
        if announced.as_deref() != frame["loaderId"].as_str() && url != "about:blank" {
            events.take("browsingContext.navigationStarted", &at(url));
        }
        if let Some(wanted) = frame["unreachableUrl"].as_str() {
            events.take("browsingContext.navigationFailed", &at(wanted));
            return;
        }
        let url = format!("{url}{}", text(frame, "urlFragment"));
        let committed = json!({ "context": id, "url": url, "navigation": frame["loaderId"] });
        events.take("browsingContext.navigationCommitted", &committed);
        if params["type"] == "BackForwardCacheRestore" {
            // It was loaded before.
            events.take("browsingContext.domContentLoaded", &at(&url));
            let loaded = json!({ "context": id, "navigation": frame["loaderId"] });
            events.take("browsingContext.load", &loaded);
        }
    }
}

/// Answers a request in place of the site.
fn fulfil(event: &Event<'_>) -> Order {
    let body = base64::engine::general_purpose::STANDARD.encode(BLANK);
    let params = json!({
        "requestId": event.params["requestId"], "responseCode": 200, "body": body,
        "responseHeaders": [{ "name": "content-type", "value": "text/html" }],
    });
    Order::new(event.session, "Fetch.fulfillRequest", params)
}

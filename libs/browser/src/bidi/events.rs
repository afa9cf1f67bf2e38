//! What the pages of a browser have done: which exist, how far each navigation got, which dialogs opened.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use url::Url;

use crate::{
    DialogPolicy, Logs,
    reset::{self, Traces},
};

/// One page or frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    pub(crate) url: String,
    pub(crate) user_context: String,
    pub(crate) parent: Option<String>,
    /// When it was created; siblings are ordered by it.
    pub(crate) created: u64,
    /// The document whose `load` came last, by the id of its navigation.
    pub(crate) document: String,
    /// The document that is there, by the same; empty where nobody tells.
    pub(crate) current: String,
    started: u64,
    ready: u64,
    loaded: u64,
    within: u64,
    ended: u64,
    failed: u64,
}

/// Everything seen so far; times are numbers of events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    now: u64,
    contexts: HashMap<String, Context>,
    /// When a document was last asked to go to another one, where that is told.
    pub(crate) requested: u64,
    pub(crate) dialogs: DialogPolicy,
    pub(crate) dialog_count: u32,
    /// Console and network, while they are subscribed to.
    pub(crate) logs: Logs,
    /// Text of the first dialog that the policy forbids.
    pub(crate) forbidden: Option<String>,
    /// Whether dialogs stay open until a step answers them, instead of being answered by policy.
    pub(crate) hold: bool,
    /// Whether one is open that waits for such a step.
    pub(crate) held: bool,
    /// The dialog that nobody has answered.
    pub(crate) open_dialog: Option<Dialog>,
    /// The user context of the test that runs.
    ours: Option<String>,
    /// Origins that its pages and frames have loaded something of.
    origins: Vec<String>,
    /// Whether they have loaded what has no origin of its own: a file, or a frame of another site.
    elsewhere: bool,
    /// URL and id of the requests that are held back until they are answered for the site.
    held_requests: HashMap<String, String>,
    /// What a step has said beforehand about the dialogs to come.
    pub(crate) planned: VecDeque<Answer>,
}

/// A dialog of a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialog {
    pub(crate) page: String,
    pub(crate) message: String,
    /// What a prompt says before anybody writes into it.
    pub(crate) default: Option<String>,
}

/// What becomes of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Accepted; a prompt with this text, or else with its own.
    Accept(Option<String>),
    Dismiss,
}

impl Events {
    /// Forgets the test before.
    pub(crate) fn start_test(
        &mut self,
        dialogs: DialogPolicy,
        logs: bool,
        user_context: Option<&str>,
    ) {
        self.ours = user_context.map(str::to_owned);
        self.open_dialog = None;
        self.origins.clear();
        self.elsewhere = false;
        self.dialogs = dialogs;
        self.dialog_count = 0;
        self.logs = Logs::start(logs);
        self.forbidden = None;
        (self.hold, self.held) = (false, false);
        self.planned.clear();
        self.held_requests.clear();
    }

    /// Returns the request for `url` that is held back.
    pub(crate) fn held_request(&self, url: &str) -> Option<String> {
        self.held_requests.get(url).cloned()
    }

    /// Returns the pages and frames of a user context.
    pub(crate) fn contexts_of(&self, user_context: &str) -> Vec<String> {
        let ours = self.contexts.iter().filter(|(_, context)| context.user_context == user_context);
        ours.map(|(id, _)| id.clone()).collect()
    }

    /// Answers dialogs by policy from now on, and says what the test has left, as far as events tell; `main` is its own page.
    pub(crate) fn end_test(&mut self, main: &str) -> Traces {
        self.hold = false;
        let ours = |context: &Context| Some(&context.user_context) == self.ours.as_ref();
        let windows = self.contexts.iter().filter(|(id, context)| {
            ours(context) && context.parent.is_none() && id.as_str() != main
        });
        Traces {
            windows: windows.map(|(id, _)| id.clone()).collect(),
            dialog: self.open_dialog.take().map(|dialog| dialog.page),
            lasting: reset::lasting(&self.origins, self.elsewhere),
            origins: std::mem::take(&mut self.origins),
            ..Traces::default()
        }
    }

    /// Returns the present, to ask later what came after it.
    pub(crate) fn mark(&self) -> u64 {
        self.now
    }

    pub(crate) fn context(&self, id: &str) -> Option<&Context> {
        self.contexts.get(id)
    }

    /// Returns the page with exactly this URL, or else a frame with it.
    pub(crate) fn find_url(&self, user_context: Option<&str>, url: &str) -> Option<String> {
        let mut hits: Vec<_> = self
            .contexts
            .iter()
            .filter(|(_, context)| user_context.is_none_or(|ours| context.user_context == ours))
            .filter(|(_, context)| context.url == url)
            .collect();
        hits.sort_by_key(|(_, context)| (context.parent.is_some(), context.created));
        hits.first().map(|(id, _)| (*id).clone())
    }

    /// Returns the top-level page of a context, and the way down to it as child indices.
    pub(crate) fn path_of(&self, id: &str) -> (String, Vec<u16>) {
        let (mut top, mut path) = (id.to_owned(), Vec::new());
        while let Some(parent) = self.contexts.get(&top).and_then(|context| context.parent.clone())
        {
            let index = self.children(&parent).iter().position(|child| *child == top).unwrap_or(0);
            path.push(u16::try_from(index).unwrap_or(u16::MAX));
            top = parent;
        }
        path.reverse();
        (top, path)
    }

    /// Returns the frame at a path below a page.
    pub(crate) fn frame_at(&self, page: &str, path: &[u16]) -> Option<String> {
        path.iter().try_fold(page.to_owned(), |context, index| {
            self.children(&context).get(usize::from(*index)).cloned()
        })
    }

    /// Returns the frames of a page or frame, in the order in which they were made.
    pub(crate) fn children(&self, parent: &str) -> Vec<String> {
        let mut all: Vec<_> = self
            .contexts
            .iter()
            .filter(|(_, context)| context.parent.as_deref() == Some(parent))
            .collect();
        all.sort_by_key(|(_, context)| context.created);
        all.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// Tells whether a navigation that started after `mark` has finished in this page; with `frames` also in one of its frames.
    pub(crate) fn navigated_since(&self, page: &str, mark: u64, frames: bool) -> bool {
        self.contexts.iter().any(|(id, context)| {
            let counts = id == page || (frames && self.path_of(id).0 == page);
            counts
                && (context.within > mark
                    || (context.started > mark
                        && context.loaded > context.started
                        && context.failed < context.started))
        })
    }

    /// Tells whether the last navigation after `mark` in this page, or with `frames` in one of its frames, ended on an error
    /// page. An error page also loads.
    pub(crate) fn failed_since(&self, page: &str, mark: u64, frames: bool) -> bool {
        self.contexts.iter().any(|(id, context)| {
            let counts = id == page || (frames && self.path_of(id).0 == page);
            counts && context.failed > mark && context.failed > context.started
        })
    }

    /// Tells whether the browser's own page about a failure after `mark` is there.
    pub(crate) fn shows_failure(&self, page: &str, mark: u64) -> bool {
        let context = self.contexts.get(page);
        context.is_none_or(|page| page.failed > mark && page.loaded > page.failed)
    }

    /// Tells whether a navigation has started after `mark` in this page.
    pub(crate) fn started_since(&self, page: &str, mark: u64) -> bool {
        self.contexts.get(page).is_some_and(|context| context.started > mark)
    }

    /// Tells whether a page is on its way to another document.
    pub(crate) fn is_leaving(&self, page: &str) -> bool {
        self.contexts
            .get(page)
            .is_some_and(|context| context.started > context.ready.max(context.ended))
    }

    /// Returns a page of the user context that was opened after `mark`, the first if there are more.
    pub(crate) fn opened_since(&self, user_context: Option<&str>, mark: u64) -> Option<String> {
        self.contexts
            .iter()
            .filter(|(_, page)| page.parent.is_none() && page.created > mark)
            .filter(|(_, page)| user_context.is_none_or(|ours| page.user_context == ours))
            .min_by_key(|(_, page)| page.created)
            .map(|(id, _)| id.clone())
    }

    /// Returns the test's page that was created last.
    pub(crate) fn newest_page(&self) -> Option<String> {
        let pages = self.contexts.iter().filter(|(_, context)| {
            let ours = self.ours.as_ref().is_none_or(|ours| context.user_context == *ours);
            ours && context.parent.is_none()
        });
        pages.max_by_key(|(_, context)| context.created).map(|(id, _)| id.clone())
    }

    /// Notes that a document was asked to go to another one.
    pub(crate) fn request(&mut self) {
        self.now += 1;
        self.requested = self.now;
    }

    /// Takes one event in; returns the parameters of the answer if it is a dialog.
    pub(crate) fn take(&mut self, method: &str, params: &Value) -> Option<Value> {
        self.now += 1;
        let now = self.now;
        let id = params["context"].as_str().unwrap_or_default().to_owned();
        let url = params["url"].as_str().map(str::to_owned);
        let Some(event) = method.strip_prefix("browsingContext.") else {
            if method == "network.beforeRequestSent" && params["isBlocked"] == true {
                let text = |field: &str| params["request"][field].as_str().map(str::to_owned);
                self.held_requests.extend(text("url").zip(text("request")));
            }
            let page = params["context"].as_str().or(params["source"]["context"].as_str());
            // What a page that is gone said is about the test before.
            if page.is_none_or(|page| self.contexts.contains_key(page)) {
                self.logs.take(method, params);
            }
            return None;
        };
        match event {
            "contextCreated" => self.create(id, params),
            "contextDestroyed" => {
                self.remove(&id);
            }
            "userPromptOpened" => return self.dialog(&id, params),
            "userPromptClosed" => (self.held, self.open_dialog) = (false, None),
            event => {
                let context = self.contexts.get_mut(&id)?;
                match event {
                    "navigationStarted" => context.started = now,
                    "navigationCommitted" => {
                        params["navigation"]
                            .as_str()
                            .unwrap_or_default()
                            .clone_into(&mut context.current);
                        context.url = url?;
                        self.visit(&id);
                    }
                    "domContentLoaded" => context.ready = now,
                    "load" => {
                        context.loaded = now;
                        params["navigation"]
                            .as_str()
                            .unwrap_or_default()
                            .clone_into(&mut context.document);
                    }
                    "fragmentNavigated" | "historyUpdated" => {
                        context.within = now;
                        context.url = url?;
                    }
                    "navigationFailed" => (context.ended, context.failed) = (now, now),
                    "navigationAborted" | "downloadWillBegin" => context.ended = now,
                    _ => {}
                }
            }
        }
        None
    }

    fn create(&mut self, id: String, params: &Value) {
        let text = |field: &str| params[field].as_str().map(str::to_owned);
        let parent = text("parent");
        let inherited = parent
            .as_ref()
            .and_then(|parent| self.contexts.get(parent))
            .map(|parent| parent.user_context.clone());
        let user_context = text("userContext").or(inherited).unwrap_or_default();
        let url = text("url").unwrap_or_default();
        let context =
            Context { url, user_context, parent, created: self.now, ..Context::default() };
        self.contexts.insert(id.clone(), context);
        self.visit(&id);
    }

    /// Forgets a page or frame, and all frames below it.
    fn remove(&mut self, id: &str) {
        self.contexts.remove(id);
        for child in self.children(id) {
            self.remove(&child);
        }
    }

    /// Notes where the running test has been.
    fn visit(&mut self, id: &str) {
        let Some(context) = self.contexts.get(id) else { return };
        if self.ours.as_ref() != Some(&context.user_context) {
            return;
        }
        let origin = match Url::parse(&context.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https" | "blob") => url.origin(),
            Ok(url) if matches!(url.scheme(), "file" | "filesystem") => {
                self.elsewhere = true;
                return;
            }
            // What inherits its origin, or has one that it shares with nobody.
            _ => return,
        };
        let top = self.contexts.get(&self.path_of(id).0).map(|top| Url::parse(&top.url));
        // What a site keeps in the frame of another one is kept apart from what it keeps in pages of its own.
        self.elsewhere |= !matches!(top, Some(Ok(top)) if top.origin() == origin);
        let origin = origin.ascii_serialization();
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
    }

    /// Returns the answer to a dialog; `None` if it stays open.
    fn dialog(&mut self, id: &str, params: &Value) -> Option<Value> {
        self.dialog_count += 1;
        let leaving = params["type"] == "beforeunload";
        let planned = if leaving { None } else { self.planned.pop_front() };
        let text = params["defaultValue"].as_str();
        let (accept, text) = match planned {
            Some(Answer::Accept(answer)) => (true, answer.or_else(|| text.map(str::to_owned))),
            Some(Answer::Dismiss) => (false, None),
            None if self.hold && !leaving => {
                self.held = true;
                self.open_dialog = Some(Dialog {
                    page: id.to_owned(),
                    message: params["message"].as_str().unwrap_or_default().to_owned(),
                    default: text.map(str::to_owned),
                });
                return None;
            }
            None => {
                if self.dialogs == DialogPolicy::Fail && !leaving {
                    self.forbid(params);
                }
                let accept = leaving || self.dialogs == DialogPolicy::Accept;
                (accept, text.filter(|_| accept).map(str::to_owned))
            }
        };
        let mut answer = json!({ "context": id, "accept": accept });
        if let Some(text) = text {
            answer["userText"] = json!(text);
        }
        Some(answer)
    }

    fn forbid(&mut self, params: &Value) {
        let (kind, message) =
            (params["type"].as_str().unwrap_or("dialog"), params["message"].as_str().unwrap_or(""));
        self.forbidden.get_or_insert_with(|| crate::error::cut(&format!("{kind}: {message}")));
    }
}

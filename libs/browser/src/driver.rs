//! Classic `WebDriver` commands through fantoccini, each with a name and a deadline.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fantoccini::{Client, wd::WebDriverCompatibleCommand};
use http::Method;
use serde_json::{Map, Value, json};
use url::{ParseError, Url};

use crate::{
    LaunchError,
    endpoint::{Endpoint, Opened, connector},
    error::{DriverError, cut},
    lift::lift,
};

/// How long a command may take beyond what the page was given, before driver and browser count as hung.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// One session of one driver.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    client: Client,
    pub(crate) id: String,
    capabilities: Arc<Map<String, Value>>,
    /// Only elements at the top of a script's arguments are recognised.
    lifts: bool,
    way: Arc<Mutex<Way>>,
}

/// Where commands go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) page: String,
    /// The frame, as which of the frames in the order in which they were made, from the page down.
    pub(crate) path: Vec<u16>,
}

impl Place {
    pub(crate) fn page(page: &str) -> Self {
        Self { page: page.to_owned(), path: Vec::new() }
    }
}

/// Where the driver is, as far as that is known, and where it has to go before its next command.
#[derive(Debug, Default)]
struct Way {
    at: Option<Place>,
    ahead: Option<(Place, Turns)>,
}

/// What the driver is told, one after the other, to come from a page to a frame in it: the element that holds the next frame, or
/// which of the document's frames it is. The driver's count is not the browser's, and leaves out or takes in shadow trees.
pub(crate) type Turns = Vec<Value>;

/// Never poisoned in effect: what is guarded is plain data, whole after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A command below `/session/{id}/`. fantoccini prints commands in logs, so `Debug` leaves the body out: it may hold a secret.
struct Call {
    method: Method,
    path: Cow<'static, str>,
    body: Option<Value>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl WebDriverCompatibleCommand for Call {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (self.method.clone(), self.body.as_ref().map(Value::to_string))
    }
}

impl Driver {
    /// Speaks to a session that is open.
    pub(crate) async fn attach(endpoint: &Endpoint, opened: Opened) -> Result<Self, LaunchError> {
        let base = endpoint.base();
        let connector = connector(base.scheme() == "https");
        let client = Client::with_existing_session(base.as_str(), &opened.id, connector)
            .await
            .map_err(|error| LaunchError::Session { detail: cut(&error.to_string()) })?;
        // It would close the session behind our back, at a time of its own and without saying who we are.
        let _ = client.persist().await;
        let Opened { id, capabilities } = opened;
        let sees_all = |key: &String| key.starts_with("goog:") || key.starts_with("moz:");
        let lifts = !capabilities.keys().any(sees_all);
        Ok(Self { client, id, capabilities: capabilities.into(), lifts, way: Arc::default() })
    }

    /// Returns a capability that the driver granted.
    pub(crate) fn capability(&self, name: &str) -> Option<&Value> {
        self.capabilities.get(name)
    }

    /// Returns the ports of this machine at which driver and browser take orders: no page's business.
    pub(crate) fn ports(&self, endpoint: &Endpoint) -> Vec<u16> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let bidi = self.capability("webSocketUrl").map(text);
        let debugger = self
            .capability("goog:chromeOptions")
            .map(|options| format!("http://{}", text(&options["debuggerAddress"])));
        let told = bidi.into_iter().chain(debugger).filter_map(|url| Url::parse(&url).ok());
        told.chain([endpoint.base().clone()]).filter_map(|url| url.port()).collect()
    }

    /// Tells whether commands of the Chrome `DevTools` protocol are taken.
    pub(crate) fn has_cdp(&self) -> bool {
        self.capability("goog:chromeOptions").is_some()
    }

    /// Sends a command and waits at most `limit`.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &'static str,
        body: Option<Value>,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        self.issue(Call { method, path: path.into(), body }, path, limit).await
    }

    /// Asks about an element; `path` names it.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let call = Call { method, path: path.to_owned().into(), body: None };
        self.issue(call, "element", limit).await
    }

    /// Sends a POST about an element; `path` names it.
    pub(crate) async fn tell(
        &self,
        path: &str,
        body: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let call = Call { method: Method::POST, path: path.to_owned().into(), body: Some(body) };
        self.issue(call, "element", limit).await
    }

    async fn issue(
        &self,
        call: Call,
        command: &'static str,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let ahead = {
            let way = lock(&self.way);
            way.ahead.clone().filter(|(place, _)| way.at.as_ref() != Some(place))
        };
        if let Some((place, turns)) = ahead {
            self.walk(place, turns, limit).await?;
        }
        self.send(call, command, limit).await
    }

    async fn send(
        &self,
        call: Call,
        command: &'static str,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        match tokio::time::timeout(limit, self.client.issue_cmd(call)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(DriverError::from_cmd(command, &error)),
            Err(_) => Err(DriverError::Hung { command, after: limit }),
        }
    }

    /// Sends the following commands to a page, and in it to the frame that the turns lead to.
    pub(crate) async fn go(
        &self,
        place: Place,
        turns: Turns,
        limit: Duration,
    ) -> Result<(), DriverError> {
        lock(&self.way).ahead = None;
        self.walk(place, turns, limit).await
    }

    /// As [`Driver::go`], but the driver only goes there with the next command that it gets: often there is none.
    pub(crate) fn head_for(&self, place: Place, turns: Turns) {
        let mut way = lock(&self.way);
        if !place.path.is_empty() {
            // The frame that is there now may be another one.
            way.at = None;
        }
        way.ahead = Some((place, turns));
    }

    async fn walk(&self, place: Place, turns: Turns, limit: Duration) -> Result<(), DriverError> {
        let at = lock(&self.way).at.take();
        let here = at.as_ref().is_some_and(|at| at.page == place.page);
        if !here {
            self.turn("window", json!({ "handle": place.page }), limit).await?;
        }
        // The driver remembers a frame for each page.
        if !here || at.is_some_and(|at| !at.path.is_empty()) {
            self.turn("frame", json!({ "id": null }), limit).await?;
        }
        for turn in turns {
            self.turn("frame", json!({ "id": turn }), limit).await?;
        }
        lock(&self.way).at = Some(place);
        Ok(())
    }

    async fn turn(
        &self,
        path: &'static str,
        body: Value,
        limit: Duration,
    ) -> Result<(), DriverError> {
        let call = Call { method: Method::POST, path: path.into(), body: Some(body) };
        self.send(call, path, limit).await.map(drop)
    }

    /// Returns which page and frame commands go to, if that is known.
    pub(crate) fn place(&self) -> Option<Place> {
        let way = lock(&self.way);
        way.ahead.as_ref().map(|(place, _)| place).or(way.at.as_ref()).cloned()
    }

    /// Tells whether the driver itself has been to the page that commands go to.
    pub(crate) fn is_there(&self) -> bool {
        lock(&self.way).at.is_some()
    }

    /// Tells whether the driver cannot be reached any more.
    pub(crate) async fn is_lost(&self) -> bool {
        const HANDLES: &str = "window/handles";
        let call = Call { method: Method::GET, path: HANDLES.into(), body: None };
        matches!(self.send(call, HANDLES, GRACE).await, Err(DriverError::Lost { .. }))
    }

    /// Forgets where the driver is.
    pub(crate) fn lose_way(&self) {
        lock(&self.way).at = None;
    }

    /// Forgets where commands go: nothing of that is to be used again.
    pub(crate) fn leave(&self) {
        *lock(&self.way) = Way::default();
    }

    /// Sends a POST.
    pub(crate) async fn post(
        &self,
        path: &'static str,
        body: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let body = if self.lifts && path.starts_with("execute/") { lift(body) } else { body };
        self.call(Method::POST, path, Some(body), limit).await
    }

    /// Sends a command of the Chrome `DevTools` protocol to the current page.
    pub(crate) async fn cdp(
        &self,
        command: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        if !self.has_cdp() {
            return Err(DriverError::Unsupported { what: command.to_owned() });
        }
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": params }), limit).await
    }
}

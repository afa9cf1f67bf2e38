//! Classic `WebDriver` commands through fantoccini, each with a name and a deadline.

use std::{borrow::Cow, time::Duration};

use fantoccini::{Client, ClientBuilder, wd::WebDriverCompatibleCommand};
use http::Method;
use serde_json::{Map, Value, json};
use url::{ParseError, Url};

use crate::{
    LaunchError,
    error::{DriverError, cut},
};

/// How long a command may take beyond what the page was given, before driver and browser count as hung.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// One session of one driver.
#[derive(Debug)]
pub(crate) struct Driver {
    client: Client,
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
    /// Opens a session, which starts the browser.
    pub(crate) async fn connect(
        port: u16,
        capabilities: Map<String, Value>,
    ) -> Result<Self, LaunchError> {
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let client = ClientBuilder::new(connector)
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}/"))
            .await
            .map_err(|error| LaunchError::Session { detail: cut(&error.to_string()) })?;
        Ok(Self { client })
    }

    /// Returns a capability that the driver granted.
    pub(crate) fn capability(&self, name: &str) -> Option<Value> {
        self.client.capabilities().and_then(|all| all.get(name)).cloned()
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
        match tokio::time::timeout(limit, self.client.issue_cmd(call)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(DriverError::from_cmd(command, &error)),
            Err(_) => Err(DriverError::Hung { command, after: limit }),
        }
    }

    /// Sends a POST.
    pub(crate) async fn post(
        &self,
        path: &'static str,
        body: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        self.call(Method::POST, path, Some(body), limit).await
    }

    /// Sends a command of the Chrome `DevTools` protocol to the current page.
    pub(crate) async fn cdp(
        &self,
        command: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": params }), limit).await
    }
}

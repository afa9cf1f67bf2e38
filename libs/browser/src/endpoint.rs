//! A W3C `WebDriver` endpoint outside of any session: is it ready, open a session, close one.
//!
//! These are the calls that fantoccini cannot make on a second connection or take back. Everything within a session goes
//! through [`crate::driver`].

use std::{fmt, sync::OnceLock, time::Duration};

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Map, Value, json};
use url::Url;

use crate::error::cut;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long `GET /status` may take.
pub(crate) const STATUS_LIMIT: Duration = Duration::from_secs(5);
/// How long `DELETE /session` may take: an abort waits for it no longer.
pub(crate) const DELETE_LIMIT: Duration = Duration::from_secs(1);

/// How requests reach an endpoint.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// Where sessions come from.
#[derive(Clone)]
pub(crate) struct Endpoint {
    base: Url,
    http: Client<Connector, Full<Bytes>>,
}

/// A session that has just been opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) id: String,
    pub(crate) capabilities: Map<String, Value>,
}

/// Why an endpoint did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    /// No answer, or not one of `WebDriver`.
    #[error("{0}")]
    Unreachable(String),
    /// It answered that it cannot.
    #[error("{status}: {message}")]
    Refused { status: u16, message: String },
}

impl EndpointError {
    /// Tells whether the endpoint itself is in trouble, rather than the request.
    pub(crate) fn is_trouble(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            // `session not created` is a 500, too: a grid that cannot start browsers is in trouble all the same.
            Self::Refused { status, .. } => *status >= 500,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without user and password.
        write!(f, "{}", self.origin())
    }
}

impl Endpoint {
    /// Returns the endpoint of a driver on this machine.
    pub(crate) fn local(port: u16) -> Self {
        let base = Url::parse(&format!("http://127.0.0.1:{port}/"));
        Self::new(base.unwrap_or_else(|_| unreachable!("a number makes a port")))
    }

    /// Returns the endpoint at `base`, whose path ends in a slash; its user and password go into every request.
    pub(crate) fn new(base: Url) -> Self {
        let http = Client::builder(TokioExecutor::new()).build(connector(base.scheme() == "https"));
        Self { base, http }
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Returns its address, for people.
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Returns the header that shows who we are.
    pub(crate) fn authorization(&self) -> Option<String> {
        let (user, password) = (self.base.username(), self.base.password());
        (!user.is_empty() || password.is_some()).then(|| {
            let pair = format!("{user}:{}", password.unwrap_or_default());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        })
    }

    /// Asks how it is.
    pub(crate) async fn status(&self) -> Result<Value, EndpointError> {
        limited(STATUS_LIMIT, self.send(Method::GET, "status", None)).await
    }

    /// Opens a session, however long that takes.
    pub(crate) async fn open(
        &self,
        capabilities: &Map<String, Value>,
    ) -> Result<Opened, EndpointError> {
        let body = json!({ "capabilities": { "alwaysMatch": capabilities, "firstMatch": [{}] } });
        let mut answer = self.send(Method::POST, "session", Some(body)).await?;
        match (answer["sessionId"].take(), answer["capabilities"].take()) {
            (Value::String(id), Value::Object(capabilities)) => Ok(Opened { id, capabilities }),
            _ => Err(EndpointError::Unreachable("it gave no session".to_owned())),
        }
    }

    /// Closes a session, on a connection of its own, within [`DELETE_LIMIT`].
    pub(crate) async fn close(&self, id: &str) -> Result<(), EndpointError> {
        let path = format!("session/{id}");
        limited(DELETE_LIMIT, self.send(Method::DELETE, &path, None)).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, EndpointError> {
        let unreachable =
            |error: &dyn std::error::Error| EndpointError::Unreachable(cut(&chain(error)));
        let mut url = self.base.join(path).map_err(|error| unreachable(&error))?;
        let _ = (url.set_username(""), url.set_password(None));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        if let Some(authorization) = self.authorization() {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::from(body)).map_err(|error| unreachable(&error))?;
        let answer = self.http.request(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| unreachable(error.as_ref()))?.to_bytes();
        read(status, &body)
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<Value, EndpointError> {
    let value = serde_json::from_slice::<Value>(body).map(|mut answer| answer["value"].take());
    match value {
        Ok(value) if status.is_success() => Ok(value),
        Err(_) if status.is_success() => {
            Err(EndpointError::Unreachable("it does not speak WebDriver".to_owned()))
        }
        value => {
            let message = value.ok().and_then(|value| value["message"].as_str().map(str::to_owned));
            let message = message.filter(|message| !message.is_empty());
            let message = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
            let first = message.lines().next().unwrap_or_default();
            Err(EndpointError::Refused { status: status.as_u16(), message: cut(first) })
        }
    }
}

async fn limited<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, EndpointError>>,
) -> Result<T, EndpointError> {
    tokio::time::timeout(limit, call)
        .await
        .unwrap_or_else(|_| Err(EndpointError::Unreachable(format!("no answer in {limit:?}"))))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Returns a connector; only one that is used with TLS costs reading the machine's certificates, and that once.
pub(crate) fn connector(tls: bool) -> Connector {
    static VERIFYING: OnceLock<Connector> = OnceLock::new();
    if tls { VERIFYING.get_or_init(verifying).clone() } else { bare() }
}

fn verifying() -> Connector {
    let provider = rustls::crypto::ring::default_provider();
    match HttpsConnectorBuilder::new().with_provider_and_platform_verifier(provider) {
        Ok(builder) => builder.https_or_http().enable_http1().wrap_connector(tcp()),
        Err(error) => {
            tracing::error!(%error, "no certificates to check others with, so no https endpoint can be used");
            bare()
        }
    }
}

/// Trusts nobody: it is for endpoints without TLS.
fn bare() -> Connector {
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("ring speaks every version of TLS that is built in"))
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(config);
    builder.https_or_http().enable_http1().wrap_connector(tcp())
}

/// Sends at once what a command consists of: a small part would wait until the other end has confirmed the one before.
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    // The other layer sees to that.
    tcp.enforce_http(false);
    tcp
}

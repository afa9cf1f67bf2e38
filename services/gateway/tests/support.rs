//! A gateway for one test, and a peer whose every frame the test decides.

use axum::Router;
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use gauntlet_gateway::{App, Config};
use gauntlet_rpc::{Peer, Server};
use gauntlet_runtime::Lifecycle;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::StreamBody;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::service::Routes;
use tower::ServiceExt as _;

/// Longest wait for anything that is not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A gateway; it and its peers are killed with this value.
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.lifecycle.kill();
    }
}

impl Gateway {
    /// Starts a gateway whose three peers are the same one.
    pub(crate) async fn before(peer: &str) -> Self {
        Self::with(config(peer)).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let lifecycle = Lifecycle::new();
        let app = App::build(&config, &lifecycle).await.unwrap();
        let addr = app.addr();
        lifecycle.spawn("gateway", app.run());
        Self { addr, lifecycle }
    }

    pub(crate) fn client(&self) -> Peer {
        Peer::connect_lazy(&format!("http://{}", self.addr)).unwrap()
    }

    /// Sends one call whose body is `body`, and returns the head of the answer with the rest of it.
    pub(crate) async fn call(&self, path: &str, body: impl Into<tonic::body::Body>) -> Answer {
        self.call_with(path, body, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        path: &str,
        body: impl Into<tonic::body::Body>,
        headers: &[(&'static str, &'static str)],
    ) -> Answer {
        let uri = format!("http://{}{path}", self.addr);
        let mut request = Request::post(uri).header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("te", "trailers").body(body.into()).unwrap();
        let called = self.client().oneshot(request);
        let response = tokio::time::timeout(PATIENCE, called).await.expect("an answer").unwrap();
        Answer::new(response)
    }
}

/// Settings of a gateway whose three peers are the same one.
pub(crate) fn config(peer: &str) -> Config {
    Config::new(LOCAL, [peer, peer, peer].map(str::to_owned))
}

/// Returns an endpoint where nobody listens.
pub(crate) fn nobody() -> String {
    Server::new(Routes::default()).bind(LOCAL).unwrap().endpoint()
}

/// What a client got so far.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    body: tonic::body::Body,
}

impl Answer {
    fn new(response: Response<tonic::body::Body>) -> Self {
        let (head, body) = response.into_parts();
        Self { headers: head.headers, body }
    }

    /// Returns the next bytes; none when only the status is left.
    pub(crate) async fn data(&mut self) -> Option<Bytes> {
        let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("a frame");
        match frame?.unwrap().into_data() {
            Ok(data) => Some(data),
            Err(trailers) => {
                self.headers.extend(trailers.into_trailers().unwrap());
                None
            }
        }
    }

    /// Reads to the end; returns all bytes that were left and the status.
    pub(crate) async fn end(&mut self) -> (Vec<u8>, tonic::Status) {
        let mut all = Vec::new();
        while let Some(data) = self.data().await {
            all.extend(data);
        }
        (all, tonic::Status::from_header_map(&self.headers).expect("a status"))
    }
}

/// A peer that hands every call to the test.
pub(crate) struct ScriptedPeer {
    pub(crate) endpoint: String,
    calls: mpsc::UnboundedReceiver<Call>,
    runtime: Option<Runtime>,
}

/// Dies as a process does: nothing more runs, and every connection breaks.
impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl ScriptedPeer {
    pub(crate) fn start() -> Self {
        Self::on(LOCAL)
    }

    pub(crate) fn on(addr: SocketAddr) -> Self {
        let (calls, received) = mpsc::unbounded_channel();
        let handler = move |request: Request<Body>| {
            let calls = calls.clone();
            async move {
                let (reply, answer) = oneshot::channel();
                let (head, body) = request.into_parts();
                let path = head.uri.path().to_owned();
                let body = body.into_data_stream();
                let _ = calls.send(Call { path, headers: head.headers, body, reply: Some(reply) });
                answer.await.unwrap_or_default()
            }
        };
        let server = Server::new(Routes::from(Router::new().fallback(handler)));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let within = runtime.enter();
        let bound = SERVICES.into_iter().fold(server, Server::service).bind(addr).unwrap();
        let (endpoint, lifecycle) = (bound.endpoint(), Lifecycle::new());
        lifecycle.spawn("peer", bound.serve(lifecycle.clone()));
        drop(within);
        Self { endpoint, calls: received, runtime: Some(runtime) }
    }

    /// Waits for the next call.
    pub(crate) async fn called(&mut self) -> Call {
        let call = tokio::time::timeout(PATIENCE, self.calls.recv()).await;
        call.expect("a call").expect("the peer lives")
    }
}

/// The services that a gateway forwards.
pub(crate) const SERVICES: [&str; 3] =
    ["gauntlet.v1.SchedulerService", "gauntlet.v1.ResultsService", "gauntlet.v1.NotifierService"];

/// A call as the peer got it.
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    body: BodyDataStream,
    reply: Option<oneshot::Sender<Response<Body>>>,
}

impl Call {
    /// Returns the next bytes of the request; none at its end.
    pub(crate) async fn data(&mut self) -> Option<Bytes> {
        let data = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("a frame");
        data.map(Result::unwrap)
    }

    /// Sends the head of the answer; the frames follow by the returned value.
    pub(crate) fn begin(&mut self, headers: &[(&'static str, &'static str)]) -> Frames {
        let (frames, sent) = mpsc::unbounded_channel();
        let body = StreamBody::new(UnboundedReceiverStream::new(sent).map(Ok::<_, axum::Error>));
        let mut response = Response::new(Body::new(body));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        for (name, value) in headers {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        self.reply.take().expect("one head").send(response).unwrap();
        Frames(frames)
    }
}

/// The rest of an answer; dropping it without [`Frames::end`] leaves it without a status.
pub(crate) struct Frames(mpsc::UnboundedSender<http_body::Frame<Bytes>>);

impl Frames {
    pub(crate) fn data(&self, data: &[u8]) {
        let _ = self.0.send(http_body::Frame::data(Bytes::copy_from_slice(data)));
    }

    /// Ends the answer with a status, and more trailers.
    pub(crate) fn end(self, code: &'static str, more: &[(&'static str, &'static str)]) {
        let mut trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static(code),
        )]);
        for (name, value) in more {
            trailers.append(*name, HeaderValue::from_static(value));
        }
        let _ = self.0.send(http_body::Frame::trailers(trailers));
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn abandoned(&self) {
        tokio::time::timeout(PATIENCE, self.0.closed()).await.expect("the call is given up");
    }
}

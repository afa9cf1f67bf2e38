//! Claims about calls between a server and a client of this crate, over a real socket.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the helpers beside them")]

use gauntlet_proto::v1::{
    FollowRunRequest, FollowRunResponse, GetMeshRequest, GetMeshResponse,
    gateway_service_client::GatewayServiceClient,
    gateway_service_server::{GatewayService, GatewayServiceServer},
};
use gauntlet_rpc::{
    Peer, Reason, Server, is_unavailable, limited, reason_of, retry_unavailable, time_left,
    with_deadline,
};
use gauntlet_runtime::{
    Backoff, Exit, Lifecycle,
    telemetry::{self, TelemetryArgs},
};
use opentelemetry::trace::{TraceContextExt as _, TraceId};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status, service::Routes};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Small messages of one stream; many more than are read at once.
const BURST: usize = 20_000;
const GRACE: Duration = Duration::from_secs(10);
const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// What a demo call carried: the time left for it, its request id and its trace.
type Seen = Option<(Option<Duration>, Option<String>, TraceId)>;

/// What the next demo call does, and what the last one carried.
#[derive(Clone, Default)]
struct Demo(Arc<Mutex<(&'static str, Seen)>>);

impl Demo {
    fn does(&self, what: &'static str) {
        self.0.lock().unwrap().0 = what;
    }

    fn seen(&self) -> (Option<Duration>, Option<String>, TraceId) {
        self.0.lock().unwrap().1.take().expect("a call was seen")
    }

    fn note(&self) -> &'static str {
        let mut inner = self.0.lock().unwrap();
        inner.1 = Some((time_left(), gauntlet_rpc::request_id(), trace_id(&Span::current())));
        inner.0
    }
}

#[tonic::async_trait]
impl GatewayService for Demo {
    async fn get_mesh(
        &self,
        _: Request<GetMeshRequest>,
    ) -> Result<Response<GetMeshResponse>, Status> {
        match self.note() {
            "panic" => panic!("boom"),
            "hang" => std::future::pending().await,
            "drain" => Err(gauntlet_rpc::draining()),
            _ => Ok(Response::new(GetMeshResponse::default())),
        }
    }

    type FollowRunStream = ReceiverStream<Result<FollowRunResponse, Status>>;

    async fn follow_run(
        &self,
        _: Request<FollowRunRequest>,
    ) -> Result<Response<Self::FollowRunStream>, Status> {
        if self.note() == "burst" {
            let (send, receive) = tokio::sync::mpsc::channel(BURST);
            for revision in 0..BURST {
                let revision = i64::try_from(revision).unwrap();
                let message = FollowRunResponse { revision, update: None };
                send.try_send(Ok(message)).unwrap();
            }
            return Ok(Response::new(ReceiverStream::new(receive)));
        }
        let (_, receive) = tokio::sync::mpsc::channel(1);
        Ok(Response::new(ReceiverStream::new(receive)))
    }
}

fn trace_id(span: &Span) -> TraceId {
    span.context().span().span_context().trace_id()
}

fn ask(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

fn start(server: Server, lifecycle: &Lifecycle) -> Peer {
    let bound = server.bind(LOCAL.into()).unwrap();
    let peer = Peer::connect_lazy(&bound.endpoint()).unwrap();
    lifecycle.spawn("grpc", bound.serve(lifecycle.clone()));
    peer
}

fn real(lifecycle: &Lifecycle) -> HealthClient<Peer> {
    HealthClient::new(start(Server::new(Routes::default()).service("demo"), lifecycle))
}

fn demo(lifecycle: &Lifecycle) -> (GatewayServiceClient<Peer>, Demo) {
    let demo = Demo::default();
    let routes = Routes::new(limited!(GatewayServiceServer::new(demo.clone())));
    (limited!(GatewayServiceClient::new(start(Server::new(routes), lifecycle))), demo)
}

#[tokio::test]
async fn health_follows_the_drain_and_an_open_watch_does_not_block_the_stop() {
    let lifecycle = Lifecycle::new();
    let mut client = real(&lifecycle);
    for service in ["", "demo"] {
        assert_eq!(client.check(ask(service)).await.unwrap().into_inner().status, 1);
    }
    let mut watch = client.watch(ask("demo")).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 1);
    let (exit, ()) = tokio::join!(lifecycle.shutdown(GRACE), async {
        assert_eq!(watch.next().await.unwrap().unwrap().status, 2);
        assert!(watch.next().await.is_none());
    });
    assert_eq!(exit, Exit::Clean);
    assert!(is_unavailable(&client.check(ask("")).await.unwrap_err()));
}

/// Small frames that wait for a slow reader count against a protection that ends the connection.
#[tokio::test]
async fn a_reader_that_is_behind_by_many_small_messages_keeps_its_connection() {
    let lifecycle = Lifecycle::new();
    let (mut client, demo) = demo(&lifecycle);
    demo.does("burst");
    let mut stream = client.follow_run(FollowRunRequest::default()).await.unwrap().into_inner();
    // Answers of other calls come after what the stream had to send: its messages are here, unread.
    for _ in 0..50 {
        let answered = tokio::time::timeout(GRACE, client.get_mesh(GetMeshRequest {})).await;
        answered.expect("an unread stream does not hold up other calls").unwrap();
    }
    let mut count = 0;
    while let Some(message) = stream.next().await {
        message.unwrap();
        count += 1;
    }
    assert_eq!(count, BURST);
}

#[tokio::test]
async fn a_panicking_handler_is_internal_and_the_server_lives_on() {
    let lifecycle = Lifecycle::new();
    let (mut client, demo) = demo(&lifecycle);
    demo.does("panic");
    let status = client.get_mesh(GetMeshRequest {}).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
    assert_eq!(reason_of(&status), Some(Reason::Internal));
    demo.does("answer");
    client.get_mesh(GetMeshRequest {}).await.unwrap();
    assert!(!lifecycle.is_draining());
}

#[tokio::test]
async fn a_deadline_that_passes_has_its_reason() {
    let lifecycle = Lifecycle::new();
    let (mut client, demo) = demo(&lifecycle);
    demo.does("hang");
    let status = client
        .get_mesh(with_deadline(GetMeshRequest {}, Duration::from_millis(200)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status)),
        (Code::DeadlineExceeded, Some(Reason::DeadlineExceeded))
    );
    assert!(demo.seen().0.unwrap() <= Duration::from_millis(200));
}

#[tokio::test]
async fn a_unary_call_gets_ten_seconds_and_a_stream_none() {
    let lifecycle = Lifecycle::new();
    let (mut client, demo) = demo(&lifecycle);
    client.get_mesh(GetMeshRequest {}).await.unwrap();
    let (left, id, _) = demo.seen();
    assert!(
        left.is_some_and(|left| left > Duration::from_secs(8) && left <= Duration::from_secs(10)),
        "{left:?}"
    );
    assert_eq!(id.unwrap().len(), 36);
    client.follow_run(FollowRunRequest::default()).await.unwrap();
    assert_eq!(demo.seen().0, None);
}

#[tokio::test]
async fn only_unavailable_is_retried_and_not_beyond_the_attempts() {
    let lifecycle = Lifecycle::new();
    let (client, demo) = demo(&lifecycle);
    let calls = AtomicU32::new(0);
    let call = |what: &'static str| {
        demo.does(what);
        calls.fetch_add(1, Ordering::SeqCst);
        let mut client = client.clone();
        async move { client.get_mesh(GetMeshRequest {}).await }
    };
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2)).attempts_max(1);
    let status = retry_unavailable(backoff.clone(), GRACE, || call("drain")).await.unwrap_err();
    assert_eq!((reason_of(&status), calls.swap(0, Ordering::SeqCst)), (Some(Reason::Draining), 2));
    let status = retry_unavailable(backoff.clone(), Duration::from_millis(100), || call("drain"))
        .await
        .unwrap_err();
    assert!(is_unavailable(&status));
    assert_eq!(
        calls.swap(0, Ordering::SeqCst),
        1,
        "the server asks for a second, the deadline is shorter"
    );
    retry_unavailable(backoff, GRACE, || call("panic")).await.unwrap_err();
    assert_eq!(calls.swap(0, Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_peer_that_is_away_is_unavailable_and_back_when_it_is_back() {
    let lifecycle = Lifecycle::new();
    let bound = Server::new(Routes::default()).bind(LOCAL.into()).unwrap();
    let addr: SocketAddr = bound.addr();
    drop(bound);
    let mut client = HealthClient::new(Peer::connect_lazy(&format!("http://{addr}")).unwrap());
    assert!(is_unavailable(&client.check(ask("")).await.unwrap_err()));
    let bound = Server::new(Routes::default()).bind(addr).unwrap();
    lifecycle.spawn("grpc", bound.serve(lifecycle.clone()));
    client.check(ask("")).await.unwrap();
}

#[tokio::test]
async fn a_trace_goes_on_in_the_service_that_is_called() {
    // Nobody listens there; spans have ids all the same.
    let args = TelemetryArgs {
        log: "off".to_owned(),
        otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
        ..TelemetryArgs::default()
    };
    telemetry::init(&args, "rpc-tests").unwrap();
    let lifecycle = Lifecycle::new();
    let (mut client, demo) = demo(&lifecycle);
    let span = tracing::info_span!(target: "gauntlet_rpc_tests", "caller");
    client.get_mesh(GetMeshRequest {}).instrument(span.clone()).await.unwrap();
    let (_, _, served) = demo.seen();
    assert_ne!(served, TraceId::INVALID);
    assert_eq!(served, trace_id(&span));
}

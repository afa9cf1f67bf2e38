//! Claims about forwarded calls.

use crate::support::{Gateway, PATIENCE, ScriptedPeer, nobody};
use bytes::Bytes;
use gauntlet_rpc::{Reason, reason_of};
use gauntlet_runtime::Exit;
use http_body_util::{Full, StreamBody};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;
use tonic_types::StatusExt as _;

const UNARY: &str = "/gauntlet.v1.SchedulerService/GetRun";
const STREAM: &str = "/gauntlet.v1.SchedulerService/WatchRun";
/// No protobuf, and no whole gRPC frame either: whoever decodes it fails.
const BYTES: &[u8] = b"\x00\x00\x00\x01\x00\xff\xfe not a message";

fn body(bytes: &'static [u8]) -> tonic::body::Body {
    tonic::body::Body::new(Full::new(Bytes::from_static(bytes)))
}

#[tokio::test]
async fn a_unary_call_is_forwarded_byte_by_byte_with_its_metadata_and_its_deadline() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let metadata = [("x-custom", "one"), ("x-data-bin", "AAEC"), ("grpc-timeout", "7S")];
    let asked = gateway.call_with(UNARY, body(BYTES), &metadata);
    let answered = async {
        let mut call = peer.called().await;
        assert_eq!(call.path, UNARY);
        assert_eq!(
            (&call.headers["x-custom"], &call.headers["x-data-bin"]),
            (&"one".parse().unwrap(), &"AAEC".parse().unwrap())
        );
        let timeout = call.headers["grpc-timeout"].to_str().unwrap();
        let ms: u64 = timeout.strip_suffix('m').unwrap().parse().unwrap();
        assert!((5_000..=7_000).contains(&ms), "{timeout}");
        assert_eq!(call.data().await.unwrap(), BYTES);
        let frames = call.begin(&[("x-answer", "two")]);
        frames.data(BYTES);
        frames.end("0", &[("x-trailer", "three")]);
    };
    let (mut answer, ()) = tokio::join!(asked, answered);
    let (bytes, status) = answer.end().await;
    assert_eq!((bytes.as_slice(), status.code()), (BYTES, Code::Ok));
    assert_eq!(
        (&answer.headers["x-answer"], &answer.headers["x-trailer"]),
        (&"two".parse().unwrap(), &"three".parse().unwrap())
    );
}

/// A client that does not know its last frame ends its request with an empty one. Passed on as it is, each would count
/// against the peer's protection from floods, which ends the connection after a hundred.
#[tokio::test]
async fn one_connection_to_a_peer_forwards_any_number_of_calls() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    for call in 0..250 {
        let message = Ok::<_, tonic::Status>(http_body::Frame::data(Bytes::from_static(BYTES)));
        let body = StreamBody::new(tokio_stream::iter([message]));
        let asked = gateway.call(UNARY, tonic::body::Body::new(body));
        let answered = async {
            let mut called = peer.called().await;
            assert_eq!(called.data().await.unwrap(), BYTES);
            called.begin(&[]).end("0", &[]);
        };
        let (mut answer, ()) = tokio::join!(asked, answered);
        assert_eq!(answer.end().await.1.code(), Code::Ok, "call {call}");
    }
}

#[tokio::test]
async fn a_stream_is_forwarded_in_both_directions_while_it_is_open() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (send, sent) = tokio::sync::mpsc::unbounded_channel();
    let frames = UnboundedReceiverStream::new(sent).map(|bytes: &'static [u8]| {
        Ok::<_, tonic::Status>(http_body::Frame::data(Bytes::from_static(bytes)))
    });
    send.send(b"first").unwrap();
    let request = tonic::body::Body::new(StreamBody::new(frames));
    let (mut answer, (mut call, frames)) = tokio::join!(gateway.call(STREAM, request), async {
        let mut call = peer.called().await;
        assert!(!call.headers.contains_key("grpc-timeout"), "a stream has no deadline");
        assert_eq!(call.data().await.unwrap(), "first");
        let frames = call.begin(&[]);
        (call, frames)
    });
    frames.data(b"a");
    assert_eq!(answer.data().await.unwrap(), "a");
    send.send(b"second").unwrap();
    assert_eq!(call.data().await.unwrap(), "second");
    frames.data(b"b");
    assert_eq!(answer.data().await.unwrap(), "b");
    frames.end("9", &[("grpc-message", "no")]);
    let (rest, status) = answer.end().await;
    assert_eq!((rest.len(), status.code(), status.message()), (0, Code::FailedPrecondition, "no"));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_call_at_the_peer() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (answer, frames) =
        tokio::join!(gateway.call(STREAM, body(BYTES)), async { peer.called().await.begin(&[]) });
    drop(answer);
    frames.abandoned().await;
}

#[tokio::test]
async fn services_of_the_mesh_alone_are_unimplemented() {
    let peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    for method in [
        "LeaseService/ClaimShards",
        "IngestService/OpenShard",
        "FinalizationService/CloseRun",
        "EventFeedService/WatchEvents",
        "ExecutorService/DrainExecutor",
    ] {
        let mut answer = gateway.call(&format!("/gauntlet.v1.{method}"), body(BYTES)).await;
        let (_, status) = answer.end().await;
        assert_eq!(status.code(), Code::Unimplemented, "{method}");
    }
}

#[tokio::test]
async fn a_peer_that_is_away_is_unavailable_and_named() {
    let gateway = Gateway::before(&nobody()).await;
    for (service, name) in [
        ("SchedulerService/GetRun", "scheduler"),
        ("ResultsService/WatchProgress", "results"),
        ("NotifierService/ListDeliveries", "notifier"),
    ] {
        let mut answer = gateway.call(&format!("/gauntlet.v1.{service}"), body(BYTES)).await;
        assert_peer_unavailable(&answer.end().await.1, name);
    }
}

#[tokio::test]
async fn a_peer_that_dies_ends_the_stream_and_the_unary_call_as_unavailable() {
    for path in [STREAM, UNARY] {
        let mut peer = ScriptedPeer::start();
        let gateway = Gateway::before(&peer.endpoint).await;
        let (mut answer, frames) =
            tokio::join!(gateway.call(path, body(BYTES)), async { peer.called().await.begin(&[]) });
        frames.data(b"a");
        assert_eq!(answer.data().await.unwrap(), "a");
        drop(peer);
        assert_peer_unavailable(&answer.end().await.1, "scheduler");
    }
}

#[tokio::test]
async fn a_drain_ends_streams_as_unavailable_whether_or_not_they_were_answered() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (mut answer, frames) =
        tokio::join!(gateway.call(STREAM, body(BYTES)), async { peer.called().await.begin(&[]) });
    frames.data(b"a");
    assert_eq!(answer.data().await.unwrap(), "a");
    let (mut unanswered, _call) = tokio::join!(gateway.call(STREAM, body(BYTES)), async {
        let call = peer.called().await;
        gateway.lifecycle.drain();
        call
    });
    for answer in [&mut answer, &mut unanswered] {
        let (_, status) = answer.end().await;
        assert_eq!(
            (status.code(), reason_of(&status)),
            (Code::Unavailable, Some(Reason::Draining))
        );
    }
    frames.abandoned().await;
}

#[tokio::test]
async fn a_drain_lets_a_unary_call_in_flight_finish() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (mut begun, frames) =
        tokio::join!(gateway.call(UNARY, body(BYTES)), async { peer.called().await.begin(&[]) });
    let (mut late, ()) = tokio::join!(gateway.call(UNARY, body(BYTES)), async {
        let mut call = peer.called().await;
        gateway.lifecycle.drain();
        let frames = call.begin(&[]);
        frames.data(BYTES);
        frames.end("0", &[]);
    });
    frames.data(BYTES);
    frames.end("0", &[]);
    for answer in [&mut begun, &mut late] {
        let (bytes, status) = answer.end().await;
        assert_eq!((bytes.as_slice(), status.code()), (BYTES, Code::Ok), "{status:?}");
    }
    let stopped = gateway.lifecycle.shutdown(PATIENCE).await;
    assert_eq!(stopped, Exit::Clean);
}

fn assert_peer_unavailable(status: &tonic::Status, peer: &str) {
    assert_eq!(
        (status.code(), reason_of(status)),
        (Code::Unavailable, Some(Reason::PeerUnavailable)),
        "{status:?}"
    );
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["peer"], peer);
}

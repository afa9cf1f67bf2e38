//! Claims about `FollowRun`.

use crate::support::{Call, Frames, Gateway, PATIENCE, ScriptedPeer, config};
use gauntlet_proto::v1::{
    self, follow_run_response::Update, gateway_service_client::GatewayServiceClient,
    watch_run_response::Update as Watched,
};
use gauntlet_rpc::{Reason, reason_of};
use prost::Message;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

fn framed(message: &impl Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), &body].concat()
}

fn event(revision: i64, padding: usize) -> Vec<u8> {
    let run_id = "x".repeat(padding);
    let event = v1::RunEvent { revision, run_id, generation: 1, ..Default::default() };
    framed(&v1::WatchRunResponse { revision, update: Some(Watched::Event(event)) })
}

async fn request<T: Message + Default>(call: &mut Call) -> T {
    let mut bytes = Vec::new();
    while let Some(data) = call.data().await {
        bytes.extend(data);
    }
    T::decode(&bytes[5..]).unwrap()
}

/// Answers the watch of a generation's progress.
async fn progress_of(peer: &mut ScriptedPeer, generation: i32) -> Frames {
    let mut call = peer.called().await;
    assert_eq!(call.path, "/gauntlet.v1.ResultsService/WatchProgress");
    let watch: v1::WatchProgressRequest = request(&mut call).await;
    assert_eq!(watch.generation, generation);
    call.begin(&[])
}

/// Opens the stream and reads its snapshot; returns it with the scheduler's and the results' side of it.
async fn open(
    gateway: &Gateway,
    peer: &mut ScriptedPeer,
) -> (Streaming<v1::FollowRunResponse>, Frames, Frames) {
    let mut client = GatewayServiceClient::new(gateway.client());
    let asked = v1::FollowRunRequest { run_id: "a-run".to_owned(), after_revision: 7 };
    let (answer, (events, progress)) = tokio::join!(client.follow_run(asked), async {
        let mut call = peer.called().await;
        assert_eq!(call.path, "/gauntlet.v1.SchedulerService/WatchRun");
        let watch: v1::WatchRunRequest = request(&mut call).await;
        assert_eq!((watch.run_id.as_str(), watch.after_revision), ("a-run", 7));
        let events = call.begin(&[]);
        let run = v1::Run { generation: 1, revision: 9, ..Default::default() };
        let update = Some(Watched::Snapshot(run));
        events.data(&framed(&v1::WatchRunResponse { revision: 7, update }));
        (events, progress_of(peer, 1).await)
    });
    let mut stream = answer.unwrap().into_inner();
    let first = next(&mut stream).await.unwrap().unwrap();
    assert!(matches!(first.update, Some(Update::Snapshot(_))));
    (stream, events, progress)
}

async fn next(
    stream: &mut Streaming<v1::FollowRunResponse>,
) -> Result<Option<v1::FollowRunResponse>, Status> {
    tokio::time::timeout(PATIENCE, stream.message()).await.expect("the stream goes on or ends")
}

#[tokio::test]
async fn a_follower_resumes_by_revision_and_progress_stands_between_the_events() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (mut stream, events, progress) = open(&gateway, &mut peer).await;
    events.data(&event(8, 0));
    let first = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(first.revision, 8);
    let counts = v1::OutcomeCounts { passed: 3, ..Default::default() };
    progress.data(&framed(&v1::WatchProgressResponse { counts: Some(counts), sealed: false }));
    let second = next(&mut stream).await.unwrap().unwrap();
    assert_eq!((second.revision, second.update), (8, Some(Update::Progress(counts))));
    events.data(&event(9, 0));
    assert_eq!(next(&mut stream).await.unwrap().unwrap().revision, 9);
    events.end("0", &[]);
    assert_eq!(next(&mut stream).await.unwrap(), None);
    progress.abandoned().await;
}

#[tokio::test]
async fn results_that_are_away_cost_progress_and_no_event() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (mut stream, events, progress) = open(&gateway, &mut peer).await;
    progress.end("14", &[]);
    events.data(&event(8, 0));
    assert_eq!(next(&mut stream).await.unwrap().unwrap().revision, 8);
    let progress = progress_of(&mut peer, 1).await;
    progress.data(&framed(&v1::WatchProgressResponse {
        counts: Some(Default::default()),
        sealed: true,
    }));
    assert!(matches!(next(&mut stream).await.unwrap().unwrap().update, Some(Update::Progress(_))));
}

#[tokio::test]
async fn a10_the_progress_of_a_retry_follows_that_of_the_generation_before() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (mut stream, events, progress) = open(&gateway, &mut peer).await;
    let counts = Some(v1::OutcomeCounts { failed: 1, ..Default::default() });
    progress.data(&framed(&v1::WatchProgressResponse { counts, sealed: true }));
    assert!(matches!(next(&mut stream).await.unwrap().unwrap().update, Some(Update::Progress(_))));
    let retried = v1::RunEvent { revision: 8, generation: 2, ..Default::default() };
    let update = Some(Watched::Event(retried));
    events.data(&framed(&v1::WatchRunResponse { revision: 8, update }));
    assert_eq!(next(&mut stream).await.unwrap().unwrap().revision, 8);
    let again = progress_of(&mut peer, 2).await;
    let counts = v1::OutcomeCounts { passed: 1, ..Default::default() };
    again.data(&framed(&v1::WatchProgressResponse { counts: Some(counts), sealed: true }));
    let last = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(last.update, Some(Update::Progress(counts)));
}

#[tokio::test]
async fn what_the_scheduler_refuses_is_told_unchanged() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let mut client = GatewayServiceClient::new(gateway.client());
    let (answer, ()) = tokio::join!(client.follow_run(v1::FollowRunRequest::default()), async {
        peer.called().await.begin(&[]).end("5", &[("grpc-message", "no such run")]);
    });
    let mut stream = answer.unwrap().into_inner();
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such run"));
}

#[tokio::test]
async fn a_drain_ends_the_following_also_of_a_client_that_does_not_read() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (mut stream, events, _progress) = open(&gateway, &mut peer).await;
    // More than the buffer and the window of the connection hold, so that the follower is blocked.
    for revision in 8..1_000 {
        events.data(&event(revision, 10_000));
    }
    let first = next(&mut stream).await.unwrap().unwrap();
    assert_eq!(first.revision, 8);
    gateway.lifecycle.drain();
    events.abandoned().await;
    let mut last = first.revision;
    let status = loop {
        match next(&mut stream).await {
            Ok(message) => {
                let revision = message.expect("a status at the end").revision;
                assert_eq!(revision, last + 1, "nothing is left out");
                last = revision;
            }
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), reason_of(&status)), (Code::Unavailable, Some(Reason::Draining)));
    assert!(last < 999, "the client read everything, so nothing was blocked");
}

#[tokio::test]
async fn a_scheduler_that_dies_ends_the_following_as_unavailable() {
    let mut peer = ScriptedPeer::start();
    let gateway = Gateway::before(&peer.endpoint).await;
    let (mut stream, _events, _progress) = open(&gateway, &mut peer).await;
    drop(peer);
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::PeerUnavailable), "{status:?}");
}

#[tokio::test]
async fn a_scheduler_that_falls_silent_ends_the_following_as_unavailable() {
    let mut peer = ScriptedPeer::start();
    let mut config = config(&peer.endpoint);
    config.peer_silence_max = Duration::from_secs(1);
    let gateway = Gateway::with(config).await;
    let (mut stream, events, _progress) = open(&gateway, &mut peer).await;
    events.data(&event(8, 0));
    assert_eq!(next(&mut stream).await.unwrap().unwrap().revision, 8);
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(reason_of(&status), Some(Reason::PeerUnavailable), "{status:?}");
    events.abandoned().await;
    // One that does not even begin to answer is as silent.
    let mut client = GatewayServiceClient::new(gateway.client());
    let (answer, _call) =
        tokio::join!(client.follow_run(v1::FollowRunRequest::default()), peer.called());
    assert_eq!(reason_of(&answer.unwrap_err()), Some(Reason::PeerUnavailable));
}

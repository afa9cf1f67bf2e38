//! Watching: by revision, never missing the end; the feed in commit order.

use crate::support::{Mesh, fresh_id};
use gauntlet_proto::v1::{self, CompletionKind, RunState, watch_run_response::Update};
use gauntlet_rpc::{Reason, reason_of};
use gauntlet_runtime::Lifecycle;
use std::collections::HashMap;
use tokio_stream::StreamExt as _;

/// Collects revisions until the stream ends; returns them and whether the end was OK.
async fn follow(
    scheduler: &mut v1::scheduler_service_client::SchedulerServiceClient<gauntlet_rpc::Peer>,
    run_id: &str,
    after_revision: i64,
) -> (Vec<i64>, Result<(), tonic::Status>) {
    let request = v1::WatchRunRequest { run_id: run_id.to_owned(), after_revision };
    let mut stream = scheduler.watch_run(request).await.unwrap().into_inner();
    let mut revisions = Vec::new();
    while let Some(message) = stream.next().await {
        match message {
            Ok(message) => match message.update {
                Some(Update::Event(event)) => revisions.push(event.revision),
                Some(Update::Snapshot(_) | Update::Checkpoint(_)) | None => {}
            },
            Err(status) => return (revisions, Err(status)),
        }
    }
    (revisions, Ok(()))
}

#[tokio::test]
async fn e1_a_watcher_sees_every_revision_and_the_stream_ends_after_the_terminal_event() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let mut watcher = mesh.scheduler.clone();
    let watching = follow(&mut watcher, &run.run_id, 0);
    let working = async {
        let mut executor = mesh.open_session(1).await;
        let grant = executor.claim(5).await.remove(0);
        executor.complete(&grant, CompletionKind::Done).await;
        let claim = mesh.claim_finalization(&fresh_id()).await.unwrap();
        mesh.close(&claim, RunState::Passed, 'a').await.unwrap();
        mesh.run(&claim.run_id).await.revision
    };
    let ((revisions, end), last) = tokio::join!(watching, working);
    end.unwrap();
    assert_eq!(revisions, (1..=last).collect::<Vec<_>>());
    let (resumed, end) = follow(&mut mesh.scheduler, &run.run_id, 2).await;
    end.unwrap();
    assert_eq!(resumed, (3..=last).collect::<Vec<_>>());
    let (nothing, end) = follow(&mut mesh.scheduler, &run.run_id, last).await;
    end.expect("a watcher that has it all is not kept waiting");
    assert!(nothing.is_empty());
    let future = v1::WatchRunRequest { run_id: run.run_id, after_revision: last + 1 };
    let refused = mesh.scheduler.watch_run(future).await.map(|_| ()).unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::RevisionCompacted));
}

#[tokio::test]
async fn e1_a_watcher_at_another_replica_sees_the_end_too() {
    let mut mesh = Mesh::start().await;
    let second = Lifecycle::new();
    let mut watcher = mesh.another_scheduler(&second).await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let watching = follow(&mut watcher, &run.run_id, 0);
    let (followed, aborted) = tokio::join!(watching, mesh.abort(&run.run_id));
    aborted.unwrap();
    assert_eq!(followed.0, [1, 2]);
    followed.1.unwrap();
    second.drain();
}

#[tokio::test]
async fn a_drain_ends_watchers_with_draining_and_another_replica_goes_on() {
    let mut mesh = Mesh::start().await;
    let second = Lifecycle::new();
    let mut elsewhere = mesh.another_scheduler(&second).await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let request = v1::WatchRunRequest { run_id: run.run_id.clone(), after_revision: 0 };
    let mut stream = elsewhere.watch_run(request).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    second.drain();
    let end = loop {
        match stream.next().await.expect("an end with a reason") {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(reason_of(&end), Some(Reason::Draining));
    mesh.abort(&run.run_id).await.unwrap();
    let (revisions, end) = follow(&mut mesh.scheduler, &run.run_id, 1).await;
    end.unwrap();
    assert_eq!(revisions, [2]);
}

#[tokio::test]
async fn fd1_the_feed_brings_every_event_once_in_revision_order_and_resumes_by_cursor() {
    let mut mesh = Mesh::start().await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        let run = mesh.trigger(1, v1::RunOptions::default()).await;
        mesh.abort(&run.run_id).await.unwrap();
        runs.push(run.run_id);
    }
    let mut seen: HashMap<String, Vec<i64>> = HashMap::new();
    let mut cursors: HashMap<i32, i64> = HashMap::new();
    let mut feed_id = String::new();
    // Reconnect after every three events: nothing may be lost or doubled.
    while seen.values().map(Vec::len).sum::<usize>() < 12 {
        let request = v1::WatchEventsRequest {
            feed_id: feed_id.clone(),
            cursors: cursors
                .iter()
                .map(|(l, p)| v1::FeedCursor { lane: *l, position: *p })
                .collect(),
            terminal_only: false,
        };
        let mut stream = mesh.feed.watch_events(request).await.unwrap().into_inner();
        for _ in 0..3 {
            let message = stream.next().await.unwrap().unwrap();
            feed_id = message.feed_id;
            let (Some(cursor), Some(event)) = (message.cursor, message.event) else { continue };
            cursors.insert(cursor.lane, cursor.position);
            seen.entry(event.run_id).or_default().push(event.revision);
        }
    }
    for run_id in runs {
        assert_eq!(seen[&run_id], [1, 2]);
    }
    let other = v1::WatchEventsRequest { feed_id: fresh_id(), ..Default::default() };
    let refused = mesh.feed.watch_events(other).await.map(|_| ()).unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::FeedReset));
}

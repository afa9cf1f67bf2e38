//! `FollowRun`: the scheduler's events, untouched and in order, with the progress of results between them.
//!
//! Events never wait for progress. Results being away only means that no progress comes. The scheduler's stream ending
//! early ends this one with its reason, and the client resumes by revision.

use crate::grpc::{Peers, peer_status, watch};
use gauntlet_proto::v1::{
    self, follow_run_response::Update, results_service_client::ResultsServiceClient,
    watch_run_response::Update as Watched,
};
use gauntlet_rpc::draining;
use gauntlet_runtime::{Backoff, Lifecycle};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

/// Messages buffered for a slow client.
const BUFFERED_MAX: usize = 64;

type Messages = mpsc::Sender<Result<v1::FollowRunResponse, Status>>;

pub(crate) async fn follow(
    peers: &Peers,
    lifecycle: &Lifecycle,
    request: v1::FollowRunRequest,
) -> Result<Pin<Box<dyn Stream<Item = Result<v1::FollowRunResponse, Status>> + Send>>, Status> {
    let events = watch(peers, &request.run_id, request.after_revision).await?;
    let (messages, stream) = mpsc::channel(BUFFERED_MAX);
    let follower = Follower {
        peers: peers.clone(),
        run_id: request.run_id,
        revision: request.after_revision,
        messages,
    };
    lifecycle.spawn("follow_run", follower.run(events, lifecycle.clone()));
    Ok(Box::pin(ReceiverStream::new(stream)))
}

struct Follower {
    peers: Peers,
    run_id: String,
    revision: i64,
    messages: Messages,
}

impl Follower {
    async fn run(mut self, mut events: Streaming<v1::WatchRunResponse>, lifecycle: Lifecycle) {
        let (counts, mut progress) = mpsc::channel(1);
        // The watch of progress ends when its receiver, dropped with this task, is gone.
        let watching = watch_progress(self.peers.clone(), self.run_id.clone(), counts);
        let watching = lifecycle.spawn("follow_progress", watching);
        loop {
            let sent = tokio::select! {
                biased;
                () = lifecycle.draining() => {
                    let _ = self.messages.send(Err(draining())).await;
                    break;
                }
                () = self.messages.closed() => break,
                event = events.next() => match event {
                    None => break,
                    Some(Ok(message)) => self.pass(message).await,
                    Some(Err(status)) => {
                        let _ = self.messages.send(Err(peer_status("scheduler", status))).await;
                        break;
                    }
                },
                Some(counts) = progress.recv() => self.send(Update::Progress(counts)).await,
            };
            if sent.is_err() {
                break;
            }
        }
        watching.abort();
    }

    async fn pass(&mut self, message: v1::WatchRunResponse) -> Result<(), ()> {
        self.revision = message.revision;
        match message.update {
            Some(Watched::Snapshot(run)) => self.send(Update::Snapshot(run)).await,
            Some(Watched::Event(event)) => self.send(Update::Event(event)).await,
            Some(Watched::Checkpoint(checkpoint)) => {
                self.send(Update::Checkpoint(checkpoint)).await
            }
            None => Ok(()),
        }
    }

    async fn send(&self, update: Update) -> Result<(), ()> {
        let message = v1::FollowRunResponse { revision: self.revision, update: Some(update) };
        self.messages.send(Ok(message)).await.map_err(|_| ())
    }
}

/// Passes counts on until the generation is sealed; opens the watch again whenever results was away.
async fn watch_progress(peers: Peers, run_id: String, counts: mpsc::Sender<v1::OutcomeCounts>) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    while !counts.is_closed() {
        let request = v1::WatchProgressRequest { run_id: run_id.clone(), generation: 0 };
        let opened = ResultsServiceClient::new(peers.results.clone()).watch_progress(request).await;
        if let Ok(stream) = opened {
            let mut stream = stream.into_inner();
            while let Some(Ok(message)) = stream.next().await {
                backoff.reset();
                if let Some(seen) = message.counts
                    && counts.send(seen).await.is_err()
                {
                    return;
                }
                if message.sealed {
                    return;
                }
            }
        }
        backoff.sleep().await;
    }
}

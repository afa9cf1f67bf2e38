//! `FollowRun`: the scheduler's events, untouched and in order, with the progress of results between them.
//!
//! Events never wait for progress. Results being away only means that no progress comes. The scheduler's stream ending
//! early ends this one with its reason, one that falls silent as if it had died, and the client resumes by revision. A drain
//! ends the following at once, however slow the client reads.

use crate::grpc::{PeerUnavailable, Peers, peer_status, watch as watch_run};
use gauntlet_proto::v1::{
    self, follow_run_response::Update, results_service_client::ResultsServiceClient,
    watch_run_response::Update as Watched,
};
use gauntlet_rpc::draining;
use gauntlet_runtime::{Backoff, Lifecycle};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

/// Messages buffered for a slow client.
const BUFFERED_MAX: usize = 64;

type Messages = mpsc::Sender<Result<v1::FollowRunResponse, Status>>;

pub(crate) async fn follow(
    peers: &Peers,
    lifecycle: &Lifecycle,
    silence_max: Duration,
    request: v1::FollowRunRequest,
) -> Result<Pin<Box<dyn Stream<Item = Result<v1::FollowRunResponse, Status>> + Send>>, Status> {
    let opened = watch_run(peers, &request.run_id, request.after_revision);
    let events = tokio::select! {
        opened = tokio::time::timeout(silence_max, opened) => opened.map_err(|_| silent())??,
        () = lifecycle.draining() => return Err(draining()),
    };
    let (messages, stream) = mpsc::channel(BUFFERED_MAX);
    // Room for the last word is kept from the start: a client that does not read must not keep us from saying it.
    let last = messages.clone().try_reserve_owned().map_err(|_| draining())?;
    let mut follower = Follower {
        peers: peers.clone(),
        run_id: request.run_id,
        revision: request.after_revision,
        generation: watch::Sender::new(0),
        silence_max,
        messages,
    };
    let drained = lifecycle.clone();
    lifecycle.spawn("follow_run", async move {
        let ended = tokio::select! {
            biased;
            () = drained.draining() => Err(draining()),
            ended = follower.run(events) => ended,
        };
        if let Err(status) = ended {
            last.send(Err(status));
        }
    });
    Ok(Box::pin(ReceiverStream::new(stream)))
}

fn silent() -> Status {
    gauntlet_rpc::status(&PeerUnavailable { peer: "scheduler" })
}

struct Follower {
    peers: Peers,
    run_id: String,
    revision: i64,
    /// The newest generation heard of: its progress is passed on. 0 before the snapshot.
    generation: watch::Sender<i32>,
    silence_max: Duration,
    messages: Messages,
}

impl Follower {
    /// Passes on until the scheduler ends its stream, or the client leaves.
    async fn run(&mut self, mut events: Streaming<v1::WatchRunResponse>) -> Result<(), Status> {
        let (counts, mut progress) = mpsc::channel(1);
        let (peers, run_id) = (self.peers.clone(), self.run_id.clone());
        let watching = watch_progress(peers, run_id, self.generation.subscribe(), counts);
        tokio::pin!(watching);
        let mut heard = Instant::now();
        let mut watched = false;
        loop {
            let sent = tokio::select! {
                biased;
                () = self.messages.closed() => return Ok(()),
                event = events.next() => match event {
                    None => return Ok(()),
                    Some(Err(status)) => return Err(peer_status("scheduler", status)),
                    Some(Ok(message)) => {
                        let sent = self.pass(message).await;
                        // Only now: time that a slow client took is not the peer's silence.
                        heard = Instant::now();
                        sent
                    }
                },
                () = tokio::time::sleep_until(heard + self.silence_max) => return Err(silent()),
                Some(counts) = progress.recv() => self.send(Update::Progress(counts)).await,
                () = &mut watching, if !watched => {
                    watched = true;
                    Ok(())
                }
            };
            if sent.is_err() {
                return Ok(());
            }
        }
    }

    async fn pass(&mut self, message: v1::WatchRunResponse) -> Result<(), ()> {
        self.revision = message.revision;
        match message.update {
            Some(Watched::Snapshot(run)) => {
                self.raise(run.generation);
                self.send(Update::Snapshot(run)).await
            }
            Some(Watched::Event(event)) => {
                self.raise(event.generation);
                self.send(Update::Event(event)).await
            }
            Some(Watched::Checkpoint(checkpoint)) => {
                self.send(Update::Checkpoint(checkpoint)).await
            }
            None => Ok(()),
        }
    }

    /// Notes the newest generation heard of.
    fn raise(&self, generation: i32) {
        self.generation.send_if_modified(|newest| {
            let newer = generation > *newest;
            *newest = generation.max(*newest);
            newer
        });
    }

    async fn send(&self, update: Update) -> Result<(), ()> {
        let message = v1::FollowRunResponse { revision: self.revision, update: Some(update) };
        self.messages.send(Ok(message)).await.map_err(|_| ())
    }
}

/// Passes the counts of the newest generation on until it is sealed; opens the watch again whenever results was away.
async fn watch_progress(
    peers: Peers,
    run_id: String,
    mut generation: watch::Receiver<i32>,
    counts: mpsc::Sender<v1::OutcomeCounts>,
) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut sealed = 0;
    while let Ok(newest) =
        generation.wait_for(|newest| *newest > sealed).await.map(|newest| *newest)
    {
        let request = v1::WatchProgressRequest { run_id: run_id.clone(), generation: newest };
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
                    sealed = newest;
                    break;
                }
            }
        }
        if sealed < newest {
            backoff.sleep().await;
        }
    }
}

//! `WatchRun`: a snapshot, then every event after a revision, then OK after the terminal one.
//!
//! The log is the truth; a wake-up only says look again, and a timer says so too. Nothing is missed by a watcher that was
//! away: it asks with its last revision.

use super::Handlers;
use super::error::CallError;
use super::runs::run_id;
use crate::wake::RunChanges;
use gauntlet_core::RunId;
use gauntlet_core::limits::STREAM_SILENCE_MAX;
use gauntlet_proto::{edge, v1};
use gauntlet_rpc::{draining, status};
use gauntlet_runtime::Clock;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::Status;
use v1::watch_run_response::Update;

/// Events read at once.
const PAGE_EVENTS_MAX: usize = 500;
/// How often the log is read when nobody announced a change: other schedulers' commits are seen this late at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Messages buffered for a slow watcher; beyond that its stream waits, not the scheduler.
const BUFFERED_MAX: usize = 64;

type Messages = mpsc::Sender<Result<v1::WatchRunResponse, Status>>;

pub(crate) async fn watch_run(
    h: &Handlers,
    request: v1::WatchRunRequest,
) -> Result<Pin<Box<dyn Stream<Item = Result<v1::WatchRunResponse, Status>> + Send>>, Status> {
    let run_id = run_id(&request.run_id)?;
    // Subscribe before the first read, or a change between the two is lost.
    let changes = h.wake.watch_run(run_id);
    let snapshot = h.run(run_id).await?;
    if request.after_revision < 0 || request.after_revision > snapshot.revision {
        return Err(status(&CallError::RevisionUnknown(request.after_revision)));
    }
    let (messages, stream) = mpsc::channel(BUFFERED_MAX);
    let watcher = Watcher { h: h.clone(), run_id, revision: request.after_revision, messages };
    h.lifecycle.spawn("watch_run", watcher.run(snapshot, changes));
    Ok(Box::pin(ReceiverStream::new(stream)))
}

struct Watcher {
    h: Handlers,
    run_id: RunId,
    revision: i64,
    messages: Messages,
}

/// Why a stream ends early.
struct Gone;

impl Watcher {
    async fn run(mut self, snapshot: v1::Run, mut changes: RunChanges) {
        // Nothing follows the last revision of a terminal run: a watcher that has it all is told so by the end.
        let over = snapshot.finish_time.is_some() && self.revision >= snapshot.revision;
        // The revision of a message is where to resume: the snapshot may be ahead of the events that follow it.
        let first = self.send(self.revision, Update::Snapshot(snapshot)).await;
        if first.is_err() || over {
            return;
        }
        let mut quiet_since = Instant::now();
        loop {
            match self.send_new().await {
                Err(Gone) | Ok(Sent::Terminal) => return,
                Ok(Sent::Some) => quiet_since = Instant::now(),
                Ok(Sent::Nothing)
                    if quiet_since.elapsed() >= STREAM_SILENCE_MAX - LOOK_INTERVAL =>
                {
                    let time = Some(edge::timestamp(Clock::system().now()));
                    let checkpoint = Update::Checkpoint(v1::Checkpoint { time });
                    if self.send(self.revision, checkpoint).await.is_err() {
                        return;
                    }
                    quiet_since = Instant::now();
                }
                Ok(Sent::Nothing) => {}
            }
            tokio::select! {
                () = self.h.lifecycle.draining() => {
                    let _ = self.messages.send(Err(draining())).await;
                    return;
                }
                () = self.messages.closed() => return,
                () = changes.changed() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    async fn send_new(&mut self) -> Result<Sent, Gone> {
        let mut sent = Sent::Nothing;
        loop {
            let page = self.h.store.list_events(self.run_id, self.revision, PAGE_EVENTS_MAX).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let _ = self.messages.send(Err(status(&CallError::Store(error)))).await;
                    return Err(Gone);
                }
            };
            let full = page.len() == PAGE_EVENTS_MAX;
            for event in page {
                let event = for_watchers(event);
                self.revision = event.revision;
                sent = match event.event {
                    Some(v1::run_event::Event::Terminal(_)) => Sent::Terminal,
                    _ => Sent::Some,
                };
                self.send(event.revision, Update::Event(event)).await?;
            }
            if !full {
                return Ok(sent);
            }
        }
    }

    async fn send(&self, revision: i64, update: Update) -> Result<(), Gone> {
        let message = v1::WatchRunResponse { revision, update: Some(update) };
        self.messages.send(Ok(message)).await.map_err(|_| Gone)
    }
}

enum Sent {
    Nothing,
    Some,
    Terminal,
}

/// Hides what only the notifier may see: a callback URL often carries a token.
fn for_watchers(mut event: v1::RunEvent) -> v1::RunEvent {
    if let Some(v1::run_event::Event::Terminal(terminal)) = &mut event.event {
        terminal.callback_url.clear();
    }
    event
}

//! Follows a run to its end over connections that may break.
//!
//! The stream is resumed by revision, so no event is seen twice or missed. Any end before the terminal state means
//! "reconnect and compare"; after a minute without hearing anything we give up, and the run goes on without us.

use crate::client::Mesh;
use crate::failure::Failure;
use crate::names;
use gauntlet_proto::v1::{self, follow_run_response::Update as Wire, run_event::Event};
use gauntlet_rpc::Reason;
use gauntlet_runtime::Backoff;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

/// How long we try without hearing from the mesh.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Checkpoints come every 15 s; a stream that is silent for longer than this is dead.
const STREAM_SILENCE_MAX: Duration = Duration::from_secs(40);
const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// What a follower hears.
#[derive(Debug, Clone)]
pub(crate) enum Update {
    /// The run as it is now.
    Snapshot(Box<v1::Run>),
    /// The next event.
    Event(Box<v1::RunEvent>),
    /// Final results so far.
    Progress(v1::OutcomeCounts),
    /// The connection was lost for the reason given; it is being resumed.
    Lost(String),
}

/// Where a follower stands.
struct Position {
    revision: i64,
    /// The newest generation heard of: the end of an older one is not the end.
    generation: i32,
    terminal: bool,
    last_heard: Instant,
}

/// Why a stream broke.
enum Broken {
    Refused(Status),
    Silent,
}

/// Follows `run_id` until its newest generation is terminal and every event after a revision was told.
///
/// # Cancel safety
/// Dropping the future closes the stream; nothing else happens.
pub(crate) async fn follow(
    mesh: &Mesh,
    run_id: &str,
    after_revision: i64,
    mut told: impl FnMut(Update),
) -> Result<(), Failure> {
    let mut position = Position {
        revision: after_revision,
        generation: 0,
        terminal: false,
        last_heard: Instant::now(),
    };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3));
    loop {
        let before = position.last_heard;
        let ended = pass(mesh, run_id, &mut position, &mut told).await;
        if position.terminal {
            return Ok(());
        }
        if position.last_heard > before {
            backoff.reset();
        }
        let why = match ended {
            Ok(()) => "the stream ended early".to_owned(),
            Err(Broken::Silent) => "the mesh does not answer".to_owned(),
            Err(Broken::Refused(status)) if is_final(&status) => {
                return Err(mesh.refused("cannot follow the run", &status));
            }
            Err(Broken::Refused(status)) => {
                if gauntlet_rpc::reason_of(&status) == Some(Reason::RevisionCompacted) {
                    position.revision = 0;
                }
                status.message().to_owned()
            }
        };
        if position.last_heard.elapsed() >= SILENCE_MAX {
            return Err(gave_up(run_id, &why));
        }
        told(Update::Lost(why));
        backoff.sleep().await;
    }
}

/// Returns the last loss of a shard in a run's log up to a revision (B10); none when there was none or the log cannot be
/// read now.
pub(crate) async fn last_loss(mesh: &Mesh, run_id: &str, revision: i64) -> Option<Event> {
    let mut stream = open(mesh, run_id, 0).await.ok()?;
    let mut last = None;
    loop {
        let next = tokio::time::timeout(OPEN_DEADLINE, stream.message()).await;
        let Some(message) = next.ok()?.ok()? else { return last };
        let Some(Wire::Event(event)) = message.update else { continue };
        if matches!(event.event, Some(Event::ShardLost(_))) {
            last = event.event;
        }
        if event.revision >= revision {
            return last;
        }
    }
}

/// Reads one stream to its end.
async fn pass(
    mesh: &Mesh,
    run_id: &str,
    position: &mut Position,
    told: &mut impl FnMut(Update),
) -> Result<(), Broken> {
    let mut stream = open(mesh, run_id, position.revision).await?;
    loop {
        let next = tokio::time::timeout(STREAM_SILENCE_MAX, stream.message()).await;
        let Ok(next) = next else { return Err(Broken::Silent) };
        let Some(message) = next.map_err(Broken::Refused)? else { return Ok(()) };
        position.last_heard = Instant::now();
        match message.update {
            Some(Wire::Snapshot(run)) => {
                // A snapshot is ahead of the events that follow it, so the revision to resume at does not move.
                position.generation = run.generation.max(position.generation);
                position.terminal |= names::is_terminal(run.state());
                told(Update::Snapshot(Box::new(run)));
            }
            Some(Wire::Event(event)) => {
                if event.revision <= position.revision {
                    continue;
                }
                position.revision = event.revision;
                let last = matches!(event.event, Some(Event::Terminal(_)))
                    && event.generation >= position.generation;
                told(Update::Event(Box::new(event)));
                if last {
                    position.terminal = true;
                    return Ok(());
                }
            }
            Some(Wire::Progress(counts)) => told(Update::Progress(counts)),
            Some(Wire::Checkpoint(_)) | None => {}
        }
    }
}

async fn open(
    mesh: &Mesh,
    run_id: &str,
    after_revision: i64,
) -> Result<Streaming<v1::FollowRunResponse>, Broken> {
    let request = v1::FollowRunRequest { run_id: run_id.to_owned(), after_revision };
    let mut gateway = mesh.gateway.clone();
    match tokio::time::timeout(OPEN_DEADLINE, gateway.follow_run(request)).await {
        Ok(answer) => answer.map(tonic::Response::into_inner).map_err(Broken::Refused),
        Err(_) => Err(Broken::Silent),
    }
}

/// Returns whether trying again would hear the same.
fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
    )
}

fn gave_up(run_id: &str, why: &str) -> Failure {
    Failure::Infrastructure(format!(
        "gave up after {} s without connection ({why}); the run goes on: `gauntlet wait {run_id}` finds it again",
        SILENCE_MAX.as_secs()
    ))
}

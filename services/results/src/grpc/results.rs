//! `ResultsService`: what the tests said.

use super::error::CallError;
use super::{Handlers, artifacts, wire};
use crate::progress::Progress;
use crate::store::PageRequest;
use gauntlet_core::RunId;
use gauntlet_core::verdict::SkipReason;
use gauntlet_proto::edge;
use gauntlet_proto::v1::{self, results_service_server::ResultsService};
use gauntlet_rpc::{draining, invalid_fields, status};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

/// Shortest time between two progress messages: at most four a second.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// A look at a large retry takes longer; watchers pause this many times as long as it took.
const LOOK_SHARE: u32 = 10;
/// How often progress is read when nobody announced a change.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of attempts on one page; a page may end early.
const PAGE_BYTES_MAX: i64 = 1024 * 1024;
const BUFFERED_MAX: usize = 8;

#[tonic::async_trait]
impl ResultsService for Handlers {
    async fn list_test_results(
        &self,
        request: Request<v1::ListTestResultsRequest>,
    ) -> Result<Response<v1::ListTestResultsResponse>, Status> {
        let request = request.into_inner();
        let size = edge::page_size(request.page_size).map_err(|v| invalid_fields(&[v]))?;
        let (run_id, generation) = self.generation(&request.run_id, request.generation).await?;
        let filter = format!("{run_id}.{generation}");
        let after = page_key(&filter, &request.page_token).map_err(|e| status(&e))?;
        let page = PageRequest { run_id, generation, after, size, bytes_max: PAGE_BYTES_MAX };
        let page = self.store.list_results(page).await.map_err(|e| status(&CallError::Store(e)))?;
        Ok(Response::new(response(page, &filter)))
    }

    type WatchProgressStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchProgressResponse, Status>> + Send + 'static>>;

    async fn watch_progress(
        &self,
        request: Request<v1::WatchProgressRequest>,
    ) -> Result<Response<Self::WatchProgressStream>, Status> {
        let request = request.into_inner();
        // Subscribe before the first read, or a change between the two is lost.
        let changes = self.store.changes();
        let (run_id, generation) = self.generation(&request.run_id, request.generation).await?;
        let (messages, stream) = mpsc::channel(BUFFERED_MAX);
        let watch = self.clone().watch(run_id, generation, changes, messages);
        self.lifecycle.spawn("watch_progress", watch);
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    type ReadArtifactStream =
        Pin<Box<dyn Stream<Item = Result<v1::ReadArtifactResponse, Status>> + Send + 'static>>;

    async fn read_artifact(
        &self,
        request: Request<v1::ReadArtifactRequest>,
    ) -> Result<Response<Self::ReadArtifactStream>, Status> {
        let reading = artifacts::open(self, &request.into_inner()).await?;
        let (pieces, stream) = mpsc::channel(BUFFERED_MAX);
        let send = artifacts::send(reading, pieces);
        self.lifecycle.spawn("read_artifact", send);
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

impl Handlers {
    async fn generation(&self, run_id: &str, generation: i32) -> Result<(RunId, i32), Status> {
        let run_id = edge::uuid("run_id", run_id).map(RunId).map_err(|v| invalid_fields(&[v]))?;
        if generation > 0 {
            return Ok((run_id, generation));
        }
        let latest = self.store.latest_generation(run_id).await;
        Ok((run_id, latest.map_err(|e| status(&CallError::Store(e)))?))
    }

    async fn watch(
        self,
        run_id: RunId,
        generation: i32,
        mut changes: broadcast::Receiver<RunId>,
        messages: mpsc::Sender<Result<v1::WatchProgressResponse, Status>>,
    ) {
        let mut progress = Progress::new(self.store.clone(), run_id, generation);
        let mut last = None;
        loop {
            let began = Instant::now();
            let (counts, sealed) = match progress.look().await {
                Ok(found) => found,
                Err(error) => {
                    let _ = messages.send(Err(status(&CallError::Store(error)))).await;
                    return;
                }
            };
            let pause_min = PROGRESS_INTERVAL.max(began.elapsed() * LOOK_SHARE);
            if sealed || last != Some(counts) {
                last = Some(counts);
                let counts = Some(wire::counts(&counts));
                let sent = messages.send(Ok(v1::WatchProgressResponse { counts, sealed })).await;
                if sealed || sent.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = self.lifecycle.draining() => {
                    let _ = messages.send(Err(draining())).await;
                    return;
                }
                () = messages.closed() => return,
                () = pause(pause_min, &mut changes, run_id) => {}
            }
        }
    }
}

/// Waits for the shortest interval, and then for a change or for the next look.
async fn pause(pause_min: Duration, changes: &mut broadcast::Receiver<RunId>, run_id: RunId) {
    tokio::time::sleep(pause_min).await;
    let changed = async {
        loop {
            match changes.recv().await {
                Ok(changed) if changed != run_id => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    // No change in time means: look anyway.
    let _ = tokio::time::timeout(LOOK_INTERVAL, changed).await;
}

fn response(page: crate::store::Page, filter: &str) -> v1::ListTestResultsResponse {
    let last = page.results.last().filter(|_| page.more).map(|test| test.ordinal);
    let results = page.results.into_iter().map(|test| v1::TestResult {
        ordinal: test.ordinal,
        outcome: wire::outcome(test.outcome).into(),
        skip_reason: test.skip_reason.map(SkipReason::name).unwrap_or_default().to_owned(),
        attempts: test.attempts,
    });
    v1::ListTestResultsResponse {
        results: results.collect(),
        next_page_token: last.map(|ordinal| format!("{filter}.{ordinal}")).unwrap_or_default(),
        sealed: page.sealed,
    }
}

/// Returns the ordinal that a page starts after. A token is `<run>.<generation>.<ordinal>`: opaque to clients by contract,
/// and refused for another list.
fn page_key(filter: &str, token: &str) -> Result<i32, CallError> {
    if token.is_empty() {
        return Ok(-1);
    }
    let ordinal = token.strip_prefix(filter).and_then(|rest| rest.strip_prefix('.'));
    ordinal.and_then(|ordinal| ordinal.parse().ok()).ok_or(CallError::PageToken)
}

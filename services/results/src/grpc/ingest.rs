//! `IngestService`: reports of executors, each under its epoch.

use super::{Handlers, artifacts, error::CallError};
use crate::fit;
use crate::ingest::IngestError;
use crate::store::{Done, Entered, Fence, KnownTest, NewAttempt};
use gauntlet_core::RunId;
use gauntlet_core::limits::{ATTEMPT_BYTES_MAX, REPORT_ATTEMPTS_MAX, REPORT_BYTES_MAX};
use gauntlet_proto::edge::{self, Violations};
use gauntlet_proto::{FieldViolation, v1, v1::ingest_service_server::IngestService};
use gauntlet_rpc::{draining, invalid_fields, status};
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

/// Answers buffered for a slow executor.
const BUFFERED_MAX: usize = 64;

#[tonic::async_trait]
impl IngestService for Handlers {
    async fn open_shard(
        &self,
        request: Request<v1::OpenShardRequest>,
    ) -> Result<Response<v1::OpenShardResponse>, Status> {
        let request = request.into_inner();
        let fence = fence(request.shard).map_err(|v| invalid_fields(&v))?;
        let stop_after_failures = request.stop_after_failures.max(0);
        let opened = self.ingest.open(fence, request.ordinals, stop_after_failures).await;
        let Done { acknowledged_count, tests, .. } = done(opened, &fence)?;
        let (ended, begun): (Vec<_>, Vec<_>) = tests.into_iter().partition(|test| test.is_final);
        let count = |test: KnownTest| v1::AttemptCount {
            ordinal: test.ordinal,
            attempt_count: test.attempt_count,
        };
        Ok(Response::new(v1::OpenShardResponse {
            final_ordinals: ended.into_iter().map(|test| test.ordinal).collect(),
            acknowledged_count,
            attempt_counts: begun.into_iter().map(count).collect(),
        }))
    }

    type ReportAttemptsStream =
        Pin<Box<dyn Stream<Item = Result<v1::ReportAttemptsResponse, Status>> + Send + 'static>>;

    async fn report_attempts(
        &self,
        request: Request<Streaming<v1::ReportAttemptsRequest>>,
    ) -> Result<Response<Self::ReportAttemptsStream>, Status> {
        let (answers, stream) = mpsc::channel(BUFFERED_MAX);
        let handlers = self.clone();
        self.lifecycle.spawn("report_attempts", handlers.reports(request.into_inner(), answers));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn upload_artifact(
        &self,
        request: Request<Streaming<v1::UploadArtifactRequest>>,
    ) -> Result<Response<v1::UploadArtifactResponse>, Status> {
        artifacts::upload(self, request.into_inner()).await.map(Response::new)
    }
}

impl Handlers {
    /// Answers reports in order, each once its attempts are durable. The first refusal ends the stream.
    async fn reports(
        self,
        mut requests: Streaming<v1::ReportAttemptsRequest>,
        answers: mpsc::Sender<Result<v1::ReportAttemptsResponse, Status>>,
    ) {
        loop {
            let request = tokio::select! {
                () = self.lifecycle.draining() => {
                    let _ = answers.send(Err(draining())).await;
                    return;
                }
                request = requests.message() => request,
            };
            // A stream that broke is opened again by the executor, which repeats what was not acknowledged.
            let Ok(Some(request)) = request else { return };
            let answer = self.report(request).await;
            let refused = answer.is_err();
            if answers.send(answer).await.is_err() || refused {
                return;
            }
        }
    }

    async fn report(
        &self,
        request: v1::ReportAttemptsRequest,
    ) -> Result<v1::ReportAttemptsResponse, Status> {
        let limit = |what, limit: usize, actual: usize| {
            status(&CallError::Limit { what, limit: limit as u64, actual: actual as u64 })
        };
        if request.attempts.len() > REPORT_ATTEMPTS_MAX {
            return Err(limit("attempts", REPORT_ATTEMPTS_MAX, request.attempts.len()));
        }
        let fence = fence(request.shard).map_err(|v| invalid_fields(&v))?;
        let attempts: Result<Vec<_>, _> = request.attempts.into_iter().map(new_attempt).collect();
        let attempts = attempts.map_err(|v| invalid_fields(&[v]))?;
        // What is around the attempts is small; the limit is about what they weigh.
        let bytes = attempts.iter().map(|attempt| attempt.payload.len()).sum();
        if bytes > REPORT_BYTES_MAX + ATTEMPT_BYTES_MAX {
            return Err(limit("attempts", REPORT_BYTES_MAX, bytes));
        }
        let reported = self.ingest.report(fence, attempts).await;
        let Done { stored_count, acknowledged_count, stop_after_failures, .. } =
            done(reported, &fence)?;
        if let Some(failures_max) = stop_after_failures {
            self.fail_fast.look(fence.run_id, fence.generation, failures_max);
        }
        Ok(v1::ReportAttemptsResponse {
            sequence: request.sequence,
            already_recorded: stored_count == 0,
            acknowledged_count,
        })
    }
}

fn done(answer: Result<Entered, IngestError>, fence: &Fence) -> Result<Done, Status> {
    let run_id = fence.run_id;
    match answer {
        Ok(Entered::Done(done)) => Ok(done),
        Ok(Entered::LeaseLost) => {
            let subject = format!("runs/{run_id}/shards/{}", fence.shard_index);
            Err(status(&CallError::LeaseLost { subject }))
        }
        Ok(Entered::Sealed) => {
            Err(status(&CallError::Sealed { subject: format!("runs/{run_id}") }))
        }
        Err(IngestError::Store(error)) => Err(status(&CallError::Store(error))),
        Err(IngestError::Draining) => Err(draining()),
    }
}

/// Parses the name of a grant.
pub(super) fn fence(shard: Option<v1::ShardRef>) -> Result<Fence, Vec<FieldViolation>> {
    let shard = shard.unwrap_or_default();
    let mut violations = Violations::default();
    let run_id = violations.take(edge::uuid("shard.run_id", &shard.run_id));
    violations.check(shard.generation > 0, "shard.generation", "must be positive");
    violations.check(shard.shard_index >= 0, "shard.shard_index", "must not be negative");
    violations.check(shard.epoch > 0, "shard.epoch", "must be positive");
    violations.finish()?;
    Ok(Fence {
        run_id: RunId(run_id.unwrap_or_default()),
        generation: shard.generation,
        shard_index: shard.shard_index,
        epoch: shard.epoch,
    })
}

/// Checks an attempt and brings it within its limit.
fn new_attempt(attempt: v1::Attempt) -> Result<NewAttempt, FieldViolation> {
    let outcome = attempt.outcome();
    if outcome == v1::AttemptOutcome::Unspecified {
        return Err(FieldViolation::new("attempts.outcome", "must be set to a known value"));
    }
    if attempt.ordinal < 0 || attempt.attempt < 1 {
        return Err(FieldViolation::new("attempts.attempt", "ordinals start at 0, attempts at 1"));
    }
    Ok(NewAttempt {
        ordinal: attempt.ordinal,
        attempt: attempt.attempt,
        outcome: i16::try_from(i32::from(outcome)).unwrap_or(0),
        is_final: attempt.r#final,
        payload: fit::encode(attempt),
    })
}

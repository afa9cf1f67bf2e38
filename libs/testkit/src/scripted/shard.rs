//! One grant: open, report what the script says, and complete once everything is acknowledged.

use std::collections::HashMap;
use std::time::Duration;

use gauntlet_proto::v1;
use gauntlet_proto::v1::ingest_service_client::IngestServiceClient;
use gauntlet_rpc::Peer;
use gauntlet_runtime::Backoff;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Executor;
use super::complete::Pending;
use super::leases::Lease;
use super::peer::{self, Failed};
use super::script;
use super::trace::{Traced, What};

/// Attempts of one report.
const REPORT_ATTEMPTS: usize = 100;
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Why a shard is not done.
enum Unfinished {
    /// Nothing of the lease counts any more.
    Void,
    /// To be told to the scheduler.
    Failed { class: &'static str, message: String, reported_count: i32 },
}

/// Works on a grant to its end and ends its lease; stops at once when the lease is void.
pub(crate) async fn run(
    executor: &Executor,
    lease: &Lease,
    grant: v1::ShardGrant,
    completions: &mpsc::Sender<Pending>,
) {
    let work = async {
        let done = Shard { executor, lease, reports: None }.work(grant).await;
        let Some(completion) = completion(lease, done) else { return };
        let (answered, answer) = oneshot::channel();
        if completions.send((completion, answered)).await.is_ok() {
            // Also ends when the session is over, and then nothing of it counts.
            let _ = answer.await;
        }
    };
    tokio::select! {
        () = lease.stop.cancelled() => {}
        () = work => {}
    }
}

/// A shard of which every test has its final result or is left to another executor.
struct Finished {
    reported_count: i32,
    deferred: Vec<i32>,
}

fn completion(lease: &Lease, done: Result<Finished, Unfinished>) -> Option<v1::ShardCompletion> {
    let (kind, reported_count, class, message, deferred_ordinals) = match done {
        Ok(Finished { reported_count, deferred }) => {
            (v1::CompletionKind::Done, reported_count, "", String::new(), deferred)
        }
        Err(Unfinished::Void) => return None,
        Err(Unfinished::Failed { class, message, reported_count }) => {
            (v1::CompletionKind::Failed, reported_count, class, message, Vec::new())
        }
    };
    Some(v1::ShardCompletion {
        run_id: lease.key.run_id.to_string(),
        shard_index: lease.key.shard_index,
        epoch: lease.key.epoch,
        kind: kind.into(),
        reported_count,
        failure_class: class.to_owned(),
        message,
        deferred_ordinals,
    })
}

struct Shard<'a> {
    executor: &'a Executor,
    lease: &'a Lease,
    reports: Option<Reports>,
}

/// An open report stream.
struct Reports {
    requests: mpsc::Sender<v1::ReportAttemptsRequest>,
    answers: Streaming<v1::ReportAttemptsResponse>,
}

impl Shard<'_> {
    /// Works until every test has its final result or is left to another executor.
    async fn work(&mut self, grant: v1::ShardGrant) -> Result<Finished, Unfinished> {
        let lease = self.lease;
        self.tell(What::Started);
        if !lease.script.reports {
            if !lease.script.delay.is_zero() {
                lease.set_running(grant.tests.first().map(|test| test.ordinal));
                tokio::time::sleep(lease.script.delay).await;
                lease.set_running(None);
            }
            return Ok(Finished { reported_count: 0, deferred: Vec::new() });
        }
        let opened = self.open(&grant).await?;
        let stored: HashMap<i32, i32> =
            opened.attempt_counts.iter().map(|c| (c.ordinal, c.attempt_count)).collect();
        let mut left: Vec<i32> = grant.tests.iter().map(|test| test.ordinal).collect();
        left.retain(|ordinal| !opened.final_ordinals.contains(ordinal));
        let breaks = lease.script.breaks(grant.shard_index, grant.infra_attempt);
        if breaks {
            left.truncate(left.len() / 2);
        }
        let retries = grant.options.as_ref().map_or(0, |options| options.retries);
        let mut count = opened.acknowledged_count;
        let batch = if lease.script.delay.is_zero() { REPORT_ATTEMPTS } else { 1 };
        let mut attempts = Vec::new();
        let may_defer = grant.may_defer && self.executor.manner.defers;
        let mut deferred = Vec::new();
        for (index, ordinal) in left.iter().enumerate() {
            if !lease.script.delay.is_zero() {
                lease.set_running(Some(*ordinal));
                tokio::time::sleep(lease.script.delay).await;
                lease.set_running(None);
            }
            if grant.poisoned_ordinals.contains(ordinal) {
                let attempt = stored.get(ordinal).copied().unwrap_or(0) + 1;
                attempts.push(self.attempt(*ordinal, attempt, v1::AttemptOutcome::Errored, true));
            } else {
                let from = stored.get(ordinal).copied().unwrap_or(0);
                let mut tries = self.attempts(*ordinal, retries, from);
                if may_defer && tries.len() > 1 && lease.script.defers(*ordinal, from + 1) {
                    tries.truncate(1);
                    deferred.push(*ordinal);
                }
                attempts.extend(tries);
            }
            if attempts.len() >= batch || index + 1 == left.len() {
                count = self.report(std::mem::take(&mut attempts)).await?;
            }
        }
        if breaks {
            let message = "as the script says".to_owned();
            let class = "BROWSER_LAUNCH";
            return Err(Unfinished::Failed { class, message, reported_count: count });
        }
        Ok(Finished { reported_count: count, deferred })
    }

    /// Returns the attempts of a test beyond the first `stored` ones.
    fn attempts(&self, ordinal: i32, retries: i32, stored: i32) -> Vec<v1::Attempt> {
        let outcomes = self.lease.script.attempts(ordinal, retries);
        let last = outcomes.len();
        let numbered = (1..).zip(outcomes).skip(usize::try_from(stored).unwrap_or(0));
        numbered
            .map(|(number, outcome)| {
                let is_final = usize::try_from(number) == Ok(last);
                self.attempt(ordinal, number, outcome, is_final)
            })
            .collect()
    }

    fn attempt(
        &self,
        ordinal: i32,
        number: i32,
        outcome: v1::AttemptOutcome,
        is_final: bool,
    ) -> v1::Attempt {
        let (run, _) = self.lease.key.run_id.as_u64_pair();
        script::attempt(run, ordinal, number, outcome, is_final)
    }

    async fn open(&self, grant: &v1::ShardGrant) -> Result<v1::OpenShardResponse, Unfinished> {
        let ordinals = grant.tests.iter().map(|test| test.ordinal).collect();
        let stop_after_failures = grant.options.as_ref().map_or(0, |o| o.stop_after_failures);
        if grant.fresh && stop_after_failures == 0 {
            return Ok(v1::OpenShardResponse::default());
        }
        let shard = Some(self.lease.shard());
        let request = v1::OpenShardRequest { shard, ordinals, stop_after_failures };
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            match self.ingest().open_shard(request.clone()).await {
                Ok(reply) => return Ok(reply.into_inner()),
                Err(status) => survive(&status, &mut backoff).await?,
            }
        }
    }

    /// Reports until the attempts are acknowledged; returns the rows acknowledged for the shard.
    async fn report(&mut self, attempts: Vec<v1::Attempt>) -> Result<i32, Unfinished> {
        let count = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        let request = v1::ReportAttemptsRequest {
            shard: Some(self.lease.shard()),
            sequence: i64::from(count),
            attempts,
        };
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            match self.send(request.clone()).await {
                Ok(acknowledged) => {
                    if let Some(acknowledged) = &self.executor.manner.acknowledged {
                        acknowledged(&self.lease.shard(), &request.attempts);
                    }
                    self.tell(What::Acknowledged(count));
                    return Ok(acknowledged.acknowledged_count);
                }
                Err(failed) => {
                    self.reports = None;
                    match failed {
                        Some(status) => survive(&status, &mut backoff).await?,
                        None => {
                            backoff.sleep().await;
                        }
                    }
                }
            }
        }
    }

    /// Sends one report and waits for its answer; fails without a status when the stream just ended.
    async fn send(
        &mut self,
        request: v1::ReportAttemptsRequest,
    ) -> Result<v1::ReportAttemptsResponse, Option<Status>> {
        let mut ingest = self.ingest();
        let reports = match &mut self.reports {
            Some(reports) => {
                reports.requests.send(request).await.map_err(|_| None)?;
                reports
            }
            none => {
                let (requests, stream) = mpsc::channel(1);
                // First, so that it travels with the call that opens the stream.
                requests.try_send(request).map_err(|_| None)?;
                let opened = ingest.report_attempts(ReceiverStream::new(stream)).await;
                none.insert(Reports { requests, answers: opened.map_err(Some)?.into_inner() })
            }
        };
        reports.answers.message().await.map_err(Some)?.ok_or(None)
    }

    fn ingest(&self) -> IngestServiceClient<Peer> {
        self.executor.peers.ingest.clone()
    }

    fn tell(&self, what: What) {
        if self.lease.script.traced {
            let key = self.lease.key;
            (self.executor.trace)(Traced::now(what, key.run_id, key.shard_index));
        }
    }
}

/// Waits before a call is repeated; fails when that cannot help.
async fn survive(status: &Status, backoff: &mut Backoff) -> Result<(), Unfinished> {
    match peer::judge(status) {
        Failed::Again => {
            backoff.sleep().await;
            Ok(())
        }
        Failed::LeaseVoid | Failed::SessionLost => Err(Unfinished::Void),
        Failed::Refused => {
            tracing::error!(message = status.message(), "results refused a report");
            let message = status.message().to_owned();
            Err(Unfinished::Failed { class: "UNKNOWN", message, reported_count: 0 })
        }
    }
}

//! Runs as people and programs start them: through the gateway, some aborted, some partly retried, some commands twice.
//!
//! A command is repeated until it is answered; what was answered is kept, because the checker holds the mesh to it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gauntlet_proto::v1;
use gauntlet_proto::v1::scheduler_service_client::SchedulerServiceClient;
use gauntlet_rpc::{Peer, Reason, reason_of, with_deadline};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

use crate::plan::RunPlan;
use crate::world::World;

/// Runs under way at once.
const RUNS_AT_ONCE: usize = 64;
/// How long, after the last fault, nothing may end while a generation goes on: several leases. As long as others end, it may be
/// in their queue: there is one executor with a browser.
const STUCK_AFTER: Duration = Duration::from_secs(150);
/// How long a command may stay without an answer.
const ANSWER_MAX: Duration = Duration::from_secs(90);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long one try of a command may take.
const TRY_MAX: Duration = Duration::from_secs(4);
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What was asked of a run and answered.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord {
    pub(crate) plan: RunPlan,
    pub(crate) run_id: Uuid,
    /// Generations that were begun.
    pub(crate) generations: i32,
    /// What each abort was answered; in order.
    pub(crate) aborts: Vec<AbortRecord>,
    /// What went wrong on the way, as seen from outside.
    pub(crate) trouble: Vec<String>,
}

/// An abort and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortRecord {
    pub(crate) generation: i32,
    /// False when the run had ended otherwise.
    pub(crate) aborted: bool,
}

/// When to begin no further run.
pub(crate) trait Enough: Send + Sync + 'static {
    fn enough(&self, begun: u32) -> bool;
}

/// How far the load is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) begun: AtomicU32,
    pub(crate) ended: AtomicU32,
    /// When the last fault was undone.
    pub(crate) calm_since: OnceLock<Instant>,
}

/// Generations that have ended, as the database says.
#[derive(Debug, Default)]
struct Ends(Mutex<HashMap<(Uuid, i32), Instant>>);

impl Ends {
    fn has(&self, run_id: Uuid, generation: i32) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&(run_id, generation))
    }

    fn saw(&self, ends: impl Iterator<Item = (Uuid, i32)>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for end in ends {
            seen.entry(end).or_insert_with(Instant::now);
        }
    }

    /// Returns when the newest end was seen.
    fn newest(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().max().copied()
    }

    /// Reads the latest ends, for ever.
    async fn follow(self: Arc<Self>, world: Arc<World>) -> anyhow::Result<()> {
        let query = "SELECT run_id, generation FROM scheduler.runs WHERE finished_at > now() - interval '60 s'";
        loop {
            let rows = world.sql.query(query, &[]).await?;
            self.saw(rows.iter().map(|row| (row.get(0), row.get(1))));
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// Begins runs until it is enough and follows each to its end.
pub(crate) async fn generate(
    world: Arc<World>,
    seed: u64,
    enough: Arc<dyn Enough>,
    progress: Arc<Progress>,
) -> anyhow::Result<Vec<RunRecord>> {
    let mut under_way: JoinSet<anyhow::Result<RunRecord>> = JoinSet::new();
    let mut records = Vec::new();
    let ends = Arc::<Ends>::default();
    let mut watch = JoinSet::new();
    watch.spawn(Arc::clone(&ends).follow(Arc::clone(&world)));
    let mut next = 0;
    loop {
        while under_way.len() < RUNS_AT_ONCE && !enough.enough(next) {
            let mut plan = RunPlan::of(seed, next);
            if world.browsers {
                plan = plan.or_browsers(seed);
            }
            next += 1;
            progress.begun.store(next, Ordering::Relaxed);
            let (world, ends) = (Arc::clone(&world), Arc::clone(&ends));
            let progress = Arc::clone(&progress);
            under_way.spawn(Driver { world, ends, progress, plan }.drive());
        }
        let ended = tokio::select! {
            ended = under_way.join_next() => ended,
            Some(stopped) = watch.join_next() => {
                stopped??;
                continue;
            }
        };
        let Some(ended) = ended else { return Ok(records) };
        records.push(ended??);
        progress.ended.fetch_add(1, Ordering::Relaxed);
    }
}

struct Driver {
    world: Arc<World>,
    ends: Arc<Ends>,
    progress: Arc<Progress>,
    plan: RunPlan,
}

impl Driver {
    async fn drive(self) -> anyhow::Result<RunRecord> {
        let mut trouble = Vec::new();
        let run_id = self.trigger(&mut trouble).await?;
        let mut record = RunRecord {
            run_id,
            generations: 1,
            aborts: Vec::new(),
            trouble,
            plan: self.plan.clone(),
        };
        self.follow(&mut record, self.plan.abort_after).await?;
        if !self.plan.again.is_empty() && record.trouble.is_empty() {
            self.retry(&mut record).await?;
            self.follow(&mut record, self.plan.abort_again_after).await?;
        }
        Ok(record)
    }

    async fn trigger(&self, trouble: &mut Vec<String>) -> anyhow::Result<Uuid> {
        let plan = &self.plan;
        let (tests, browser) = match plan.browsers {
            true => (&self.world.recording_ids, v1::Browser::Chromium),
            false => (&self.world.test_ids, v1::Browser::Firefox),
        };
        let tests = tests.iter().take(plan.tests as usize);
        let request = v1::TriggerRunRequest {
            request_id: plan.request_id.to_string(),
            selection: Some(v1::TestSelection {
                test_ids: tests.cloned().collect(),
                ..Default::default()
            }),
            options: Some(v1::RunOptions {
                shards: plan.shards.cast_signed(),
                browser: browser.into(),
                retries: plan.retries,
                variables: plan.script.variables(),
                ..Default::default()
            }),
            trigger: Some(v1::Trigger {
                callback_url: self.world.receiver.url(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let send = |mut client: SchedulerServiceClient<Peer>| {
            let request = with_deadline(request.clone(), TRY_MAX);
            async move { client.trigger_run(request).await }
        };
        let (first, second) = self.sent(send).await?;
        let id = |reply: v1::TriggerRunResponse| reply.run.unwrap_or_default().run_id;
        let run_id = id(first);
        if let Some(second) = second.map(id).filter(|second| *second != run_id) {
            trouble.push(format!("one request made the runs {run_id} and {second}"));
        }
        Ok(run_id.parse()?)
    }

    /// Sends a command until it is answered, twice at once if the plan says so.
    async fn sent<T, F>(
        &self,
        send: impl Fn(SchedulerServiceClient<Peer>) -> F,
    ) -> Result<(T, Option<T>), Status>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        if self.plan.twice {
            let second = self.plan.number as usize + 1;
            let (first, second) =
                tokio::join!(self.answered(&send, 0), self.answered(&send, second));
            return Ok((first?, Some(second?)));
        }
        Ok((self.answered(&send, 0).await?, None))
    }

    async fn retry(&self, record: &mut RunRecord) -> anyhow::Result<()> {
        let request = v1::RetryRunRequest {
            run_id: record.run_id.to_string(),
            generation: record.generations,
            ordinals: self.plan.again.clone(),
            shards: 0,
        };
        let send = |mut client: SchedulerServiceClient<Peer>| {
            let request = with_deadline(request.clone(), TRY_MAX);
            async move { client.retry_run(request).await }
        };
        self.sent(send).await?;
        record.generations += 1;
        Ok(())
    }

    /// Waits for the end of the latest generation, aborting it on the way if it shall be.
    async fn follow(
        &self,
        record: &mut RunRecord,
        abort_after: Option<Duration>,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        if let Some(wait) = abort_after {
            tokio::time::sleep(wait).await;
            let aborted = self.abort(record.run_id, record.generations).await?;
            record.aborts.push(AbortRecord { generation: record.generations, aborted });
        }
        loop {
            if self.ends.has(record.run_id, record.generations) {
                return Ok(());
            }
            let calm_since = self.progress.calm_since.get();
            let calm = calm_since.map(|since| {
                self.ends.newest().into_iter().fold(begun.max(*since), Instant::max).elapsed()
            });
            if calm.is_some_and(|calm| calm >= STUCK_AFTER) {
                let generation = record.generations;
                let late = format!(
                    "generation {generation} has not ended {STUCK_AFTER:?} after the last fault and the last end"
                );
                record.trouble.push(late);
                return Ok(());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Returns whether the generation was aborted; else it had ended before.
    async fn abort(&self, run_id: Uuid, generation: i32) -> Result<bool, Status> {
        let (run_id, reason) = (run_id.to_string(), "chaos".to_owned());
        let request = v1::AbortRunRequest { run_id, reason, generation };
        let send = |mut client: SchedulerServiceClient<Peer>| {
            let request = with_deadline(request.clone(), TRY_MAX);
            async move { client.abort_run(request).await }
        };
        match self.sent(send).await {
            Ok(_) => Ok(true),
            Err(status) if reason_of(&status) == Some(Reason::RunTerminal) => Ok(false),
            Err(status) => Err(status),
        }
    }

    /// Sends until there is an answer that another try would not change.
    async fn answered<T, F>(
        &self,
        send: impl Fn(SchedulerServiceClient<Peer>) -> F,
        first: usize,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let deadline = Instant::now() + ANSWER_MAX;
        let mut turn = self.plan.number as usize + first;
        loop {
            let status = match send(self.world.scheduler(turn)).await {
                Ok(reply) => return Ok(reply.into_inner()),
                Err(status) => status,
            };
            if is_settled(&status) || Instant::now() >= deadline {
                return Err(status);
            }
            turn += 1;
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

fn is_settled(status: &Status) -> bool {
    use Reason::{
        FieldInvalid, LimitExceeded, RequestIdReused, RunNotFound, RunNotTerminal, RunTerminal,
        TestNotFound,
    };
    matches!(
        reason_of(status),
        Some(
            RunTerminal
                | RunNotTerminal
                | RunNotFound
                | TestNotFound
                | FieldInvalid
                | LimitExceeded
                | RequestIdReused
        )
    )
}

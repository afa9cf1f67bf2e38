//! The dispatcher: one task turns planned runs into rows and serves every parked poll of this process.
//!
//! It wakes when a run or a poll arrives or work is announced, and once a second while polls are parked (back-off that ran
//! out, other schedulers' admissions). A poll that arrives right after a look that left nothing is not looked for. While one transaction flushes, the next gathers. A crash loses replies only: triggers
//! are repeated by request id, grants turn up as unnamed at the next beat.

use crate::commit::{CommitError, Committer, is_about_one_command};
use crate::grants::Grant;
use crate::store::admit::{Admitted, NewRun};
use crate::store::claim::Claimer;
use crate::store::dispatch::{Dispatch, Dispatched};
use crate::store::{Store, StoreError};
use crate::wake::Wake;
use gauntlet_core::protocol::Command;
use gauntlet_core::{LeaseId, SessionId};
use gauntlet_runtime::{Lifecycle, error_chain, ids};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often parked polls are served when nobody announced work.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Runs admitted in one transaction.
const BATCH_RUNS_MAX: usize = 64;
/// Tests admitted in one transaction, unless one run alone has more.
const BATCH_TESTS_MAX: usize = 10_000;
/// Planned runs waiting for a transaction.
const QUEUE_RUNS_MAX: usize = 1_024;

struct Parked {
    claimer: Claimer,
    reply: oneshot::Sender<Vec<Grant>>,
}

struct Planned {
    run: Arc<NewRun>,
    reply: oneshot::Sender<Result<Admitted, StoreError>>,
}

/// Runs to admit, and polls that wait for work. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    planned: mpsc::Sender<Planned>,
    parked: Arc<Mutex<HashMap<SessionId, Parked>>>,
    wake: Arc<Wake>,
}

impl Dispatcher {
    /// Starts the task.
    pub(crate) fn start(
        store: Store,
        committer: Committer,
        wake: Arc<Wake>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let (planned, arriving) = mpsc::channel(QUEUE_RUNS_MAX);
        let dispatcher = Self { planned, parked: Arc::default(), wake: wake.clone() };
        let announcer = Announcer { committer, lifecycle: lifecycle.clone() };
        let parked = dispatcher.parked.clone();
        let (held_over, dry) = (None, BTreeSet::new());
        let task = Task { store, announcer, parked, wake, held_over, dry, arriving };
        lifecycle.spawn("dispatch", task.run(lifecycle.clone()));
        dispatcher
    }

    /// Admits a planned run; an answer means durable. Repeatable by its request id.
    pub(crate) async fn admit(&self, run: Arc<NewRun>) -> Result<Admitted, CommitError> {
        let (reply, answer) = oneshot::channel();
        let planned = Planned { run, reply };
        self.planned.send(planned).await.map_err(|_| CommitError::Draining)?;
        answer.await.map_err(|_| CommitError::Draining)?.map_err(CommitError::Store)
    }

    /// Waits up to `timeout` for grants. A session's newer poll replaces its older one.
    pub(crate) async fn poll(&self, claimer: Claimer, timeout: Duration) -> Vec<Grant> {
        let (reply, granted) = oneshot::channel();
        let session = claimer.session;
        lock(&self.parked).insert(session, Parked { claimer, reply });
        self.wake.poll();
        // A poll that times out leaves its entry behind as closed; the next look drops it.
        tokio::time::timeout(timeout, granted).await.ok().and_then(Result::ok).unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    store: Store,
    announcer: Announcer,
    parked: Arc<Mutex<HashMap<SessionId, Parked>>>,
    wake: Arc<Wake>,
    /// A run that did not fit into the batch before.
    held_over: Option<Planned>,
    /// Browsers for which the last look left nothing, until work is announced.
    dry: BTreeSet<String>,
    arriving: mpsc::Receiver<Planned>,
}

impl Task {
    async fn run(mut self, lifecycle: Lifecycle) {
        loop {
            let mut batch = match self.held_over.take() {
                Some(held_over) => self.gather(Some(held_over)),
                None => tokio::select! {
                    () = lifecycle.draining() => break,
                    arrived = self.arriving.recv() => self.gather(arrived),
                    () = self.wake.until_poll() => self.gather(None),
                    () = self.wake.until_work() => {
                        self.dry.clear();
                        self.gather(None)
                    }
                    () = tokio::time::sleep(LOOK_INTERVAL) => {
                        self.dry.clear();
                        self.gather(None)
                    }
                },
            };
            // One claim takes a bounded bite; while it finds something there may be more.
            while self.dispatch(std::mem::take(&mut batch)).await {}
        }
        // Draining: answer what waits with nothing, so that executors ask elsewhere and triggers are repeated there.
        lock(&self.parked).clear();
    }

    fn gather(&mut self, first: Option<Planned>) -> Vec<Planned> {
        let mut batch: Vec<Planned> = first.into_iter().collect();
        let mut tests: usize = batch.iter().map(|planned| planned.run.tests.len()).sum();
        while batch.len() < BATCH_RUNS_MAX
            && let Ok(planned) = self.arriving.try_recv()
        {
            tests += planned.run.tests.len();
            if tests > BATCH_TESTS_MAX && !batch.is_empty() {
                self.held_over = Some(planned);
                break;
            }
            batch.push(planned);
        }
        batch
    }

    /// Admits the batch and serves everybody who waits; returns whether there may be more to grant.
    async fn dispatch(&mut self, batch: Vec<Planned>) -> bool {
        let claimers = self.claimers();
        let mut browsers = claimers.iter().flat_map(|claimer| &claimer.browsers);
        if batch.is_empty() && browsers.all(|browser| self.dry.contains(browser)) {
            return false;
        }
        let runs: Vec<Arc<NewRun>> = batch.iter().map(|planned| planned.run.clone()).collect();
        match self.transact(&runs, &claimers).await {
            Ok(Dispatched { admitted, grants, is_all }) => {
                let browsers = claimers.into_iter().flat_map(|claimer| claimer.browsers);
                self.dry = if is_all { browsers.collect() } else { BTreeSet::new() };
                for (planned, admitted) in batch.into_iter().zip(admitted) {
                    self.wake.run_changed(planned.run.run_id, false);
                    // A caller that went away repeats its trigger.
                    let _ = planned.reply.send(Ok(admitted));
                }
                let more = !grants.is_empty() && !is_all;
                self.deliver(grants);
                more
            }
            Err(error) => {
                if batch.is_empty() {
                    tracing::warn!(error = %error_chain(&error), "no shards could be claimed");
                }
                self.fail(batch, &error).await;
                false
            }
        }
    }

    async fn transact(
        &self,
        runs: &[Arc<NewRun>],
        claimers: &[Claimer],
    ) -> Result<Dispatched, StoreError> {
        let fresh_lease_id = || LeaseId(ids::v4());
        let dispatch = Dispatch { store: &self.store, runs, claimers, fresh_lease_id };
        self.store.pool.transact(&dispatch).await
    }

    /// One bad run does not fail its neighbours: each is tried alone.
    async fn fail(&self, batch: Vec<Planned>, error: &StoreError) {
        let alone = batch.len() > 1 && is_about_one_command(error);
        for planned in batch {
            let answer = if alone {
                let admitted = self.transact(std::slice::from_ref(&planned.run), &[]).await;
                self.wake.work();
                admitted.and_then(|mut d| d.admitted.pop().ok_or_else(|| error.clone()))
            } else {
                Err(error.clone())
            };
            let _ = planned.reply.send(answer);
        }
    }

    fn claimers(&self) -> Vec<Claimer> {
        let mut parked = lock(&self.parked);
        parked.retain(|_, poll| !poll.reply.is_closed());
        parked.values().map(|poll| poll.claimer.clone()).collect()
    }

    fn deliver(&self, grants: Vec<(Grant, bool)>) {
        let mut by_session: HashMap<SessionId, Vec<Grant>> = HashMap::new();
        for (grant, announced) in grants {
            if !announced {
                self.announcer.announce(&grant);
            }
            by_session.entry(grant.session).or_default().push(grant);
        }
        let mut parked = lock(&self.parked);
        for (session, grants) in by_session {
            if let Some(poll) = parked.remove(&session) {
                // A poll that went away finds its grants as unnamed at the next beat.
                let _ = poll.reply.send(grants);
            }
        }
    }
}

/// Writes RUNNING and the grant's event in a second, idempotent step: the claim itself never locks the run.
#[derive(Clone)]
struct Announcer {
    committer: Committer,
    lifecycle: Lifecycle,
}

impl Announcer {
    fn announce(&self, grant: &Grant) {
        let committer = self.committer.clone();
        let (run_id, shard, epoch) = (grant.run_id, grant.shard_index, grant.epoch);
        self.lifecycle.spawn("announce", async move {
            let command = Command::MarkGranted { epoch };
            // The reconciler announces what this could not.
            if let Err(error) = committer.commit(run_id, Some(shard), command).await {
                tracing::debug!(run.id = %run_id, error = %error_chain(&error), "grant not announced yet");
            }
        });
    }
}

//! Finalization leases: who computes a run's verdict.
//!
//! An election is a lease with an epoch (B4): if the holder dies, the reconciler takes it away and the next asker gets a
//! higher epoch. When a results process is already waiting, the transaction that closes the last shard elects it at once, and
//! the election waits in the process's mailbox for its poll. Mailboxes are memory: a crash here leaves leases that expire.

use crate::commit::{CommitError, Committer};
use crate::store::apply::{Applied, Item};
use crate::store::{Store, StoreError};
use crate::wake::Wake;
use gauntlet_core::limits::LEASE_TTL;
use gauntlet_core::protocol::{Command, Outcome, StopReason, VerdictState};
use gauntlet_core::{ReplicaId, RunId};
use gauntlet_proto::v1;
use gauntlet_runtime::Lifecycle;
use prost::Message as _;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often a waiting poll looks when nobody announced a finalization.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a results process may stay away between two polls before others are elected.
const ABSENCE_MAX: Duration = Duration::from_secs(2);
/// Elections that wait for one results process.
const ELECTED_MAX: usize = 256;

/// What can go wrong with a finalization.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinalizeError {
    /// The command was not committed.
    #[error("the finalization was not committed")]
    Commit(#[source] CommitError),
    /// The store failed.
    #[error("finalizations could not be read")]
    Store(#[source] StoreError),
    /// No such run.
    #[error("no such run: {run_id}")]
    NoSuchRun {
        /// The run.
        run_id: RunId,
    },
    /// The lease is no longer the caller's.
    #[error("the finalization of {run_id} is no longer held")]
    Lost {
        /// The run.
        run_id: RunId,
    },
    /// The run ended otherwise.
    #[error("{run_id} ended as {state} before")]
    Terminal {
        /// The run.
        run_id: RunId,
        /// How it ended.
        state: &'static str,
    },
}

/// Run, generation and epoch.
type Elected = (RunId, u32, u32);

/// What a results process was elected for and has not fetched yet.
struct Mailbox {
    elected: Vec<Elected>,
    /// Polls that wait now.
    waiting_polls: usize,
    /// When a poll last came or went.
    polled_at: Instant,
    arrived: Arc<Notify>,
}

impl Mailbox {
    fn new() -> Self {
        let (elected, arrived) = (Vec::new(), Arc::default());
        Self { elected, waiting_polls: 0, polled_at: Instant::now(), arrived }
    }

    /// A process that has just fetched comes back at once; one that stays away is gone or busy.
    fn is_attended(&self) -> bool {
        self.waiting_polls > 0 || self.polled_at.elapsed() < ABSENCE_MAX
    }
}

/// Results processes that wait for work, and what they do with it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Finalizations {
    store: Store,
    committer: Committer,
    wake: Arc<Wake>,
    lifecycle: Lifecycle,
    mailboxes: Arc<Mutex<HashMap<ReplicaId, Mailbox>>>,
}

/// A poll that waits, for as long as this lives.
struct WaitingPoll<'a> {
    finalizations: &'a Finalizations,
    replica: ReplicaId,
    arrived: Arc<Notify>,
}

impl Drop for WaitingPoll<'_> {
    fn drop(&mut self) {
        if let Some(mailbox) = self.finalizations.lock().get_mut(&self.replica) {
            mailbox.waiting_polls -= 1;
            mailbox.polled_at = Instant::now();
        }
    }
}

impl Finalizations {
    pub(crate) fn new(
        store: Store,
        committer: Committer,
        wake: Arc<Wake>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let lifecycle = lifecycle.clone();
        Self { store, committer, wake, lifecycle, mailboxes: Arc::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ReplicaId, Mailbox>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a results process that waits now, or will at once, with the least to fetch, for the command that may elect it.
    pub(crate) fn waiting(&self) -> Option<ReplicaId> {
        let mailboxes = self.lock();
        let open = mailboxes
            .iter()
            .filter(|(_, mailbox)| mailbox.is_attended() && mailbox.elected.len() < ELECTED_MAX);
        let order = |mailbox: &Mailbox| (mailbox.waiting_polls == 0, mailbox.elected.len());
        open.min_by_key(|(_, mailbox)| order(mailbox)).map(|(replica, _)| *replica)
    }

    /// Puts the election of a committed command, if it made one, where the elected fetches it.
    pub(crate) fn deliver_elected(&self, run_id: RunId, outcome: &Outcome) {
        let (Outcome::Counted { elected: Some(claim), .. } | Outcome::Stopped { elected: claim }) =
            outcome
        else {
            return;
        };
        let Some(replica) = claim.replica else { return };
        let mut mailboxes = self.lock();
        let mailbox = mailboxes.entry(replica).or_insert_with(Mailbox::new);
        mailbox.elected.push((run_id, claim.generation, claim.epoch));
        mailbox.arrived.notify_one();
    }

    /// Frees what processes that stay away were elected for, rather than let the leases sit out their time.
    pub(crate) fn free_unfetched(&self) {
        let mut unfetched = Vec::new();
        self.lock().retain(|_, mailbox| {
            if !mailbox.is_attended() {
                unfetched.append(&mut mailbox.elected);
            }
            mailbox.is_attended()
        });
        for (run_id, generation, epoch) in unfetched {
            let committer = self.committer.clone();
            self.lifecycle.spawn("free_finalization", async move {
                // On failure the reconciler frees it when the lease expires.
                let command = Command::LoseFinalization { generation, epoch };
                let _ = committer.commit(run_id, None, command).await;
            });
        }
    }

    /// Waits up to `timeout` for runs to finalize.
    pub(crate) async fn claim(
        &self,
        replica: ReplicaId,
        claims_max: usize,
        timeout: Duration,
    ) -> Result<Vec<v1::FinalizationClaim>, FinalizeError> {
        let deadline = Instant::now() + timeout;
        let poll = self.wait_as(replica);
        loop {
            let announced = self.wake.finalizations();
            tokio::pin!(announced);
            announced.as_mut().enable();
            let claims = self.fetch(replica, claims_max).await?;
            if !claims.is_empty() {
                return Ok(claims);
            }
            self.claim_free(replica, claims_max).await?;
            let claims = self.fetch(replica, claims_max).await?;
            if !claims.is_empty() || Instant::now() >= deadline {
                return Ok(claims);
            }
            tokio::select! {
                () = poll.arrived.notified() => {}
                () = announced => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    fn wait_as(&self, replica: ReplicaId) -> WaitingPoll<'_> {
        let mut mailboxes = self.lock();
        let mailbox = mailboxes.entry(replica).or_insert_with(Mailbox::new);
        mailbox.waiting_polls += 1;
        WaitingPoll { finalizations: self, replica, arrived: mailbox.arrived.clone() }
    }

    /// Returns what is in the mailbox. It leaves the mailbox only with the answer: a poll that is cut off in between leaves
    /// everything to the next.
    async fn fetch(
        &self,
        replica: ReplicaId,
        claims_max: usize,
    ) -> Result<Vec<v1::FinalizationClaim>, FinalizeError> {
        let elected: Vec<Elected> = self
            .lock()
            .get(&replica)
            .map(|mailbox| mailbox.elected.iter().take(claims_max).copied().collect())
            .unwrap_or_default();
        if elected.is_empty() {
            return Ok(Vec::new());
        }
        let claims = self.store.describe_claims(&elected).await.map_err(FinalizeError::Store)?;
        if let Some(mailbox) = self.lock().get_mut(&replica) {
            mailbox.elected.retain(|claim| !elected.contains(claim));
        }
        Ok(claims)
    }

    /// Takes finalizations that nobody holds into the mailbox.
    async fn claim_free(&self, replica: ReplicaId, claims_max: usize) -> Result<(), FinalizeError> {
        let free = self.store.list_unclaimed_finalizations(claims_max).await;
        let free = free.map_err(FinalizeError::Store)?;
        let claims = free.into_iter().map(|run_id| async move {
            let command = Command::ClaimFinalization { replica };
            (run_id, self.committer.commit(run_id, None, command).await)
        });
        for (run_id, applied) in futures_util::future::join_all(claims).await {
            if let Applied::Decided { outcome: Outcome::FinalizerElected(claim), .. } =
                applied.map_err(FinalizeError::Commit)?
                && let Some(mailbox) = self.lock().get_mut(&replica)
            {
                mailbox.elected.push((run_id, claim.generation, claim.epoch));
            }
        }
        Ok(())
    }

    /// Renews leases; returns those still held.
    pub(crate) async fn renew(
        &self,
        replica: ReplicaId,
        held: &[(RunId, i32, u32)],
    ) -> Result<Vec<(RunId, i32, i32)>, FinalizeError> {
        let ttl_s = LEASE_TTL.as_secs_f64();
        self.store.renew_finalizations(replica, held, ttl_s).await.map_err(FinalizeError::Store)
    }

    /// Stops a run that has seen enough; true when this did it.
    pub(crate) async fn stop(
        &self,
        run_id: RunId,
        generation: u32,
        reason: StopReason,
    ) -> Result<bool, FinalizeError> {
        let command = Command::Stop { generation, reason, parked: self.waiting() };
        let applied = self.committer.commit(run_id, None, command).await;
        let Applied::Decided { outcome, .. } = applied.map_err(FinalizeError::Commit)? else {
            return Err(FinalizeError::NoSuchRun { run_id });
        };
        self.deliver_elected(run_id, &outcome);
        Ok(matches!(outcome, Outcome::Stopped { .. }))
    }

    /// Closes a generation with its verdict; true when an identical call closed it before.
    pub(crate) async fn close(
        &self,
        run_id: RunId,
        generation: u32,
        epoch: u32,
        state: VerdictState,
        verdict: &v1::Verdict,
    ) -> Result<bool, FinalizeError> {
        let digest = verdict.digest.clone();
        let item = Item {
            run_id,
            shard_index: None,
            command: Command::Close { generation, epoch, verdict: state, digest },
            verdict: Some(verdict.encode_to_vec()),
        };
        let applied = self.committer.send(item).await.map_err(FinalizeError::Commit)?;
        let Applied::Decided { outcome, .. } = applied else {
            return Err(FinalizeError::NoSuchRun { run_id });
        };
        match outcome {
            Outcome::Closed => Ok(false),
            Outcome::AlreadyClosed => Ok(true),
            Outcome::AlreadyTerminal(state) => {
                Err(FinalizeError::Terminal { run_id, state: state.name() })
            }
            _ => Err(FinalizeError::Lost { run_id }),
        }
    }
}

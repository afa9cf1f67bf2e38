//! Finalization leases: who computes a run's verdict.
//!
//! An election is a lease with an epoch (B4): if the holder dies, the reconciler takes it away and the next asker gets a
//! higher epoch. When a results process is already waiting, the transaction that closes the last shard elects it at once.

use crate::commit::{CommitError, Committer};
use crate::store::apply::{Applied, Item};
use crate::store::{Store, StoreError};
use crate::wake::Wake;
use gauntlet_core::limits::LEASE_TTL;
use gauntlet_core::protocol::{Command, Outcome, VerdictState};
use gauntlet_core::{ReplicaId, RunId};
use gauntlet_proto::{edge, v1};
use prost::Message as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How often a waiting poll looks when nobody announced a finalization.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

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

struct Parked {
    replica: ReplicaId,
    reply: oneshot::Sender<(RunId, u32)>,
}

/// Results processes that wait for work, and what they do with it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Finalizations {
    store: Store,
    committer: Committer,
    wake: Arc<Wake>,
    parked: Arc<Mutex<VecDeque<Parked>>>,
}

impl Finalizations {
    pub(crate) fn new(store: Store, committer: Committer, wake: Arc<Wake>) -> Self {
        Self { store, committer, wake, parked: Arc::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a results process that is waiting, for the command that may elect it.
    pub(crate) fn waiting(&self) -> Option<ReplicaId> {
        let mut parked = self.lock();
        parked.retain(|poll| !poll.reply.is_closed());
        parked.front().map(|poll| poll.replica)
    }

    /// Hands an election to the poll of the elected. When that poll has gone, the lease is freed at once.
    pub(crate) async fn deliver(&self, replica: ReplicaId, run_id: RunId, epoch: u32) {
        let poll = {
            let mut parked = self.lock();
            let place = parked.iter().position(|p| p.replica == replica && !p.reply.is_closed());
            place.and_then(|place| parked.remove(place))
        };
        let delivered = poll.is_some_and(|poll| poll.reply.send((run_id, epoch)).is_ok());
        if !delivered {
            // On failure the reconciler frees it when the lease expires.
            let _ = self.committer.commit(run_id, None, Command::LoseFinalization { epoch }).await;
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
        loop {
            let announced = self.wake.finalizations();
            tokio::pin!(announced);
            announced.as_mut().enable();
            let (reply, mut elected) = oneshot::channel();
            let claims = self.claim_free(replica, claims_max).await?;
            if !claims.is_empty() {
                return Ok(claims);
            }
            self.lock().push_back(Parked { replica, reply });
            let sent = tokio::select! {
                sent = &mut elected => sent.ok(),
                () = announced => None,
                () = tokio::time::sleep(LOOK_INTERVAL) => None,
                () = tokio::time::sleep_until(deadline) => None,
            };
            // An election sent while another branch won must not be lost: the lease would sit out its time.
            elected.close();
            if let Some((run_id, epoch)) = sent.or_else(|| elected.try_recv().ok()) {
                return Ok(self.describe(run_id, epoch).await?.into_iter().collect());
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
        }
    }

    async fn claim_free(
        &self,
        replica: ReplicaId,
        claims_max: usize,
    ) -> Result<Vec<v1::FinalizationClaim>, FinalizeError> {
        let free = self.store.list_unclaimed_finalizations(claims_max).await;
        let mut claims = Vec::new();
        for run_id in free.map_err(FinalizeError::Store)? {
            let command = Command::ClaimFinalization { replica };
            let applied = self.committer.commit(run_id, None, command).await;
            let Applied::Decided { outcome: Outcome::FinalizerElected(claim), .. } =
                applied.map_err(FinalizeError::Commit)?
            else {
                continue;
            };
            claims.extend(self.describe(run_id, claim.epoch).await?);
        }
        Ok(claims)
    }

    async fn describe(
        &self,
        run_id: RunId,
        epoch: u32,
    ) -> Result<Option<v1::FinalizationClaim>, FinalizeError> {
        let Some(run) = self.store.find_run(run_id).await.map_err(FinalizeError::Store)? else {
            return Ok(None);
        };
        let shards = self.store.shard_summaries(run_id, run.generation).await;
        Ok(Some(v1::FinalizationClaim {
            run_id: run_id.to_string(),
            generation: run.generation,
            finalizer_epoch: i64::from(epoch),
            test_count: run.test_count,
            shards: shards.map_err(FinalizeError::Store)?,
            lease_ttl: Some(edge::wire_duration(LEASE_TTL)),
        }))
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

//! The claimer: one task serves every parked poll of this process with one claim at a time.
//!
//! It wakes when a poll arrives or work is announced, and once a second while polls are parked (back-off that ran out,
//! other schedulers' admissions). A crash loses replies only: those grants turn up as unnamed at the next beat.

use crate::commit::Committer;
use crate::grants::Grant;
use crate::store::Store;
use crate::store::claim::Claimer;
use crate::wake::Wake;
use gauntlet_core::protocol::Command;
use gauntlet_core::{LeaseId, SessionId};
use gauntlet_runtime::{Lifecycle, error_chain, ids};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How often parked polls are served when nobody announced work.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

struct Parked {
    claimer: Claimer,
    reply: oneshot::Sender<Vec<Grant>>,
}

/// Polls that wait for work. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Claims {
    parked: Arc<Mutex<HashMap<SessionId, Parked>>>,
    wake: Arc<Wake>,
}

impl Claims {
    /// Starts the claimer.
    pub(crate) fn start(
        store: Store,
        committer: Committer,
        wake: Arc<Wake>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let claims = Self { parked: Arc::default(), wake };
        let announcer = Announcer { committer, lifecycle: lifecycle.clone() };
        lifecycle.spawn("claim", claims.clone().run(store, announcer, lifecycle.clone()));
        claims
    }

    /// Waits up to `timeout` for grants. A session's newer poll replaces its older one.
    pub(crate) async fn poll(&self, claimer: Claimer, timeout: Duration) -> Vec<Grant> {
        let (reply, granted) = oneshot::channel();
        let session = claimer.session;
        self.lock().insert(session, Parked { claimer, reply });
        self.wake.work();
        // A poll that times out leaves its entry behind as closed; the claimer drops it at its next look.
        tokio::time::timeout(timeout, granted).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self, store: Store, announcer: Announcer, lifecycle: Lifecycle) {
        while !lifecycle.is_draining() {
            tokio::select! {
                () = lifecycle.draining() => break,
                () = self.wake.until_work() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            // One claim takes a bounded bite; while it finds something there may be more.
            while self.serve(&store, &announcer).await {}
        }
        // Draining: answer what waits with nothing, so that executors ask elsewhere.
        self.lock().clear();
    }

    /// Claims once for everybody who waits; returns whether anything was granted.
    async fn serve(&self, store: &Store, announcer: &Announcer) -> bool {
        let claimers: Vec<Claimer> = {
            let mut parked = self.lock();
            parked.retain(|_, poll| !poll.reply.is_closed());
            parked.values().map(|poll| poll.claimer.clone()).collect()
        };
        if claimers.is_empty() {
            return false;
        }
        match store.claim_shards(&claimers, || LeaseId(ids::v4())).await {
            Ok(grants) => {
                let granted = !grants.is_empty();
                self.deliver(grants, announcer);
                granted
            }
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "no shards could be claimed");
                false
            }
        }
    }

    fn deliver(&self, grants: Vec<Grant>, announcer: &Announcer) {
        let mut by_session: HashMap<SessionId, Vec<Grant>> = HashMap::new();
        for grant in grants {
            announcer.announce(&grant);
            by_session.entry(grant.session).or_default().push(grant);
        }
        let mut parked = self.lock();
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
pub(crate) struct Announcer {
    pub(crate) committer: Committer,
    pub(crate) lifecycle: Lifecycle,
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

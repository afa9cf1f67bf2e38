//! The rows that the protocol decides on, without what it does not look at.

use crate::ids::{LeaseEpoch, ReplicaId, SessionId};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunState {
    /// Admitted, no shard granted yet.
    Queued,
    /// A shard was granted.
    Running,
    /// Every shard is closed; the verdict is being computed.
    Finalizing,
    /// Terminal: tests and gates passed.
    Passed,
    /// Terminal: tests or gates failed.
    Failed,
    /// Terminal: the infrastructure failed.
    Errored,
    /// Terminal: aborted by somebody.
    Aborted,
}

impl RunState {
    /// Every state, in the order of a run's life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Finalizing,
        Self::Passed,
        Self::Failed,
        Self::Errored,
        Self::Aborted,
    ];

    /// Returns whether the state never changes again (RN-1).
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::Errored | Self::Aborted)
    }

    /// Returns the name used in the database, logs and the CLI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Finalizing => "FINALIZING",
            Self::Passed => "PASSED",
            Self::Failed => "FAILED",
            Self::Errored => "ERRORED",
            Self::Aborted => "ABORTED",
        }
    }

    /// Returns the state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Where a shard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ShardState {
    /// Waits for an executor.
    Queued,
    /// Held by an executor's session.
    Leased,
    /// Closed: its tests were executed, or its attempts are spent.
    Done,
    /// Closed: its run was aborted or stopped.
    Cancelled,
}

impl ShardState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Leased, Self::Done, Self::Cancelled];

    /// Returns whether the shard counts as open (SH-1).
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Leased)
    }

    /// Returns the name used in the database and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Leased => "LEASED",
            Self::Done => "DONE",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Returns the state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What a shard's infrastructure failure does to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInfraFailure {
    /// The shard's remaining tests are errored, its siblings go on.
    Continue,
    /// The run is errored at once.
    StopRun,
}

/// What a computed verdict may say; ABORTED is never computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictState {
    /// Tests and gates passed.
    Passed,
    /// Tests or gates failed.
    Failed,
    /// Nothing can be said about the tests.
    Errored,
}

impl From<VerdictState> for RunState {
    fn from(verdict: VerdictState) -> Self {
        match verdict {
            VerdictState::Passed => Self::Passed,
            VerdictState::Failed => Self::Failed,
            VerdictState::Errored => Self::Errored,
        }
    }
}

/// The run as the protocol sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Where it stands.
    pub state: RunState,
    /// The pass over its tests.
    pub generation: u32,
    /// Position of its last event (RN-4).
    pub revision: u64,
    /// Shards neither done nor cancelled (SH-1).
    pub open_shard_count: u32,
    /// What an infrastructure failure does to it.
    pub on_infra_failure: OnInfraFailure,
    /// Fencing number of the finalizer; 0 before the first election.
    pub finalizer_epoch: u32,
    /// Who finalizes; none when nobody holds the lease.
    pub finalizer: Option<ReplicaId>,
    /// Digest of the verdict that closed it.
    pub digest: Option<String>,
    /// Why it was aborted or errored.
    pub reason: Option<String>,
}

/// A shard as the protocol sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRow {
    /// Its index within the run.
    pub index: u32,
    /// Where it stands.
    pub state: ShardState,
    /// Fencing number (SH-2).
    pub epoch: LeaseEpoch,
    /// Last epoch whose grant is in the run's log.
    pub announced: LeaseEpoch,
    /// Who holds it (SH-4).
    pub session: Option<SessionId>,
    /// Leases that ended by infrastructure failure.
    pub infra_attempts: u32,
    /// Ordinals that its holder said were running.
    pub running: Vec<u32>,
    /// Ordinals that were running in a lost lease.
    pub suspects: Vec<u32>,
    /// Ordinals that were running in two lost leases: errored and skipped.
    pub poisoned: Vec<u32>,
    /// Rows that results acknowledged, as its holder counted them at completion.
    pub reported_count: u32,
    /// Class of the failure that spent its attempts.
    pub failure_class: Option<String>,
}

/// How an executor ends a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// Every test has a final result.
    Done {
        /// Rows that results acknowledged for the shard.
        reported_count: u32,
    },
    /// The infrastructure failed.
    Failed {
        /// Class of the failure.
        class: String,
        /// Rows that results acknowledged for the shard.
        reported_count: u32,
    },
    /// Given back at shutdown.
    HandedBack,
}

/// Proof of an election: the holder finalizes one generation. Only [`super::decide`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalizerClaim {
    /// Who; none when nobody was waiting and the claim is up for whoever asks first.
    pub replica: Option<ReplicaId>,
    /// Fencing number of the finalizer.
    pub epoch: u32,
}

/// An entry of the run's log, without its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A shard was leased.
    ShardGranted {
        /// The shard.
        shard_index: u32,
        /// Epoch of the grant.
        epoch: LeaseEpoch,
        /// Who got it.
        session: SessionId,
    },
    /// A lease ended without completion.
    ShardLost {
        /// The shard.
        shard_index: u32,
        /// Epoch after the loss.
        epoch: LeaseEpoch,
        /// Who held it.
        session: Option<SessionId>,
        /// Why.
        reason: String,
        /// Ordinals that were running.
        running: Vec<u32>,
    },
    /// A shard was closed.
    ShardDone {
        /// The shard.
        shard_index: u32,
        /// Epoch that closed it.
        epoch: LeaseEpoch,
        /// Shards still open.
        open_shard_count: u32,
        /// Class of the failure that spent its attempts.
        failure_class: Option<String>,
    },
    /// The finalizer was elected.
    Finalizing {
        /// Its fencing number.
        finalizer_epoch: u32,
    },
    /// The generation ended (RN-2: once).
    Terminal {
        /// How.
        state: RunState,
        /// Why, when it was aborted or errored.
        reason: Option<String>,
    },
}

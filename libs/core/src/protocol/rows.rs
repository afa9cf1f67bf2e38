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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnInfraFailure {
    /// The shard's remaining tests are errored, its siblings go on.
    Continue,
    /// The run is errored at once.
    StopRun,
}

/// Why a run was stopped before its end. Declared in no order: the first reason stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// As many tests failed as the run allows.
    FailFast,
    /// The run's time limit passed.
    Deadline,
}

impl StopReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::FailFast, Self::Deadline];

    /// Returns the name used in the database, as a skip reason and as a verdict's error.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FailFast => "FAIL_FAST",
            Self::Deadline => "DEADLINE",
        }
    }

    /// Returns the reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// What a computed verdict may say; ABORTED is never computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunRow {
    /// Where it stands.
    pub state: RunState,
    /// The pass over its tests.
    pub generation: u32,
    /// Shards of this generation, deferred ones included.
    pub shard_count: u32,
    /// Index of the next shard planned for the run: an index is never used again.
    pub next_shard_index: u32,
    /// Whether a shard of it was ever granted.
    pub started: bool,
    /// Position of its last event (RN-4).
    pub revision: u64,
    /// Shards neither done nor cancelled (SH-1).
    pub open_shard_count: u32,
    /// What an infrastructure failure does to it.
    pub on_infra_failure: OnInfraFailure,
    /// Why it was stopped before its end.
    pub stop_reason: Option<StopReason>,
    /// Fencing number of the finalizer of this generation; 0 before the first election.
    pub finalizer_epoch: u32,
    /// Who finalizes; none when nobody holds the lease.
    pub finalizer: Option<ReplicaId>,
    /// Digest of the verdict that closed it.
    pub digest: Option<String>,
    /// Why it was aborted or errored.
    pub reason: Option<String>,
}

/// A shard as the protocol sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShardRow {
    /// Its index within the run.
    pub index: u32,
    /// How often its tests were deferred before.
    pub deferrals: u32,
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
    /// Tests that its holder said were running.
    pub running: Vec<Running>,
    /// Ordinals that were running in a lost lease.
    pub suspects: Vec<u32>,
    /// Ordinals that were running in two lost leases: errored and skipped.
    pub poisoned: Vec<u32>,
    /// Rows that results acknowledged, as its holder counted them at completion.
    pub reported_count: u32,
    /// Class of the failure that spent its attempts.
    pub failure_class: Option<String>,
}

/// A test that is running, as its executor last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Running {
    /// Its number within the run.
    pub ordinal: u32,
    /// Which try; 0 when not known.
    pub attempt: u32,
    /// 0-based index of the step; none when not known.
    pub step: Option<u32>,
}

/// A shard to plan: tests of the run that are run (again) under a new index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewShard {
    /// Its index, never used before.
    pub index: u32,
    /// Its tests.
    pub ordinals: Vec<u32>,
    /// Session that shall not get it while there is another.
    pub avoid: Option<SessionId>,
    /// How often its tests were deferred.
    pub deferrals: u32,
}

/// How an executor ends a lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Completion {
    /// Every test has a final result or is deferred.
    Done {
        /// Rows that results acknowledged for the shard.
        reported_count: u32,
        /// Tests that another executor shall go on with.
        deferred: Vec<u32>,
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FinalizerClaim {
    /// Who; none when nobody was waiting and the claim is up for whoever asks first.
    pub replica: Option<ReplicaId>,
    /// Generation that it finalizes.
    pub generation: u32,
    /// Fencing number of the finalizer within the generation.
    pub epoch: u32,
}

/// An entry of the run's log, without its position.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
        /// Tests that were running, and how far they were (B10).
        running: Vec<Running>,
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
        /// Tests that moved to a new shard.
        deferred_count: u32,
    },
    /// The finalizer was elected.
    Finalizing {
        /// Its fencing number.
        finalizer_epoch: u32,
        /// Why the run was stopped before its end.
        stop_reason: Option<StopReason>,
    },
    /// Tests are run again: a generation begins.
    Retried {
        /// How many tests.
        test_count: u32,
        /// How many shards.
        shard_count: u32,
    },
    /// The generation ended (RN-2: once).
    Terminal {
        /// How.
        state: RunState,
        /// Why, when it was aborted or errored.
        reason: Option<String>,
    },
}

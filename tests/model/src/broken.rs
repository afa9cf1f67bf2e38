//! Rules of the protocol that one could get wrong. The checker has to find what each would break.
//!
//! A wrong rule about commands is a lie to `decide` about the rows it has locked, or a forgery of what it wrote: the real
//! function is never changed.

use gauntlet_core::ReplicaId;
use gauntlet_core::protocol::{Command, Decision, RunRow, RunState, ShardRow};

/// Holds a finalization that nobody holds.
const NOBODY: ReplicaId = ReplicaId(uuid::Uuid::nil());

/// The rules a world follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rules {
    /// Those of the product.
    #[default]
    Real,
    /// Those of the product but one.
    Wrong(Broken),
}

/// A rule gone wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A completion counts the open shards before it has the run's lock: one statement waits and counts.
    ElectBySingleStatement,
    /// A completion counts whoever sends it.
    CompleteWithoutEpoch,
    /// A lost shard is granted again under the epoch it had.
    ReapWithoutBump,
    /// A reaped lease keeps its epoch until the next grant. Harmless as long as the grant raises it.
    ReapLeavesBumpToGrant,
    /// A close writes whatever the run has become.
    CloseWithoutPredicate,
    /// A close looks at the state but not at generation and epoch.
    CloseOfAnyGeneration,
    /// An abort writes whatever the run has become.
    AbortWithoutFirstWriter,
    /// An abort ends whichever generation it finds.
    AbortOfAnyGeneration,
    /// A report is stored whatever the fence says.
    IngestWithoutFence,
    /// A report is stored again when it comes again.
    IngestWithoutKey,
    /// A seal does not wait for reports that are being stored.
    SealWithoutWaiting,
    /// The second seal of a generation replaces the first.
    SealAgain,
}

impl Rules {
    /// Returns whether this rule is the wrong one.
    #[must_use]
    pub fn lack(self, rule: Broken) -> bool {
        self == Self::Wrong(rule)
    }

    /// Returns the run, the shard and the command as the wrong rule sees them.
    pub(crate) fn see(
        self,
        run: &RunRow,
        shard: Option<&ShardRow>,
        command: &Command,
    ) -> (RunRow, Command) {
        let (mut run, mut command) = (run.clone(), command.clone());
        match (self, &mut command) {
            (
                Self::Wrong(Broken::CompleteWithoutEpoch),
                Command::Complete { session, epoch, .. },
            ) => {
                if let Some(shard) = shard {
                    *epoch = shard.epoch;
                    *session = shard.session.unwrap_or(*session);
                }
            }
            (
                Self::Wrong(Broken::CloseWithoutPredicate),
                Command::Close { generation, epoch, .. },
            ) => {
                run.state = RunState::Finalizing;
                (*generation, *epoch) = (run.generation, run.finalizer_epoch);
                run.finalizer = run.finalizer.or(Some(NOBODY));
            }
            (
                Self::Wrong(Broken::CloseOfAnyGeneration),
                Command::Close { generation, epoch, .. },
            ) => {
                (*generation, *epoch) = (run.generation, run.finalizer_epoch);
            }
            (Self::Wrong(Broken::AbortWithoutFirstWriter), Command::Abort { .. }) => {
                run.state = RunState::Running;
            }
            (Self::Wrong(Broken::AbortOfAnyGeneration), Command::Abort { generation, .. }) => {
                *generation = run.generation;
            }
            _ => {}
        }
        (run, command)
    }

    /// Changes what was decided to what the wrong rule writes.
    pub(crate) fn forge(
        self,
        shard: Option<&ShardRow>,
        command: &Command,
        decision: &mut Decision,
    ) {
        let keeps = self.lack(Broken::ReapWithoutBump) || self.lack(Broken::ReapLeavesBumpToGrant);
        if let (true, Command::Lose { .. }, Some(was), Some(is)) =
            (keeps, command, shard, &mut decision.shard)
        {
            is.epoch = was.epoch;
        }
    }
}

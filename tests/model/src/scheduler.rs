//! A run with its shards and its log: what the scheduler's tables hold, and the one transaction that changes it.

use crate::{Broken, Rules};
use gauntlet_core::invariants::{self, Violation};
use gauntlet_core::protocol::{
    Command, Decision, Event, NewShard, OnInfraFailure, Outcome, RunRow, RunState, ShardRow,
    ShardState, decide,
};
use gauntlet_core::{LeaseEpoch, SessionId};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// What a shard's row holds beyond what the protocol looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Generation that it was planned for.
    pub generation: u32,
    /// Its tests.
    pub ordinals: Vec<u32>,
    /// Session that shall not get it while there is another.
    pub avoid: Option<SessionId>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Row of the run.
    pub row: RunRow,
    /// Rows of its shards, by index.
    pub shards: Vec<ShardRow>,
    /// Plans of its shards, by index.
    pub plans: Arc<Vec<Plan>>,
    /// Its events, in order of their revisions.
    pub log: Arc<Vec<Event>>,
}

/// Two runs are the same state when everything that is ever read is the same: of the log that is its length, and its ends.
impl Hash for Run {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.row, &self.shards, &self.plans, self.log.len()).hash(state);
        self.ends().for_each(|end| end.hash(state));
    }
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What the caller is told.
    pub outcome: Outcome,
    /// How long the shard waits before it may be granted again.
    pub requeue_delay: Duration,
    /// Whether open shards were cancelled.
    pub cancelled: bool,
}

impl Run {
    /// Returns a run as it is admitted.
    #[must_use]
    pub fn new(shards: Vec<Vec<u32>>, on_infra_failure: OnInfraFailure) -> Self {
        let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        let row = RunRow {
            state: RunState::Queued,
            generation: 1,
            shard_count: count,
            next_shard_index: count,
            started: false,
            revision: 0,
            open_shard_count: count,
            on_infra_failure,
            stop_reason: None,
            finalizer_epoch: 0,
            finalizer: None,
            digest: None,
            reason: None,
        };
        let plan = |ordinals| Plan { generation: 1, ordinals, avoid: None };
        Self {
            row,
            shards: (0..count).map(|index| queued(index, 0)).collect(),
            plans: Arc::new(shards.into_iter().map(plan).collect()),
            log: Arc::default(),
        }
    }

    /// Returns how many tests the run has.
    #[must_use]
    pub fn test_count(&self) -> u32 {
        let ordinals = self.plans.iter().flat_map(|plan| plan.ordinals.iter());
        ordinals.max().map_or(0, |last| last + 1)
    }

    /// Returns the tests that a generation planned.
    #[must_use]
    pub fn ordinals_of(&self, generation: u32) -> BTreeSet<u32> {
        let plans = self.plans.iter().filter(|plan| plan.generation == generation);
        plans.flat_map(|plan| plan.ordinals.iter().copied()).collect()
    }

    /// Returns how each generation that ended did, in order: state and reason; a reason means that nobody judged it.
    pub fn ends(&self) -> impl Iterator<Item = (RunState, Option<&str>)> {
        self.log.iter().filter_map(|event| match event {
            Event::Terminal { state, reason } => Some((*state, reason.as_deref())),
            _ => None,
        })
    }

    /// Returns the shard's row.
    #[must_use]
    pub fn shard(&self, index: u32) -> &ShardRow {
        &self.shards[index as usize]
    }

    /// Returns the shard's plan.
    #[must_use]
    pub fn plan(&self, index: u32) -> &Plan {
        &self.plans[index as usize]
    }

    /// Grants a queued shard, as the claim does under the lane's lock: it never looks at the run.
    ///
    /// # Errors
    /// The invariant that it broke.
    pub fn grant(
        &mut self,
        rules: Rules,
        index: u32,
        to: SessionId,
    ) -> Result<LeaseEpoch, Violation> {
        let before = self.clone();
        let shard = &mut self.shards[index as usize];
        debug_assert_eq!(shard.state, ShardState::Queued, "only a queued shard is granted");
        shard.state = ShardState::Leased;
        // As if the reaper alone raised it, which it does not either.
        let again = rules.lack(Broken::ReapWithoutBump) && shard.infra_attempts > 0;
        if !again {
            shard.epoch = shard.epoch.next();
        }
        shard.session = Some(to);
        let epoch = shard.epoch;
        self.check(&before)?;
        Ok(epoch)
    }

    /// Applies a command, as the scheduler's store does under its row locks.
    ///
    /// # Errors
    /// The invariant that it broke.
    pub fn apply(
        &mut self,
        rules: Rules,
        index: Option<u32>,
        command: &Command,
    ) -> Result<Applied, Violation> {
        let open_shard_count = self.row.open_shard_count;
        self.apply_counting(rules, index, command, open_shard_count)
    }

    /// As [`Run::apply`], with a count of open shards that may be old by now.
    ///
    /// # Errors
    /// The invariant that it broke.
    pub fn apply_counting(
        &mut self,
        rules: Rules,
        index: Option<u32>,
        command: &Command,
        open_shard_count: u32,
    ) -> Result<Applied, Violation> {
        let before = self.clone();
        let locked = index.map(|index| &self.shards[index as usize]);
        let (mut row, seen) = rules.see(&self.row, locked, command);
        row.open_shard_count = open_shard_count;
        let mut decision = match decide(&row, locked, &seen) {
            Ok(decision) => decision,
            Err(illegal) => return Err(Violation { id: "LEGAL", what: illegal.to_string() }),
        };
        rules.forge(locked, command, &mut decision);
        let applied = Applied {
            outcome: decision.outcome.clone(),
            requeue_delay: decision.requeue_delay,
            cancelled: decision.cancel_open_shards,
        };
        self.write(index, decision);
        self.check(&before)?;
        Ok(applied)
    }

    fn write(&mut self, index: Option<u32>, decision: Decision) {
        if let (Some(index), Some(row)) = (index, decision.shard) {
            self.shards[index as usize] = row;
        }
        if decision.cancel_open_shards {
            for shard in self.shards.iter_mut().filter(|shard| shard.state.is_open()) {
                shard.state = ShardState::Cancelled;
                shard.epoch = shard.epoch.next();
                shard.session = None;
                shard.running.clear();
            }
        }
        if let Some(row) = decision.run {
            self.row = row;
        }
        for NewShard { index, ordinals, avoid, deferrals } in decision.new_shards {
            let generation = self.row.generation;
            self.shards.push(queued(index, deferrals));
            Arc::make_mut(&mut self.plans).push(Plan { generation, ordinals, avoid });
        }
        if !decision.events.is_empty() {
            Arc::make_mut(&mut self.log).extend(decision.events);
        }
    }

    fn check(&self, before: &Self) -> Result<(), Violation> {
        invariants::check_step((&before.row, &before.shards), (&self.row, &self.shards))?;
        invariants::check(&self.row, &self.shards, &self.log)
    }
}

fn queued(index: u32, deferrals: u32) -> ShardRow {
    ShardRow {
        index,
        deferrals,
        state: ShardState::Queued,
        epoch: LeaseEpoch(0),
        announced: LeaseEpoch(0),
        session: None,
        infra_attempts: 0,
        running: Vec::new(),
        suspects: Vec::new(),
        poisoned: Vec::new(),
        reported_count: 0,
        failure_class: None,
    }
}

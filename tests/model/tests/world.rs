//! What there is: rows of scheduler and results, memory of executors and finalizers, and every message ever sent.
//!
//! A message is never taken out. That is the strongest network there is: each may arrive never, late, in any order, or
//! again and again. A crash empties a memory; rows survive.

use gauntlet_core::protocol::{OnInfraFailure, RunState, ShardState, VerdictState};
use gauntlet_core::verdict::{AttemptOutcome, SkipReason};
use gauntlet_core::{LeaseEpoch, ReplicaId, SessionId};
use gauntlet_tests_model::Rules;
use gauntlet_tests_model::results::{Fence, Report, Results};
use gauntlet_tests_model::scheduler::Run;
use std::collections::BTreeSet;
use uuid::Uuid;

/// How an executor ends a lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    Done { reported: u32, deferred: Vec<u32> },
    Failed { reported: u32 },
    HandedBack,
}

/// A call on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Message {
    Open(Fence),
    Report(Report),
    Complete { session: SessionId, shard: u32, epoch: LeaseEpoch, end: End },
    Lose { shard: u32, epoch: LeaseEpoch },
    LoseFinalization { generation: u32, epoch: u32 },
    Close { generation: u32, epoch: u32, verdict: VerdictState, digest: String },
    Abort { generation: u32 },
    Stop { generation: u32 },
    Retry { generation: u32 },
}

/// A lease in an executor's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) fence: Fence,
    /// Tests left, with the number of the next attempt; none before results answered the open.
    pub(crate) left: Option<Vec<(u32, u32)>>,
    pub(crate) deferred: Vec<u32>,
    pub(crate) reported: u32,
    /// What it last told the scheduler.
    pub(crate) ended: bool,
}

/// An executor's process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Executor {
    pub(crate) session: SessionId,
    pub(crate) lease: Option<Lease>,
}

/// A finalization in a results process's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Finalization {
    pub(crate) generation: u32,
    pub(crate) epoch: u32,
    pub(crate) reported: Vec<(i32, i32)>,
    pub(crate) planned: BTreeSet<u32>,
    pub(crate) errored: BTreeSet<u32>,
    pub(crate) stopped: Option<SkipReason>,
    pub(crate) judged: bool,
}

/// How often things may still go wrong, so that the world is finite. Losses and repeats of messages have no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Budget {
    pub(crate) reaps: u8,
    pub(crate) crashes: u8,
    pub(crate) finalizer_crashes: u8,
    pub(crate) finalizer_expiries: u8,
    pub(crate) rollbacks: u8,
    pub(crate) failures: u8,
    pub(crate) hand_backs: u8,
    pub(crate) aborts: u8,
    pub(crate) stops: u8,
    pub(crate) retries: u8,
}

/// A bounded world.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) rules: Rules,
    pub(crate) shards: u32,
    pub(crate) executors: u8,
    pub(crate) finalizers: u8,
    pub(crate) on_infra_failure: OnInfraFailure,
    /// Leases that were lost before the story begins.
    pub(crate) infra_attempts: u32,
    /// The first attempt of every test fails, and is deferred to another executor.
    pub(crate) defers: bool,
    pub(crate) budget: Budget,
}

/// A state of the world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) results: Results,
    pub(crate) reaped: BTreeSet<SessionId>,
    pub(crate) executors: Vec<Executor>,
    pub(crate) finalizers: Vec<Option<Finalization>>,
    pub(crate) sent: BTreeSet<Message>,
    /// Completions that have counted and not yet locked: only with the wrong rule.
    pub(crate) counting: BTreeSet<(Message, u32)>,
    pub(crate) budget: Budget,
    /// Generations that a finalizer closed.
    pub(crate) closed: BTreeSet<u32>,
    /// First invariant found broken.
    pub(crate) violation: Option<&'static str>,
}

/// Session of an executor's n-th start.
pub(crate) fn session(executor: usize, start: u128) -> SessionId {
    SessionId(Uuid::from_u128(10 * (executor as u128 + 1) + start))
}

pub(crate) fn replica(finalizer: usize) -> ReplicaId {
    ReplicaId(Uuid::from_u128(finalizer as u128 + 1))
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let plan = (0..scenario.shards).map(|ordinal| vec![ordinal]).collect();
        let mut run = Run::new(plan, scenario.on_infra_failure);
        for shard in &mut run.shards {
            shard.infra_attempts = scenario.infra_attempts;
        }
        let executor = |n| Executor { session: session(n, 0), lease: None };
        Self {
            run,
            results: Results::default(),
            reaped: BTreeSet::new(),
            executors: (0..usize::from(scenario.executors)).map(executor).collect(),
            finalizers: vec![None; usize::from(scenario.finalizers)],
            sent: BTreeSet::new(),
            counting: BTreeSet::new(),
            budget: scenario.budget,
            closed: BTreeSet::new(),
            violation: None,
        }
    }

    /// Returns whether nothing is left to do: the run ended, and each generation of it is sealed.
    pub(crate) fn is_settled(&self) -> bool {
        let sealed = |generation| self.results.seals.contains_key(&generation);
        self.run.row.state.is_terminal() && (1..=self.run.row.generation).all(sealed)
    }

    /// B4: a run that executes has a shard that is open, or else nobody would ever be elected.
    pub(crate) fn has_somebody_to_elect(&self) -> bool {
        let executes = matches!(self.run.row.state, RunState::Queued | RunState::Running);
        !executes || self.run.shards.iter().any(|shard| shard.state.is_open())
    }

    /// A8: a run that passed has a final result of every test.
    pub(crate) fn passed_by_right(&self) -> bool {
        let generation = self.run.row.generation;
        let all: Vec<u32> = (0..self.run.test_count()).collect();
        let fence = Fence { generation, shard: 0, epoch: LeaseEpoch(0) };
        self.run.row.state != RunState::Passed
            || self.results.known(fence, &all).0.iter().all(|test| test.is_final)
    }

    /// C1: a generation is aborted because somebody asked for that of this one.
    pub(crate) fn aborted_as_asked(&self) -> bool {
        (1..).zip(self.run.ends()).all(|(generation, (state, _))| {
            state != RunState::Aborted || self.sent.contains(&Message::Abort { generation })
        })
    }

    /// FN-2: the digest that closed the run follows from what is sealed.
    pub(crate) fn digest_is_recomputable(&self) -> bool {
        let generation = self.run.row.generation;
        let digest = self.run.row.digest.as_ref();
        digest.is_none_or(|digest| self.results.digest(generation).as_ref() == Some(digest))
    }

    /// Returns the outcome of an attempt: executors disagree, so that it can be seen whose result is stored.
    pub(crate) fn outcome(&self, executor: usize) -> AttemptOutcome {
        if executor == 0 { AttemptOutcome::Passed } else { AttemptOutcome::Failed }
    }

    /// Returns whether the shard waits for an executor.
    pub(crate) fn is_queued(&self, shard: u32) -> bool {
        self.run.shard(shard).state == ShardState::Queued
    }
}

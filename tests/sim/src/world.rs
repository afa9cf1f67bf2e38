//! What there is: rows that survive, processes with their memories, and the queue of what happens next.

use crate::executor::{Executor, Habits};
use crate::finalizer::Replica;
use crate::rng::Rng;
use crate::scheduler::Memory;
use crate::story::{Fault, Story};
use gauntlet_core::invariants::Violation;
use gauntlet_core::protocol::{
    Command, Outcome, RunState, ShardState, run_transitions, shard_transitions,
};
use gauntlet_core::{LeaseEpoch, SessionId};
use gauntlet_tests_model::Rules;
use gauntlet_tests_model::results::{Report, Results};
use gauntlet_tests_model::scheduler::Run;
use std::collections::{BTreeMap, BTreeSet};

/// Leases and their times, as in the product.
pub(crate) const LEASE_MS: u64 = 15_000;
pub(crate) const BEAT_MS: u64 = 3_000;
/// Executors and results processes.
pub(crate) const EXECUTORS: usize = 3;
pub(crate) const REPLICAS: usize = 2;

/// Something that happens at a time.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A message arrives.
    Deliver(crate::messages::Message),
    Admit(usize),
    AdmitTo {
        run: usize,
        executor: usize,
    },
    ExecutorStep {
        executor: usize,
        incarnation: u64,
    },
    Work {
        executor: usize,
        incarnation: u64,
    },
    Beat {
        executor: usize,
        incarnation: u64,
    },
    Restart {
        executor: usize,
    },
    ReplicaStep {
        replica: usize,
    },
    RestartReplica {
        replica: usize,
    },
    StoreReport {
        run: usize,
        report: Report,
        executor: usize,
        replica: usize,
        life: u64,
    },
    SchedulerTick {
        life: u64,
    },
    Announce {
        run: usize,
        shard: u32,
        epoch: LeaseEpoch,
        life: u64,
    },
    RestartScheduler,
    Follow,
    Client {
        run: usize,
    },
    Strike,
    Orphan,
    StormEnds,
    StoreReturns,
}

/// An executor's session as the scheduler's table has it. Times are the database's.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    pub(crate) expires_at: u64,
    pub(crate) reaped: bool,
}

/// A run with what its rows hold beyond the protocol.
pub(crate) struct Hosted {
    pub(crate) run: Run,
    pub(crate) results: Results,
    /// When each shard may be granted.
    pub(crate) not_before: BTreeMap<u32, u64>,
    pub(crate) finalizer_expires_at: u64,
}

/// How often a change of state came to be, by name.
pub(crate) type Reached = BTreeMap<String, u32>;

pub(crate) struct World {
    pub(crate) story: Story,
    pub(crate) rng: Rng,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    // Rows.
    pub(crate) runs: BTreeMap<usize, Hosted>,
    pub(crate) sessions: BTreeMap<SessionId, SessionRow>,
    /// When the reaper last ticked, and from when on it may reap.
    pub(crate) tick: (u64, u64),
    pub(crate) clock_offset: u64,
    pub(crate) store_up: bool,
    // Processes.
    pub(crate) scheduler: Option<Memory>,
    pub(crate) scheduler_life: u64,
    pub(crate) executors: Vec<Executor>,
    pub(crate) replicas: Vec<Replica>,
    // What people want.
    pub(crate) client: Vec<crate::client::Wishes>,
    pub(crate) storm: bool,
    // What was seen.
    pub(crate) deliveries: u64,
    pub(crate) struck: u32,
    pub(crate) reached: Reached,
    pub(crate) acknowledged: Vec<(usize, Report)>,
    pub(crate) closed: BTreeSet<(usize, u32)>,
    pub(crate) habits: Habits,
    pub(crate) trace: bool,
}

impl World {
    pub(crate) fn new(seed: u64, habits: Habits, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let story = Story::of(seed, &mut rng);
        let client = story.runs.iter().map(|_| crate::client::Wishes::default()).collect();
        let mut world = Self {
            story,
            rng,
            now: 0,
            queue: BTreeMap::new(),
            queued: 0,
            runs: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tick: (0, 0),
            clock_offset: 0,
            store_up: true,
            scheduler: Some(Memory::default()),
            scheduler_life: 0,
            executors: Vec::new(),
            replicas: (0..REPLICAS).map(|_| Replica::default()).collect(),
            client,
            storm: false,
            deliveries: 0,
            struck: 0,
            reached: Reached::new(),
            acknowledged: Vec::new(),
            closed: BTreeSet::new(),
            habits,
            trace,
        };
        world.set_up();
        world
    }

    fn set_up(&mut self) {
        for n in 0..self.story.runs.len() {
            self.after(self.story.runs[n].admitted_ms, Event::Admit(n));
        }
        for at in self.story.faults_ms.clone() {
            self.after(at, Event::Strike);
        }
        if let Some(at) = self.story.orphan_ms {
            self.after(at, Event::Orphan);
        }
        for executor in 0..EXECUTORS {
            self.executors.push(Executor::new(executor, 0));
            self.start_executor(executor);
        }
        for replica in 0..REPLICAS {
            self.after(0, Event::ReplicaStep { replica });
        }
        self.after(0, Event::SchedulerTick { life: 0 });
        self.after(0, Event::Follow);
    }

    /// Puts an event so many milliseconds from now.
    pub(crate) fn after(&mut self, ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + ms, self.queued), event);
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((at, _), event) = self.queue.pop_first()?;
        self.now = at;
        Some(event)
    }

    /// Returns the database's time.
    pub(crate) fn db_now(&self) -> u64 {
        self.now + self.clock_offset
    }

    #[expect(clippy::print_stdout, reason = "to see a schedule is what a trace is for")]
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>8} ms  {}", self.now, what());
        }
    }

    /// Applies a command under the run's lock and notes what changed.
    pub(crate) fn apply(
        &mut self,
        run: usize,
        shard: Option<u32>,
        command: &Command,
    ) -> Result<Option<Outcome>, Violation> {
        let db_now = self.db_now();
        let Some(hosted) = self.runs.get_mut(&run) else { return Ok(None) };
        let was = (hosted.run.row.state, hosted.run.shards.iter().map(|s| s.state).collect());
        let applied = hosted.run.apply(Rules::Real, shard, command)?;
        if let Some(shard) = shard {
            let wait = u64::try_from(applied.requeue_delay.as_millis()).unwrap_or(0);
            hosted.not_before.insert(shard, db_now + wait);
        }
        // As runs/update.sql: every write of a held finalization begins its time anew.
        hosted.finalizer_expires_at = db_now + LEASE_MS;
        let is = (hosted.run.row.state, hosted.run.shards.iter().map(|s| s.state).collect());
        self.say(|| format!("run {run}: {command:?} -> {:?}", applied.outcome));
        self.note(command.name(), was, is)?;
        Ok(Some(applied.outcome))
    }

    fn note(
        &mut self,
        command: &str,
        was: (RunState, Vec<ShardState>),
        is: (RunState, Vec<ShardState>),
    ) -> Result<(), Violation> {
        let struck = self.struck > 0;
        let mut reach = |from: &str, to: &str, kind: &str| {
            if struck {
                *self.reached.entry(cell(kind, from, command, to)).or_default() += 1;
            }
        };
        if was.0 != is.0 {
            let legal = run_transitions()
                .iter()
                .any(|(from, by, to)| (*from, *by, *to) == (was.0, command, is.0));
            let what = || format!("{:?} by {command} to {:?}", was.0, is.0);
            gauntlet_tests_model::results::hold("TABLE", legal, what)?;
            reach(was.0.name(), is.0.name(), "run");
        }
        for (from, to) in was.1.iter().zip(&is.1).filter(|(from, to)| from != to) {
            reach(from.name(), to.name(), "shard");
        }
        Ok(())
    }

    pub(crate) fn note_claim(&mut self) {
        if self.struck > 0 {
            *self.reached.entry(cell("shard", "QUEUED", "claim", "LEASED")).or_default() += 1;
        }
    }

    /// Returns whether all runs ended, were sealed, and nobody wants anything any more.
    pub(crate) fn is_settled(&self) -> bool {
        let sealed = |hosted: &Hosted| {
            let row = &hosted.run.row;
            row.state.is_terminal()
                && (1..=row.generation)
                    .all(|generation| hosted.results.seals.contains_key(&generation))
        };
        self.runs.len() == self.story.runs.len()
            && self.runs.values().all(sealed)
            && (0..self.client.len()).all(|run| self.is_content(run))
            && self.struck as usize == self.story.faults_ms.len()
    }

    pub(crate) fn fault(&self) -> Fault {
        self.story.fault
    }
}

/// Returns the name of a change of state.
pub(crate) fn cell(kind: &str, from: &str, command: &str, to: &str) -> String {
    format!("{kind} {from} {command} {to}")
}

/// Returns every change of state that the tables of `core` have.
pub(crate) fn cells() -> Vec<String> {
    let runs = run_transitions();
    let runs = runs.iter().map(|(from, by, to)| cell("run", from.name(), by, to.name()));
    let shards = shard_transitions();
    let shards = shards.iter().map(|(from, by, to)| cell("shard", from.name(), by, to.name()));
    runs.chain(shards).collect()
}

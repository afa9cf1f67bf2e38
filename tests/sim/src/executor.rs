//! Executors: they run what they hold, spool what they have not been acknowledged, and repeat until they are answered.
//!
//! A kill empties everything and the next start is another session. A pause stops the process past its lease; when it wakes
//! it goes on with what it had, and only the next beat tells it what it lost.

use crate::messages::{Grant, Held, Message};
use crate::world::{BEAT_MS, Event, LEASE_MS, World};
use gauntlet_core::SessionId;
use gauntlet_core::protocol::{Completion, Running};
use gauntlet_core::verdict::AttemptOutcome;
use gauntlet_tests_model::results::{Fence, Known, Report};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What an executor takes care of. Each is needed: see the tests that do without.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// One report of a lease is under way, and they go in order.
    pub reports_in_order: bool,
    /// A grant that ended is not taken up again.
    pub remembers_grants: bool,
}

impl Habits {
    /// Those of the product.
    pub const GOOD: Self = Self { reports_in_order: true, remembers_grants: true };
}

/// Shards held at once.
const SLOTS: usize = 2;
/// Time between two looks at what is to be done or repeated.
const STEP_MS: u64 = 300;
/// Attempts of a failing test.
const ATTEMPTS_MAX: u32 = 3;

pub(crate) struct Lease {
    pub(crate) run: usize,
    pub(crate) fence: Fence,
    ordinals: Vec<u32>,
    poisoned: Vec<u32>,
    /// Tests left with the number of their next attempt; none before results answered.
    left: Option<Vec<(u32, u32)>>,
    /// When the test that runs is over.
    running: Option<(u32, u32, u64)>,
    spool: Vec<Report>,
    rows: u32,
    deferred: Vec<u32>,
    ends: Option<Completion>,
}

pub(crate) struct Executor {
    pub(crate) incarnation: u64,
    pub(crate) session: SessionId,
    pub(crate) up: bool,
    pub(crate) paused_until: u64,
    heard_at: u64,
    polled_at: Option<u64>,
    pub(crate) leases: Vec<Lease>,
    /// Grants that ended here, and whether the scheduler knows.
    ended: BTreeMap<(usize, Fence), bool>,
}

impl Executor {
    pub(crate) fn new(executor: usize, incarnation: u64) -> Self {
        let id = 1_000_000 * (executor as u128 + 1) + u128::from(incarnation);
        Self {
            incarnation,
            session: SessionId(Uuid::from_u128(id)),
            up: true,
            paused_until: 0,
            heard_at: 0,
            polled_at: None,
            leases: Vec::new(),
            ended: BTreeMap::new(),
        }
    }
}

impl World {
    /// Starts an executor's loops.
    pub(crate) fn start_executor(&mut self, executor: usize) {
        let incarnation = self.executors[executor].incarnation;
        self.executors[executor].heard_at = self.now;
        self.after(0, Event::Beat { executor, incarnation });
        self.after(20, Event::ExecutorStep { executor, incarnation });
    }

    pub(crate) fn kill_executor(&mut self, executor: usize, back_in_ms: u64) {
        if !self.executors[executor].up {
            return;
        }
        self.say(|| format!("executor {executor} dies"));
        self.executors[executor].up = false;
        self.executors[executor].leases.clear();
        self.after(back_in_ms, Event::Restart { executor });
    }

    /// A process start, or the session after one that was reaped.
    pub(crate) fn restart_executor(&mut self, executor: usize) {
        let incarnation = self.executors[executor].incarnation + 1;
        self.executors[executor] = Executor::new(executor, incarnation);
        self.start_executor(executor);
    }

    pub(crate) fn beat(&mut self, executor: usize, incarnation: u64) {
        let process = &self.executors[executor];
        if !process.up || process.incarnation != incarnation {
            return;
        }
        let held = process.leases.iter().map(|lease| Held {
            run: lease.run,
            fence: lease.fence,
            running: lease.running.map_or(Vec::new(), |(ordinal, attempt, _)| {
                vec![Running { ordinal, attempt, step: None }]
            }),
        });
        let held = held.collect();
        let session = process.session;
        self.send(Message::Beat { executor, session, held });
        self.after(BEAT_MS, Event::Beat { executor, incarnation });
    }

    /// Does what is due and repeats what was not answered.
    pub(crate) fn executor_step(&mut self, executor: usize, incarnation: u64) {
        let process = &mut self.executors[executor];
        if !process.up || process.incarnation != incarnation {
            return;
        }
        // Nobody has heard of it for almost a lease: it kills its browsers.
        if self.now > process.heard_at + LEASE_MS - 1_000
            && self.now >= process.paused_until + STEP_MS
        {
            let leases = process.leases.drain(..);
            process.ended.extend(leases.map(|lease| ((lease.run, lease.fence), false)));
        }
        self.work_on_all(executor, incarnation);
        let process = &mut self.executors[executor];
        let free = SLOTS.saturating_sub(process.leases.len());
        let waits = process.polled_at.is_some_and(|at| at + 5_000 > self.now);
        if free > 0 && !waits {
            process.polled_at = Some(self.now);
            let (session, free) = (process.session, u32::try_from(free).unwrap_or(0));
            self.send(Message::Poll { executor, session, free });
        }
        self.after(STEP_MS, Event::ExecutorStep { executor, incarnation });
    }

    /// Does what is due in every lease.
    pub(crate) fn work_on_all(&mut self, executor: usize, incarnation: u64) {
        let process = &self.executors[executor];
        if process.up && process.incarnation == incarnation {
            (0..process.leases.len()).for_each(|at| self.work_on(executor, at));
        }
    }

    /// Has the executor look at its leases after so many milliseconds.
    fn look(&mut self, executor: usize, ms: u64) {
        let incarnation = self.executors[executor].incarnation;
        self.after(ms, Event::Work { executor, incarnation });
    }

    fn work_on(&mut self, executor: usize, at: usize) {
        let session = self.executors[executor].session;
        let lease = &self.executors[executor].leases[at];
        let (run, fence) = (lease.run, lease.fence);
        if let Some(completion) = lease.ends.clone() {
            let Fence { shard, epoch, .. } = fence;
            self.send(Message::Complete { executor, session, run, shard, epoch, completion });
            return;
        }
        if lease.left.is_none() {
            let ordinals = lease.ordinals.clone();
            self.send(Message::Open { executor, run, fence, ordinals });
            return;
        }
        // The number of a test's next attempt is a count of those stored.
        let under_way = if self.habits.reports_in_order { 1 } else { usize::MAX };
        let reports: Vec<Report> = lease.spool.iter().take(under_way).copied().collect();
        let running = lease.running;
        for report in reports {
            self.send(Message::Report { executor, run, report });
        }
        if let Some((ordinal, attempt, over)) = running
            && self.now >= over
        {
            self.test_ends(executor, at, ordinal, attempt);
        }
        self.next_test(executor, at);
    }

    fn next_test(&mut self, executor: usize, at: usize) {
        let lease = &mut self.executors[executor].leases[at];
        if lease.running.is_some() {
            return;
        }
        let Some(left) = &mut lease.left else { return };
        if left.is_empty() {
            if lease.spool.is_empty() {
                let deferred = lease.deferred.clone();
                lease.ends = Some(Completion::Done { reported_count: lease.rows, deferred });
            }
            return;
        }
        let (ordinal, attempt) = left.remove(0);
        let fence = lease.fence;
        if lease.poisoned.contains(&ordinal) {
            let outcome = AttemptOutcome::Errored;
            lease.spool.push(Report { fence, ordinal, attempt, outcome, is_final: true });
            return;
        }
        let run = lease.run;
        let lasts = 5 + if self.story.runs[run].quick { 0 } else { self.rng.below(900) };
        let over =
            self.now + if self.story.runs[run].poison == Some(ordinal) { 20_000 } else { lasts };
        self.executors[executor].leases[at].running = Some((ordinal, attempt, over));
        self.look(executor, over - self.now);
        if self.story.runs[run].poison == Some(ordinal) {
            // Its beat names the test before the test takes the process down.
            let incarnation = self.executors[executor].incarnation;
            self.beat(executor, incarnation);
            let late = 4_000 + self.rng.below(2_000);
            self.after(late, Event::Deliver(Message::Poisoned { executor, incarnation }));
        }
    }

    fn test_ends(&mut self, executor: usize, at: usize, ordinal: u32, attempt: u32) {
        let run = self.executors[executor].leases[at].run;
        let plan = &self.story.runs[run];
        let (failing, retries) = (plan.failing_percent, plan.retries);
        let outcome =
            if self.rng.percent(failing) { AttemptOutcome::Failed } else { AttemptOutcome::Passed };
        let again = outcome == AttemptOutcome::Failed && retries && attempt < ATTEMPTS_MAX;
        let defers = again && self.rng.percent(30);
        let lease = &mut self.executors[executor].leases[at];
        lease.running = None;
        let fence = lease.fence;
        lease.spool.push(Report { fence, ordinal, attempt, outcome, is_final: !again });
        if defers {
            lease.deferred.push(ordinal);
        } else if again && let Some(left) = &mut lease.left {
            left.push((ordinal, attempt + 1));
        }
    }

    /// Takes a grant up, unless it holds it already.
    pub(crate) fn granted(&mut self, executor: usize, grant: Grant) {
        let Grant { run, fence, ordinals, poisoned } = grant;
        let process = &mut self.executors[executor];
        process.polled_at = None;
        let known = |lease: &Lease| lease.run == run && lease.fence == fence;
        if process.leases.iter().any(known) {
            return;
        }
        let session = process.session;
        match process.ended.get(&(run, fence)).filter(|_| self.habits.remembers_grants) {
            Some(true) => return,
            Some(false) => {
                let Fence { shard, epoch, .. } = fence;
                let completion = Completion::HandedBack;
                self.send(Message::Complete { executor, session, run, shard, epoch, completion });
                return;
            }
            None => {}
        }
        let ends = self.fate(executor, run);
        if !self.executors[executor].up {
            return;
        }
        let lease = Lease {
            run,
            fence,
            ordinals,
            poisoned,
            left: None,
            running: None,
            spool: Vec::new(),
            rows: 0,
            deferred: Vec::new(),
            ends,
        };
        self.executors[executor].leases.push(lease);
        self.look(executor, 0);
    }

    /// What becomes of a lease at once: the executor dies of it, its browser does not start, or it is given back.
    fn fate(&mut self, executor: usize, run: usize) -> Option<Completion> {
        let plan = &self.story.runs[run];
        let (deadly, launch) = (plan.deadly_percent, plan.launch_failure_percent);
        if self.rng.percent(deadly) {
            self.kill_executor(executor, 500);
            return None;
        }
        if self.rng.percent(launch) {
            return Some(Completion::Failed { class: "BROWSER_LAUNCH".into(), reported_count: 0 });
        }
        self.rng.percent(2).then_some(Completion::HandedBack)
    }

    pub(crate) fn opened(
        &mut self,
        executor: usize,
        run: usize,
        fence: Fence,
        known: &[Known],
        rows: u32,
    ) {
        let Some(lease) = self.lease(executor, run, fence) else { return };
        if lease.left.is_none() {
            let left = known.iter().filter(|test| !test.is_final);
            lease.left = Some(left.map(|test| (test.ordinal, test.attempt_count + 1)).collect());
            lease.rows = rows;
            self.look(executor, 0);
        }
    }

    pub(crate) fn reported(&mut self, executor: usize, run: usize, report: Report, rows: u32) {
        let Some(lease) = self.lease(executor, run, report.fence) else { return };
        lease.spool.retain(|spooled| *spooled != report);
        lease.rows = lease.rows.max(rows);
        self.look(executor, 0);
    }

    /// Forgets a lease that is over for its holder, and remembers whether the scheduler knows.
    pub(crate) fn end_lease(&mut self, executor: usize, run: usize, fence: Fence, answered: bool) {
        let process = &mut self.executors[executor];
        let held = process.leases.len();
        process.leases.retain(|lease| lease.run != run || lease.fence != fence);
        if process.leases.len() < held {
            process.ended.insert((run, fence), answered);
        }
    }

    pub(crate) fn heard(&mut self, executor: usize) {
        self.executors[executor].heard_at = self.now;
    }

    fn lease(&mut self, executor: usize, run: usize, fence: Fence) -> Option<&mut Lease> {
        let mut leases = self.executors[executor].leases.iter_mut();
        leases.find(|lease| lease.run == run && lease.fence == fence)
    }
}

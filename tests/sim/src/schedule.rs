//! One schedule: what happens next, until everything is settled; and what must be so then.

use crate::executor::Habits;
use crate::messages::Message;
use crate::rng::Rng;
use crate::story::Fault;
use crate::world::{EXECUTORS, Event, REPLICAS, Reached, World};
use gauntlet_core::invariants::Violation;
use gauntlet_core::protocol::{Command, Outcome};
use gauntlet_tests_model::results::{Entered, hold};
use std::collections::{BTreeMap, BTreeSet};

/// Virtual time after which a schedule counts as stuck.
const STUCK_MS: u64 = 30 * 60 * 1_000;

/// What a schedule came to.
pub struct Seen {
    pub(crate) fault: Fault,
    /// Messages that arrived.
    pub deliveries: u64,
    pub(crate) strikes: u32,
    /// Runs that were admitted.
    pub runs: usize,
    pub(crate) virtual_ms: u64,
    /// How often each change of state came after a fault.
    pub reached: Reached,
}

/// Plays a seed to its end; with a trace, every message is printed.
///
/// # Errors
/// The first thing that did not hold.
pub fn play(seed: u64, habits: Habits, trace: bool) -> Result<Seen, Violation> {
    let mut world = World::new(seed, habits, trace);
    world.say(|| format!("seed {seed}: {:?}", world.story));
    while !world.is_settled() {
        let Some(event) = world.next() else { break };
        hold("LIVE", world.now < STUCK_MS, || stuck(&world))?;
        world.happen(event)?;
    }
    world.check_end()?;
    Ok(Seen {
        fault: world.fault(),
        deliveries: world.deliveries,
        strikes: world.struck,
        runs: world.runs.len(),
        virtual_ms: world.now,
        reached: world.reached,
    })
}

fn stuck(world: &World) -> String {
    let open = world.runs.iter().filter(|(_, hosted)| !hosted.run.row.state.is_terminal());
    let open: Vec<_> = open.map(|(n, hosted)| (n, &hosted.run.row, &hosted.run.shards)).collect();
    format!("not settled after {STUCK_MS} ms: {open:?}")
}

impl World {
    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Deliver(message) => self.deliver(message)?,
            Event::Admit(n) => self.admit(n)?,
            Event::AdmitTo { run, executor } => self.admit_to(run, executor)?,
            Event::ExecutorStep { executor, .. }
            | Event::Work { executor, .. }
            | Event::Beat { executor, .. }
                if self.now < self.executors[executor].paused_until =>
            {
                let wakes = self.executors[executor].paused_until - self.now;
                self.after(wakes, event);
            }
            Event::ExecutorStep { executor, incarnation } => {
                self.executor_step(executor, incarnation)
            }
            Event::Work { executor, incarnation } => self.work_on_all(executor, incarnation),
            Event::Beat { executor, incarnation } => self.beat(executor, incarnation),
            Event::Restart { executor } => self.restart_executor(executor),
            Event::ReplicaStep { replica } => self.replica_step(replica),
            Event::RestartReplica { replica } => self.replicas[replica].down = false,
            Event::StoreReport { run, report, executor, replica, life } => {
                self.store_report((run, report), executor, (replica, life))?;
            }
            Event::SchedulerTick { life } => self.tick(life)?,
            Event::Announce { run, shard, epoch, life } => {
                self.announce(run, shard, epoch, life)?
            }
            Event::RestartScheduler => {
                self.scheduler.get_or_insert_default();
                let life = self.scheduler_life;
                self.after(0, Event::SchedulerTick { life });
            }
            Event::Follow => self.follow(),
            Event::Client { run } => self.client_step(run),
            Event::Strike => self.strike(),
            Event::Orphan => self.orphan(),
            Event::StormEnds => self.storm = false,
            Event::StoreReturns => self.store_up = true,
        }
        Ok(())
    }

    fn deliver(&mut self, message: Message) -> Result<(), Violation> {
        if let Some(executor) = message.to_executor()
            && self.now < self.executors[executor].paused_until
        {
            let wakes = self.executors[executor].paused_until - self.now + self.rng.below(50);
            self.after(wakes, Event::Deliver(message));
            return Ok(());
        }
        self.deliveries += 1;
        let run = message.run();
        self.say(|| format!("{message:?}"));
        if message.to_executor().is_some() {
            self.at_executor(message);
        } else if message.is_for_scheduler() {
            if self.scheduler_serves() {
                self.at_scheduler(message)?;
            }
        } else {
            self.elsewhere(message);
        }
        match run.and_then(|run| self.runs.get(&run)) {
            Some(hosted) => hosted.results.check(),
            None => Ok(()),
        }
    }

    fn at_scheduler(&mut self, message: Message) -> Result<(), Violation> {
        match message {
            Message::Poll { executor, session, free } => self.poll(executor, session, free)?,
            Message::Beat { executor, session, held } => self.renew(executor, session, &held),
            Message::Complete { executor, session, run, shard, epoch, completion } => {
                self.complete((executor, session), (run, shard, epoch), completion)?;
            }
            Message::PollFinalization { replica } => self.poll_finalization(replica)?,
            Message::RenewFinalization { run, epoch } => self.renew_finalization(run, epoch),
            Message::Close { replica, run, generation, epoch, verdict, digest } => {
                let command = Command::Close { generation, epoch, verdict, digest };
                self.close(replica, run, &command)?;
            }
            Message::Abort { run, generation } => {
                let command = Command::Abort { generation, reason: "asked".into() };
                self.apply(run, None, &command)?;
                self.send(Message::Heard { run, wish: "abort" });
            }
            Message::Stop { run, generation } => {
                self.stop(run, generation)?;
                self.send(Message::Heard { run, wish: "stop" });
            }
            Message::Retry { run, generation, shards } => {
                let outcome = self.apply(run, None, &Command::Retry { generation, shards })?;
                if matches!(outcome, Some(Outcome::Retried | Outcome::AlreadyRetried)) {
                    self.send(Message::Heard { run, wish: "retry" });
                    self.dispatch()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn at_executor(&mut self, message: Message) {
        let Some(executor) = message.to_executor() else { return };
        let process = &self.executors[executor];
        let (up, own) = (process.up, process.session);
        if !up {
            return;
        }
        match message {
            Message::Granted { session, grant, .. } if session == own => {
                self.granted(executor, grant)
            }
            Message::Beaten { session, lost, unnamed, .. } if session == own => {
                self.heard(executor);
                for (run, fence) in lost {
                    self.end_lease(executor, run, fence, false);
                }
                if let Some(grant) = unnamed {
                    self.granted(executor, grant);
                }
            }
            Message::SessionLost { session, .. } if session == own => {
                self.restart_executor(executor)
            }
            Message::Completed { run, fence, .. } => self.end_lease(executor, run, fence, true),
            Message::Opened { run, fence, known, rows, .. } => {
                self.opened(executor, run, fence, &known, rows)
            }
            Message::Reported { run, report, rows, .. } => {
                self.reported(executor, run, report, rows)
            }
            Message::Refused { run, fence, why: Entered::LeaseLost | Entered::Sealed, .. } => {
                self.end_lease(executor, run, fence, false);
            }
            Message::Poisoned { incarnation, .. }
                if incarnation == self.executors[executor].incarnation =>
            {
                self.kill_executor(executor, 500);
            }
            _ => {}
        }
    }

    fn elsewhere(&mut self, message: Message) {
        match message {
            Message::Open { executor, run, fence, ordinals } => {
                self.open(executor, run, fence, &ordinals)
            }
            Message::Report { executor, run, report } => self.report(executor, run, report),
            Message::Elected { replica, claim } => self.hold_finalization(replica, claim),
            Message::CloseAnswered { replica, run, generation, closed } => {
                self.close_answered(replica, run, generation, closed);
            }
            Message::Heard { run, wish } => match wish {
                "abort" => self.client[run].aborted = true,
                "stop" => self.client[run].stopped = true,
                _ => self.client[run].retried = true,
            },
            _ => {}
        }
    }

    /// The fault of this schedule happens, once more.
    fn strike(&mut self) {
        self.struck += 1;
        let fault = self.fault();
        self.say(|| format!("fault: {fault:?}"));
        let which = |rng: &mut Rng, count: usize| usize::try_from(rng.next()).unwrap_or(0) % count;
        match fault {
            Fault::ExecutorKill => {
                let (executor, back) =
                    (which(&mut self.rng, EXECUTORS), self.rng.between(200, 30_000));
                self.kill_executor(executor, back);
            }
            Fault::ExecutorPause => {
                let executor = which(&mut self.rng, EXECUTORS);
                self.executors[executor].paused_until = self.now + self.rng.between(16_000, 30_000);
            }
            Fault::ReplicaKill => {
                let (replica, back) =
                    (which(&mut self.rng, REPLICAS), self.rng.between(200, 20_000));
                self.kill_replica(replica, back);
            }
            Fault::SchedulerKill => {
                self.scheduler = None;
                self.scheduler_life += 1;
                let back = self.rng.between(200, 10_000);
                self.after(back, Event::RestartScheduler);
            }
            Fault::StoreOutage => {
                self.store_up = false;
                let back = self.rng.between(500, 25_000);
                self.after(back, Event::StoreReturns);
            }
            Fault::MessageStorm => {
                self.storm = true;
                let lasts = self.rng.between(2_000, 20_000);
                self.after(lasts, Event::StormEnds);
            }
            Fault::ClockJump => self.clock_offset += self.rng.between(7_000, 120_000),
        }
    }

    /// Every run ended, each test has one outcome, and everything acknowledged is in the seal.
    fn check_end(&self) -> Result<(), Violation> {
        hold("LIVE", self.is_settled(), || stuck(self))?;
        for (n, hosted) in &self.runs {
            hosted.results.check()?;
            let row = &hosted.run.row;
            if let Some(digest) = &row.digest {
                let again = hosted.results.digest(row.generation);
                hold("FN-2", again.as_ref() == Some(digest), || {
                    format!("run {n} has another digest")
                })?;
            }
            let outcomes = hosted.results.seals.iter();
            for (generation, seal) in outcomes {
                let tests = u32::try_from(seal.outcomes.len()).unwrap_or(u32::MAX);
                hold("RN-5", tests == hosted.run.test_count(), || {
                    format!("generation {generation} of run {n} has {tests} outcomes")
                })?;
            }
        }
        let mut acknowledged: BTreeMap<(usize, u32, u32), BTreeSet<u32>> = BTreeMap::new();
        for (run, report) in &self.acknowledged {
            let test = (*run, report.fence.generation, report.ordinal);
            acknowledged.entry(test).or_default().insert(report.attempt);
            hold("ACK", self.runs[run].results.holds(report), || {
                format!("run {run}: {report:?} was acknowledged and is not stored")
            })?;
        }
        for ((run, generation, ordinal), attempts) in acknowledged {
            let seal = &self.runs[&run].results.seals[&generation];
            let (.., counted) = seal.outcomes[ordinal as usize];
            hold("ACK", attempts.len() == counted as usize, || {
                format!(
                    "test {ordinal} of run {run}: {attempts:?} were acknowledged, {counted} are in the verdict"
                )
            })?;
        }
        Ok(())
    }
}

impl Message {
    fn to_executor(&self) -> Option<usize> {
        match self {
            Self::Granted { executor, .. }
            | Self::Beaten { executor, .. }
            | Self::SessionLost { executor, .. }
            | Self::Completed { executor, .. }
            | Self::Opened { executor, .. }
            | Self::Reported { executor, .. }
            | Self::Refused { executor, .. }
            | Self::Poisoned { executor, .. } => Some(*executor),
            _ => None,
        }
    }

    fn is_for_scheduler(&self) -> bool {
        matches!(
            self,
            Self::Poll { .. }
                | Self::Beat { .. }
                | Self::Complete { .. }
                | Self::PollFinalization { .. }
                | Self::RenewFinalization { .. }
                | Self::Close { .. }
                | Self::Abort { .. }
                | Self::Stop { .. }
                | Self::Retry { .. }
        )
    }

    fn run(&self) -> Option<usize> {
        match self {
            Self::Complete { run, .. }
            | Self::Open { run, .. }
            | Self::Report { run, .. }
            | Self::Close { run, .. }
            | Self::Abort { run, .. }
            | Self::Stop { run, .. }
            | Self::Retry { run, .. }
            | Self::Reported { run, .. } => Some(*run),
            _ => None,
        }
    }
}

//! What can happen next, and what it does.
//!
//! Every step is one transaction of one service together with the answer to its caller, or without it: an answer that comes
//! late is one that was at once, to a caller who then stood still.

use crate::world::{End, Executor, Lease, Message, Scenario, World, replica};
use gauntlet_core::invariants::Violation;
use gauntlet_core::protocol::{Command, Completion, Outcome, ShardState, StopReason};
use gauntlet_core::verdict::AttemptOutcome;
use gauntlet_core::{LeaseEpoch, SessionId};
use gauntlet_tests_model::results::{Entered, Fence, Report, hold};
use gauntlet_tests_model::{Broken, Rules};
use uuid::Uuid;

/// What becomes of an election that a command may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Election {
    /// Nobody was waiting.
    Open,
    /// A results process was waiting and fetches it.
    Fetched,
    /// A results process was waiting, and the scheduler died with its mailbox.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Grant {
        shard: u32,
        executor: usize,
        arrives: bool,
    },
    Announce {
        shard: u32,
    },
    Beat {
        executor: usize,
    },
    Deliver {
        message: Message,
        answered: bool,
        election: Election,
    },
    /// The second half of a completion that counted before it locked.
    Count {
        message: Message,
        open_shard_count: u32,
    },
    Store {
        report: Report,
        answered: bool,
    },
    RollBack {
        report: Report,
    },
    GiveUp {
        executor: usize,
    },
    HandBack {
        executor: usize,
    },
    Crash {
        executor: usize,
    },
    Reap {
        session: SessionId,
    },
    SeeDead {
        shard: u32,
    },
    ClaimFinalization {
        finalizer: usize,
        answered: bool,
    },
    SealAndJudge {
        finalizer: usize,
    },
    CrashFinalizer {
        finalizer: usize,
    },
    ExpireFinalization,
    Follow {
        generation: u32,
    },
    Ask(Message),
}

impl Step {
    /// Returns whether it needs somebody to fail or to interfere: the way to the end may not depend on it.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Crash { .. }
                | Self::CrashFinalizer { .. }
                | Self::RollBack { .. }
                | Self::GiveUp { .. }
                | Self::HandBack { .. }
                | Self::Ask(_)
                | Self::Deliver {
                    message: Message::Abort { .. } | Message::Stop { .. } | Message::Retry { .. },
                    ..
                }
        )
    }
}

impl World {
    /// Does a step; none when nothing changes.
    pub(crate) fn after(&self, scenario: &Scenario, step: &Step) -> Option<Self> {
        let mut next = self.clone();
        let checked = next.take(scenario, step).and_then(|()| next.results.check());
        if let Err(violation) = checked {
            next.violation = Some(violation.id);
        }
        (next != *self).then_some(next)
    }

    fn take(&mut self, scenario: &Scenario, step: &Step) -> Result<(), Violation> {
        let rules = scenario.rules;
        match step {
            Step::Grant { shard, executor, arrives } => {
                self.grant(rules, *shard, *executor, *arrives)?
            }
            Step::Announce { shard } => {
                let epoch = self.run.shard(*shard).epoch;
                self.run.apply(rules, Some(*shard), &Command::MarkGranted { epoch })?;
            }
            Step::Beat { executor } => self.beat(*executor),
            Step::Deliver { message, answered, election } => {
                self.deliver(scenario, message, *answered, *election)?;
            }
            Step::Count { message, open_shard_count } => {
                self.counting.remove(&(message.clone(), *open_shard_count));
                self.complete(scenario, message, *open_shard_count, true, Election::Fetched)?;
            }
            Step::Store { report, answered } => self.store(scenario, *report, *answered)?,
            Step::RollBack { report } => {
                self.budget.rollbacks -= 1;
                self.results.roll_back(*report);
            }
            Step::GiveUp { executor } => {
                self.budget.failures -= 1;
                self.end(*executor, |lease| End::Failed { reported: lease.reported });
            }
            Step::HandBack { executor } => {
                self.budget.hand_backs -= 1;
                self.end(*executor, |_| End::HandedBack);
            }
            Step::Crash { executor } => {
                self.budget.crashes -= 1;
                self.restart(*executor);
            }
            Step::Reap { session } => {
                let alive = self.executors.iter().any(|executor| executor.session == *session);
                self.budget.reaps -= u8::from(alive);
                self.reaped.insert(*session);
            }
            Step::SeeDead { shard } => {
                let epoch = self.run.shard(*shard).epoch;
                self.sent.insert(Message::Lose { shard: *shard, epoch });
            }
            Step::ClaimFinalization { finalizer, answered } => {
                let command = Command::ClaimFinalization { replica: replica(*finalizer) };
                let outcome = self.run.apply(rules, None, &command)?.outcome;
                if let (Outcome::FinalizerElected(claim), true) = (outcome, *answered) {
                    self.elected(&claim);
                }
            }
            Step::SealAndJudge { finalizer } => self.seal_and_judge(rules, *finalizer),
            Step::CrashFinalizer { finalizer } => {
                self.budget.finalizer_crashes -= 1;
                self.finalizers[*finalizer] = None;
            }
            Step::ExpireFinalization => {
                self.budget.finalizer_expiries = self.budget.finalizer_expiries.saturating_sub(1);
                let generation = self.run.row.generation;
                let epoch = self.run.row.finalizer_epoch;
                self.sent.insert(Message::LoseFinalization { generation, epoch });
            }
            Step::Follow { generation } => self.follow(rules, *generation),
            Step::Ask(message) => {
                match message {
                    Message::Abort { .. } => self.budget.aborts -= 1,
                    Message::Stop { .. } => self.budget.stops -= 1,
                    _ => self.budget.retries -= 1,
                }
                self.sent.insert(message.clone());
            }
        }
        Ok(())
    }

    fn grant(
        &mut self,
        rules: Rules,
        shard: u32,
        executor: usize,
        arrives: bool,
    ) -> Result<(), Violation> {
        let session = self.executors[executor].session;
        let epoch = self.run.grant(rules, shard, session)?;
        if arrives {
            self.hold_lease(executor, shard, epoch);
        }
        Ok(())
    }

    fn hold_lease(&mut self, executor: usize, shard: u32, epoch: LeaseEpoch) {
        let fence = Fence { generation: self.run.plan(shard).generation, shard, epoch };
        let lease = Lease { fence, left: None, deferred: vec![], reported: 0, ended: false };
        self.executors[executor].lease = Some(lease);
        self.sent.insert(Message::Open(fence));
    }

    /// The renewal: lost leases are dropped, a grant that never arrived is taken up, a reaped session starts over.
    fn beat(&mut self, executor: usize) {
        let Executor { session, lease } = self.executors[executor].clone();
        if self.reaped.contains(&session) {
            return self.restart(executor);
        }
        let held = |shard: u32, epoch| {
            let row = self.run.shard(shard);
            (row.state, row.epoch, row.session) == (ShardState::Leased, epoch, Some(session))
        };
        if lease.as_ref().is_some_and(|lease| !held(lease.fence.shard, lease.fence.epoch)) {
            self.executors[executor].lease = None;
        } else if lease.is_none()
            && let Some(row) = self.run.shards.iter().find(|row| row.session == Some(session))
        {
            let (shard, epoch) = (row.index, row.epoch);
            self.hold_lease(executor, shard, epoch);
        }
    }

    fn restart(&mut self, executor: usize) {
        let SessionId(id) = self.executors[executor].session;
        let session = SessionId(Uuid::from_u128(id.as_u128() + 1));
        self.executors[executor] = Executor { session, lease: None };
    }

    fn end(&mut self, executor: usize, end: impl Fn(&Lease) -> End) {
        let Executor { session, lease } = &mut self.executors[executor];
        let Some(lease) = lease else { return };
        lease.ended = true;
        let Fence { shard, epoch, .. } = lease.fence;
        let end = end(lease);
        self.sent.insert(Message::Complete { session: *session, shard, epoch, end });
    }

    /// Goes on with a lease: the next attempt, or the completion.
    fn go_on(&mut self, scenario: &Scenario, executor: usize) {
        let Some(lease) = self.executors[executor].lease.clone() else { return };
        let Some(left) = lease.left else { return };
        let Some((ordinal, attempt)) = left.first().copied() else {
            return self.end(executor, |lease| End::Done {
                reported: lease.reported,
                deferred: lease.deferred.clone(),
            });
        };
        let flakes = scenario.defers && attempt == 1;
        let outcome = if flakes { AttemptOutcome::Failed } else { self.outcome(executor) };
        let report = Report { fence: lease.fence, ordinal, attempt, outcome, is_final: !flakes };
        self.sent.insert(Message::Report(report));
    }

    /// Returns who holds exactly this grant and has not said how it ends.
    fn holder(&self, fence: Fence) -> Option<usize> {
        self.executors
            .iter()
            .position(|e| e.lease.as_ref().is_some_and(|l| l.fence == fence && !l.ended))
    }

    fn deliver(
        &mut self,
        scenario: &Scenario,
        message: &Message,
        answered: bool,
        election: Election,
    ) -> Result<(), Violation> {
        let rules = scenario.rules;
        match message {
            Message::Open(fence) => self.open(scenario, *fence, answered),
            Message::Report(report) => {
                let entered = self.results.begin(rules, *report);
                self.refused(report.fence, &entered, answered);
            }
            Message::Complete { .. } if rules.lack(Broken::ElectBySingleStatement) => {
                self.counting.insert((message.clone(), self.run.row.open_shard_count));
            }
            Message::Complete { .. } => {
                let open = self.run.row.open_shard_count;
                self.complete(scenario, message, open, answered, election)?;
            }
            Message::Lose { shard, epoch } => {
                self.run.apply(rules, Some(*shard), &Command::Lose { epoch: *epoch })?;
            }
            Message::LoseFinalization { generation, epoch } => {
                let (generation, epoch) = (*generation, *epoch);
                let command = Command::LoseFinalization { generation, epoch };
                self.run.apply(rules, None, &command)?;
            }
            Message::Close { .. } => self.close(rules, message, answered)?,
            Message::Abort { generation } => {
                let generation = *generation;
                let command = Command::Abort { generation, reason: "asked".into() };
                self.run.apply(rules, None, &command)?;
            }
            Message::Stop { generation } => {
                let parked = self.parked(election);
                let reason = StopReason::FailFast;
                let command = Command::Stop { generation: *generation, reason, parked };
                if let Outcome::Stopped { elected } = self.run.apply(rules, None, &command)?.outcome
                    && election == Election::Fetched
                {
                    self.elected(&elected);
                }
            }
            Message::Retry { generation } => {
                let shards = (0..scenario.shards).map(|ordinal| vec![ordinal]).collect();
                let command = Command::Retry { generation: *generation, shards };
                self.run.apply(rules, None, &command)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, scenario: &Scenario, fence: Fence, answered: bool) {
        let entered = self.results.open(scenario.rules, fence);
        self.refused(fence, &entered, answered);
        let Some(executor) = self.holder(fence).filter(|_| answered) else { return };
        if entered != Entered::Done {
            return;
        }
        let ordinals = &self.run.plan(fence.shard).ordinals;
        let (known, reported) = self.results.known(fence, ordinals);
        let Some(lease) = &mut self.executors[executor].lease else { return };
        if lease.left.is_some() {
            return;
        }
        let left = known.iter().filter(|test| !test.is_final);
        lease.left = Some(left.map(|test| (test.ordinal, test.attempt_count + 1)).collect());
        lease.reported = reported;
        self.go_on(scenario, executor);
    }

    fn refused(&mut self, fence: Fence, entered: &Entered, answered: bool) {
        if answered
            && matches!(entered, Entered::LeaseLost | Entered::Sealed)
            && let Some(executor) = self.holder(fence)
        {
            self.executors[executor].lease = None;
        }
    }

    fn store(
        &mut self,
        scenario: &Scenario,
        report: Report,
        answered: bool,
    ) -> Result<(), Violation> {
        self.results.commit(scenario.rules, report)?;
        let rows = self.results.row_count(report.fence);
        let Some(executor) = self.holder(report.fence).filter(|_| answered) else { return Ok(()) };
        let Some(lease) = &mut self.executors[executor].lease else { return Ok(()) };
        let Some(left) = &mut lease.left else { return Ok(()) };
        if left.first() == Some(&(report.ordinal, report.attempt)) {
            left.remove(0);
            lease.reported = rows;
            if !report.is_final {
                lease.deferred.push(report.ordinal);
            }
            self.go_on(scenario, executor);
        }
        Ok(())
    }

    fn complete(
        &mut self,
        scenario: &Scenario,
        message: &Message,
        open_shard_count: u32,
        answered: bool,
        election: Election,
    ) -> Result<(), Violation> {
        let Message::Complete { session, shard, epoch, end } = message else { return Ok(()) };
        let completion = match end.clone() {
            End::Done { reported, deferred } => {
                Completion::Done { reported_count: reported, deferred }
            }
            End::Failed { reported } => {
                Completion::Failed { class: "BROWSER_LAUNCH".into(), reported_count: reported }
            }
            End::HandedBack => Completion::HandedBack,
        };
        let row = self.run.shard(*shard).clone();
        let held = row.state == ShardState::Leased && row.epoch == *epoch;
        let in_force = held && row.session == Some(*session);
        let parked = self.parked(election);
        let command = Command::Complete { session: *session, epoch: *epoch, completion, parked };
        let applied =
            self.run.apply_counting(scenario.rules, Some(*shard), &command, open_shard_count)?;
        let outcome = applied.outcome;
        if let (Outcome::Counted { elected: Some(claim), .. }, Election::Fetched) =
            (&outcome, election)
        {
            self.elected(claim);
        }
        if answered {
            let mut executors = self.executors.iter_mut();
            let caller = executors.find(|executor| executor.session == *session);
            if let Some(caller) = caller
                && caller
                    .lease
                    .as_ref()
                    .is_some_and(|lease| (lease.fence.shard, lease.fence.epoch) == (*shard, *epoch))
            {
                caller.lease = None;
            }
        }
        let counts =
            matches!(outcome, Outcome::Counted { .. } | Outcome::Requeued | Outcome::Closed);
        hold("B1", in_force || !counts, || format!("{message:?} counted under {row:?}"))
    }

    fn parked(&self, election: Election) -> Option<gauntlet_core::ReplicaId> {
        let idle = self.finalizers.iter().position(Option::is_none)?;
        (election != Election::Open).then(|| replica(idle))
    }
}

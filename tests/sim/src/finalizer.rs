//! Results processes: they store reports under fences, and finalize. Their memory is what they are about to do.

use crate::messages::Message;
use crate::world::{Event, REPLICAS, World};
use gauntlet_core::invariants::Violation;
use gauntlet_core::protocol::{Command, Outcome, RunState, VerdictState};
use gauntlet_core::seal::{Ending, Rest};
use gauntlet_core::verdict::SkipReason;
use gauntlet_tests_model::Rules;
use gauntlet_tests_model::results::skip_reason;
use gauntlet_tests_model::results::{Entered, Fence, Report, hold};
use gauntlet_tests_model::scheduler::Run;
use std::collections::BTreeSet;

/// Time between two looks at what is to be done or repeated.
const STEP_MS: u64 = 400;
const FOLLOW_MS: u64 = 700;

/// A finalization as it travels.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    run: usize,
    generation: u32,
    epoch: u32,
    test_count: u32,
    reported: Vec<(i32, i32)>,
    planned: BTreeSet<u32>,
    errored: BTreeSet<u32>,
    stopped: Option<SkipReason>,
}

impl Claim {
    pub(crate) fn of(n: usize, run: &Run, epoch: u32) -> Self {
        let generation = run.row.generation;
        let shards =
            || run.shards.iter().zip(run.plans.iter()).filter(|(_, p)| p.generation == generation);
        let reported =
            shards().map(|(row, _)| (row.index.cast_signed(), row.reported_count.cast_signed()));
        let failed = shards().filter(|(row, _)| row.failure_class.is_some());
        Self {
            run: n,
            generation,
            epoch,
            test_count: run.test_count(),
            reported: reported.collect(),
            planned: shards().flat_map(|(_, plan)| plan.ordinals.iter().copied()).collect(),
            errored: failed.flat_map(|(_, plan)| plan.ordinals.iter().copied()).collect(),
            stopped: run.row.stop_reason.map(skip_reason),
        }
    }
}

#[derive(Default)]
pub(crate) struct Replica {
    pub(crate) life: u64,
    pub(crate) down: bool,
    polled_at: Option<u64>,
    works: Vec<(Claim, Option<(VerdictState, String)>)>,
}

impl World {
    /// Returns a results process that is up.
    pub(crate) fn any_replica(&mut self) -> Option<usize> {
        let first = usize::try_from(self.rng.below(2)).unwrap_or(0);
        let up = |n: &usize| !self.replicas[*n].down && self.store_up;
        [first, (first + 1) % REPLICAS].into_iter().find(up)
    }

    pub(crate) fn kill_replica(&mut self, replica: usize, back_in_ms: u64) {
        self.say(|| format!("results process {replica} dies"));
        let life = self.replicas[replica].life + 1;
        self.replicas[replica] = Replica { life, down: true, ..Replica::default() };
        self.after(back_in_ms, Event::RestartReplica { replica });
    }

    pub(crate) fn open(&mut self, executor: usize, run: usize, fence: Fence, ordinals: &[u32]) {
        let (Some(_), Some(hosted)) = (self.any_replica(), self.runs.get_mut(&run)) else { return };
        match hosted.results.open(Rules::Real, fence) {
            Entered::Done => {
                let (known, rows) = hosted.results.known(fence, ordinals);
                self.send(Message::Opened { executor, run, fence, known, rows });
            }
            Entered::Waits => {}
            why => self.send(Message::Refused { executor, run, fence, why }),
        }
    }

    /// Begins to store: locks are held from here until the commit.
    pub(crate) fn report(&mut self, executor: usize, run: usize, report: Report) {
        let Some(replica) = self.any_replica() else { return };
        let Some(hosted) = self.runs.get_mut(&run) else { return };
        match hosted.results.begin(Rules::Real, report) {
            Entered::Done => {
                let (life, late) = (self.replicas[replica].life, 1 + self.rng.below(30));
                self.after(late, Event::StoreReport { run, report, executor, replica, life });
            }
            Entered::Waits => {}
            why => self.send(Message::Refused { executor, run, fence: report.fence, why }),
        }
    }

    /// Commits, unless the process died in between.
    pub(crate) fn store_report(
        &mut self,
        (run, report): (usize, Report),
        executor: usize,
        (replica, life): (usize, u64),
    ) -> Result<(), Violation> {
        let alive = self.replicas[replica].life == life && self.store_up;
        let Some(hosted) = self.runs.get_mut(&run) else { return Ok(()) };
        if !alive {
            hosted.results.roll_back(report);
            return Ok(());
        }
        hosted.results.commit(Rules::Real, report)?;
        let rows = hosted.results.row_count(report.fence);
        self.acknowledged.push((run, report));
        self.send(Message::Reported { executor, run, report, rows });
        Ok(())
    }

    pub(crate) fn replica_step(&mut self, replica: usize) {
        self.after(STEP_MS, Event::ReplicaStep { replica });
        if self.replicas[replica].down {
            return;
        }
        for at in (0..self.replicas[replica].works.len()).rev() {
            self.work(replica, at);
        }
        let process = &mut self.replicas[replica];
        let waits = process.polled_at.is_some_and(|at| at + 10_000 > self.now);
        if !waits {
            process.polled_at = Some(self.now);
            self.send(Message::PollFinalization { replica });
        }
    }

    fn work(&mut self, replica: usize, at: usize) {
        let (claim, judged) = self.replicas[replica].works[at].clone();
        let Claim { run, generation, epoch, .. } = claim;
        if self.story.runs[run].cursed {
            // A bug: it gives up, and the lease runs out.
            self.replicas[replica].works.remove(at);
            return;
        }
        if self.rng.percent(40) {
            self.send(Message::RenewFinalization { run, epoch });
        }
        if let Some((verdict, digest)) = judged {
            self.send(Message::Close { replica, run, generation, epoch, verdict, digest });
            return;
        }
        // Finalizations take their time, so that something can happen meanwhile.
        if !self.store_up || self.rng.percent(40) {
            return;
        }
        let Some(hosted) = self.runs.get_mut(&run) else { return };
        let ending = Ending {
            generation: generation.cast_signed(),
            test_count: claim.test_count,
            planned: Some(claim.planned.clone()),
            rest: Rest::Ended { errored: claim.errored.clone(), stopped: claim.stopped },
        };
        let sealed = hosted.results.seal_and_judge(Rules::Real, epoch, &ending, &claim.reported);
        match sealed {
            None => {}
            Some(None) => drop(self.replicas[replica].works.remove(at)),
            Some(Some(verdict)) => {
                self.replicas[replica].works[at].1 = Some((verdict.state, verdict.digest));
            }
        }
    }

    pub(crate) fn hold_finalization(&mut self, replica: usize, claim: Claim) {
        let process = &mut self.replicas[replica];
        process.polled_at = None;
        if !process.down {
            process.works.push((claim, None));
        }
    }

    /// The scheduler closes a generation.
    pub(crate) fn close(
        &mut self,
        replica: usize,
        run: usize,
        command: &Command,
    ) -> Result<(), Violation> {
        let Command::Close { generation, .. } = command else { return Ok(()) };
        let Some(outcome) = self.apply(run, None, command)? else { return Ok(()) };
        if outcome == Outcome::Closed {
            let first = self.closed.insert((run, *generation));
            hold("FN-1", first, || {
                format!("generation {generation} of run {run} was closed twice")
            })?;
        }
        let closed = matches!(outcome, Outcome::Closed | Outcome::AlreadyClosed);
        self.send(Message::CloseAnswered { replica, run, generation: *generation, closed });
        Ok(())
    }

    pub(crate) fn close_answered(
        &mut self,
        replica: usize,
        run: usize,
        generation: u32,
        closed: bool,
    ) {
        self.replicas[replica].works.retain(|(c, _)| (c.run, c.generation) != (run, generation));
        if let Some(hosted) = self.runs.get_mut(&run)
            && closed
            && self.store_up
        {
            hosted.results.note_closed(generation);
        }
    }

    /// What results makes of the feed: generations that ended without a verdict are sealed.
    pub(crate) fn follow(&mut self) {
        self.after(FOLLOW_MS, Event::Follow);
        if self.any_replica().is_none() || self.scheduler.is_none() {
            return;
        }
        for hosted in self.runs.values_mut() {
            let ends: Vec<_> = hosted.run.ends().map(|(s, reason)| (s, reason.is_some())).collect();
            for (generation, end) in (1..).zip(ends) {
                let rest = match end {
                    (RunState::Aborted, true) => Rest::Aborted,
                    (_, true) => Rest::Ended { errored: BTreeSet::new(), stopped: None },
                    _ => continue,
                };
                if !hosted.results.seals.contains_key(&generation) {
                    // None while a report is being stored: it is tried again.
                    let test_count = hosted.run.test_count();
                    let planned = Some(hosted.run.ordinals_of(generation));
                    let generation = i32::try_from(generation).unwrap_or(i32::MAX);
                    let ending = Ending { generation, test_count, planned, rest };
                    let _ = hosted.results.seal(Rules::Real, &ending);
                }
            }
        }
    }
}

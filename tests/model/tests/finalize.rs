//! The steps of results processes: from an election to the close, and what they make of the feed.

use crate::world::{Finalization, Message, World, replica};
use gauntlet_core::invariants::Violation;
use gauntlet_core::protocol::{Command, FinalizerClaim, Outcome, RunState};
use gauntlet_core::seal::{Ending, Rest};
use gauntlet_tests_model::Rules;
use gauntlet_tests_model::results::{hold, skip_reason};
use std::collections::BTreeSet;

impl World {
    /// A results process gets its claim, with what the rows say by then.
    pub(crate) fn elected(&mut self, claim: &FinalizerClaim) {
        let run = &self.run;
        let Some(at) =
            claim.replica.and_then(|r| (0..self.finalizers.len()).find(|n| replica(*n) == r))
        else {
            return;
        };
        let generation = run.row.generation;
        let shards =
            || run.shards.iter().zip(run.plans.iter()).filter(|(_, p)| p.generation == generation);
        let reported =
            shards().map(|(row, _)| (row.index.cast_signed(), row.reported_count.cast_signed()));
        let failed = shards().filter(|(row, _)| row.failure_class.is_some());
        self.finalizers[at] = Some(Finalization {
            generation,
            epoch: claim.epoch,
            reported: reported.collect(),
            planned: shards().flat_map(|(_, plan)| plan.ordinals.iter().copied()).collect(),
            errored: failed.flat_map(|(_, plan)| plan.ordinals.iter().copied()).collect(),
            stopped: run.row.stop_reason.map(skip_reason),
            judged: false,
        });
    }

    pub(crate) fn seal_and_judge(&mut self, rules: Rules, finalizer: usize) {
        let Some(work) = self.finalizers[finalizer].clone() else { return };
        let key = (work.generation, work.epoch);
        let ending = Ending {
            generation: work.generation.cast_signed(),
            test_count: self.run.test_count(),
            planned: Some(work.planned.clone()),
            rest: Rest::Ended { errored: work.errored.clone(), stopped: work.stopped },
        };
        let judged = self.results.seal_and_judge(rules, work.epoch, &ending, &work.reported);
        let Some(judged) = judged else { return };
        self.finalizers[finalizer] = judged.as_ref().map(|_| Finalization { judged: true, ..work });
        if let Some(verdict) = judged {
            let (generation, epoch) = key;
            let (verdict, digest) = (verdict.state, verdict.digest);
            self.sent.insert(Message::Close { generation, epoch, verdict, digest });
        }
    }

    pub(crate) fn close(
        &mut self,
        rules: Rules,
        message: &Message,
        answered: bool,
    ) -> Result<(), Violation> {
        let Message::Close { generation, epoch, verdict, digest } = message else { return Ok(()) };
        let (generation, epoch) = (*generation, *epoch);
        let command =
            Command::Close { generation, epoch, verdict: *verdict, digest: digest.clone() };
        let outcome = self.run.apply(rules, None, &command)?.outcome;
        if answered {
            let same = |work: &Finalization| (work.generation, work.epoch) == (generation, epoch);
            let done = self.finalizers.iter_mut().find(|work| work.as_ref().is_some_and(same));
            if let Some(work) = done {
                *work = None;
                if matches!(outcome, Outcome::Closed | Outcome::AlreadyClosed) {
                    self.results.note_closed(generation);
                }
            }
        }
        let first = outcome != Outcome::Closed || self.closed.insert(self.run.row.generation);
        hold("FN-1", first, || format!("generation {generation} was closed twice"))
    }

    /// What results makes of the feed: a generation that ended without a verdict is sealed.
    pub(crate) fn follow(&mut self, rules: Rules, generation: u32) {
        let ends: Vec<(RunState, bool)> =
            self.run.ends().map(|(state, reason)| (state, reason.is_some())).collect();
        let rest = match ends.get(generation as usize - 1) {
            Some((RunState::Aborted, true)) => Rest::Aborted,
            Some((_, true)) => Rest::Ended { errored: BTreeSet::new(), stopped: None },
            _ => return,
        };
        let planned = Some(self.run.ordinals_of(generation));
        let (generation, test_count) = (generation.cast_signed(), self.run.test_count());
        let ending = Ending { generation, test_count, planned, rest };
        // None while a report is being stored: the follower waits.
        let _ = self.results.seal(rules, &ending);
    }
}

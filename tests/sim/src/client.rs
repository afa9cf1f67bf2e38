//! People: they abort, stop and retry runs, and repeat themselves until they are heard.

use crate::messages::Message;
use crate::story::Moment;
use crate::world::{Event, World};
use gauntlet_core::protocol::RunState;

const STEP_MS: u64 = 250;

/// What became of what somebody wants of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    admitted_at: Option<u64>,
    pub(crate) aborted: bool,
    pub(crate) stopped: bool,
    pub(crate) retried: bool,
}

impl World {
    /// Returns whether nobody wants anything of the run any more.
    pub(crate) fn is_content(&self, run: usize) -> bool {
        let (plan, wishes) = (&self.story.runs[run], &self.client[run]);
        let ended = self.runs.get(&run).is_some_and(|hosted| hosted.run.row.state.is_terminal());
        (!plan.retried || wishes.retried) && ended
    }

    pub(crate) fn client_step(&mut self, run: usize) {
        if self.is_content(run) {
            return;
        }
        let wait = STEP_MS / 5 + self.rng.below(STEP_MS);
        self.after(wait, Event::Client { run });
        let now = self.now;
        let admitted_at = *self.client[run].admitted_at.get_or_insert(now);
        let Some(hosted) = self.runs.get(&run) else { return };
        let (row, wishes, plan) = (&hosted.run.row, &self.client[run], &self.story.runs[run]);
        let due = |moment: &Option<Moment>| match moment {
            Some(Moment::After(ms)) => now >= admitted_at + ms,
            Some(Moment::Finalizing) => row.state == RunState::Finalizing,
            None => false,
        };
        let (generation, test_count) = (row.generation, hosted.run.test_count());
        let again = plan.retried && !wishes.retried && (row.state.is_terminal() || generation > 1);
        let abort =
            due(&plan.aborted) && !wishes.aborted && !row.state.is_terminal() && generation == 1;
        let stop =
            due(&plan.stopped) && !wishes.stopped && !row.state.is_terminal() && generation == 1;
        if abort {
            self.send(Message::Abort { run, generation });
        }
        if stop {
            self.send(Message::Stop { run, generation });
        }
        if again {
            // A part of the tests: every other one, in two shards.
            let tests: Vec<u32> = (0..test_count).step_by(2).collect();
            let shards = tests.chunks(tests.len().div_ceil(2)).map(<[u32]>::to_vec).collect();
            self.send(Message::Retry { run, generation: 1, shards });
        }
    }
}

//! The network: messages between processes, each late, some lost, some twice, in any order.

use crate::finalizer::Claim;
use crate::world::{Event, World};
use gauntlet_core::protocol::{Completion, Running, VerdictState};
use gauntlet_core::{LeaseEpoch, SessionId};
use gauntlet_tests_model::results::{Entered, Fence, Known, Report};

/// A grant as it travels.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) run: usize,
    pub(crate) fence: Fence,
    pub(crate) ordinals: Vec<u32>,
    pub(crate) poisoned: Vec<u32>,
}

/// A lease as its holder names it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) run: usize,
    pub(crate) fence: Fence,
    pub(crate) running: Vec<Running>,
}

#[derive(Debug, Clone)]
pub(crate) enum Message {
    // Executor to scheduler and back.
    Poll {
        executor: usize,
        session: SessionId,
        free: u32,
    },
    Granted {
        executor: usize,
        session: SessionId,
        grant: Grant,
    },
    Beat {
        executor: usize,
        session: SessionId,
        held: Vec<Held>,
    },
    Beaten {
        executor: usize,
        session: SessionId,
        lost: Vec<(usize, Fence)>,
        unnamed: Option<Grant>,
    },
    SessionLost {
        executor: usize,
        session: SessionId,
    },
    Complete {
        executor: usize,
        session: SessionId,
        run: usize,
        shard: u32,
        epoch: LeaseEpoch,
        completion: Completion,
    },
    Completed {
        executor: usize,
        run: usize,
        fence: Fence,
    },
    // Executor to results and back.
    Open {
        executor: usize,
        run: usize,
        fence: Fence,
        ordinals: Vec<u32>,
    },
    Opened {
        executor: usize,
        run: usize,
        fence: Fence,
        known: Vec<Known>,
        rows: u32,
    },
    Report {
        executor: usize,
        run: usize,
        report: Report,
    },
    Reported {
        executor: usize,
        run: usize,
        report: Report,
        rows: u32,
    },
    Refused {
        executor: usize,
        run: usize,
        fence: Fence,
        why: Entered,
    },
    // Results to scheduler and back.
    PollFinalization {
        replica: usize,
    },
    Elected {
        replica: usize,
        claim: Claim,
    },
    RenewFinalization {
        run: usize,
        epoch: u32,
    },
    Close {
        replica: usize,
        run: usize,
        generation: u32,
        epoch: u32,
        verdict: VerdictState,
        digest: String,
    },
    CloseAnswered {
        replica: usize,
        run: usize,
        generation: u32,
        closed: bool,
    },
    /// A test takes the process down that runs it.
    Poisoned {
        executor: usize,
        incarnation: u64,
    },
    // People to scheduler and back.
    Abort {
        run: usize,
        generation: u32,
    },
    Stop {
        run: usize,
        generation: u32,
    },
    Retry {
        run: usize,
        generation: u32,
        shards: Vec<Vec<u32>>,
    },
    Heard {
        run: usize,
        wish: &'static str,
    },
}

impl World {
    /// Sends a message: it takes its time, and is lost or comes twice now and then.
    pub(crate) fn send(&mut self, message: Message) {
        let (loss, twice, slow) = if self.storm { (35, 35, 4_000) } else { (2, 3, 60) };
        if self.rng.percent(twice) {
            let late = self.rng.below(slow * 20);
            self.after(late, Event::Deliver(message.clone()));
        }
        if !self.rng.percent(loss) {
            let late = 1 + self.rng.below(slow);
            self.after(late, Event::Deliver(message));
        }
    }
}

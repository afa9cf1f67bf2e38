//! What the checker sees of a bounded world: which steps there are, and what must hold in every state.

use crate::steps::{Election, Step};
use crate::world::{Message, Scenario, World};
use gauntlet_core::protocol::{RunState, ShardState};
use gauntlet_tests_model::Broken;
use stateright::{Checker, Model, Property};

impl Model for Scenario {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        self.executor_steps(world, steps);
        self.scheduler_steps(world, steps);
        self.finalizer_steps(world, steps);
        self.deliveries(world, steps);
        self.requests(world, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        world.after(self, &step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! unbroken {
            ($($id:literal),*) => {
                vec![$(Property::always($id, |_: &Self, w: &World| w.violation != Some($id))),*]
            };
        }
        let mut all = unbroken!(
            "RN-1", "RN-2", "RN-3", "RN-4", "RN-5", "SH-1", "SH-2", "SH-3", "SH-4", "FN-1", "ACK",
            "B1", "LEGAL"
        );
        all.push(Property::always("FN-2", |_, w: &World| w.digest_is_recomputable()));
        all.push(Property::always("B4", |_, w: &World| w.has_somebody_to_elect()));
        all.push(Property::always("C1", |_, w: &World| w.aborted_as_asked()));
        all.push(Property::always("A8", |_, w: &World| w.passed_by_right()));
        all.push(Property::sometimes("a run passes", |_, w: &World| {
            w.run.row.state == RunState::Passed
        }));
        all
    }
}

impl Scenario {
    fn executor_steps(&self, world: &World, steps: &mut Vec<Step>) {
        let budget = &world.budget;
        for (executor, process) in world.executors.iter().enumerate() {
            steps.push(Step::Beat { executor });
            if budget.crashes > 0 {
                steps.push(Step::Crash { executor });
            }
            if budget.reaps > 0 && !world.reaped.contains(&process.session) {
                steps.push(Step::Reap { session: process.session });
            }
            if process.lease.as_ref().is_some_and(|lease| !lease.ended) {
                if budget.failures > 0 {
                    steps.push(Step::GiveUp { executor });
                }
                if budget.hand_backs > 0 {
                    steps.push(Step::HandBack { executor });
                }
            }
        }
        for report in &world.results.storing {
            steps.push(Step::Store { report: *report, answered: true });
            steps.push(Step::Store { report: *report, answered: false });
            if budget.rollbacks > 0 {
                steps.push(Step::RollBack { report: *report });
            }
        }
    }

    fn scheduler_steps(&self, world: &World, steps: &mut Vec<Step>) {
        for row in &world.run.shards {
            let shard = row.index;
            for (executor, process) in world.executors.iter().enumerate() {
                let avoided = world.run.plan(shard).avoid == Some(process.session);
                let alone = world
                    .executors
                    .iter()
                    .all(|e| e.session == process.session || world.reaped.contains(&e.session));
                if world.is_queued(shard)
                    && process.lease.is_none()
                    && !world.reaped.contains(&process.session)
                    && (!avoided || alone)
                {
                    steps.push(Step::Grant { shard, executor, arrives: true });
                    steps.push(Step::Grant { shard, executor, arrives: false });
                }
            }
            if row.state == ShardState::Leased {
                steps.push(Step::Announce { shard });
            }
            let Some(session) = row.session else { continue };
            if world.reaped.contains(&session) {
                steps.push(Step::SeeDead { shard });
            } else if !world.executors.iter().any(|executor| executor.session == session) {
                steps.push(Step::Reap { session });
            }
        }
        for (message, open_shard_count) in &world.counting {
            steps.push(Step::Count {
                message: message.clone(),
                open_shard_count: *open_shard_count,
            });
        }
    }

    fn finalizer_steps(&self, world: &World, steps: &mut Vec<Step>) {
        let row = &world.run.row;
        for (finalizer, work) in world.finalizers.iter().enumerate() {
            match work {
                None if row.state == RunState::Finalizing && row.finalizer.is_none() => {
                    steps.push(Step::ClaimFinalization { finalizer, answered: true });
                    steps.push(Step::ClaimFinalization { finalizer, answered: false });
                }
                None => {}
                Some(work) => {
                    if !work.judged {
                        steps.push(Step::SealAndJudge { finalizer });
                    }
                    if world.budget.finalizer_crashes > 0 {
                        steps.push(Step::CrashFinalizer { finalizer });
                    }
                }
            }
        }
        let held = |w: &crate::world::Finalization| {
            (w.generation, w.epoch) == (row.generation, row.finalizer_epoch)
        };
        let worked_on = world.finalizers.iter().flatten().any(held);
        if row.state == RunState::Finalizing
            && row.finalizer.is_some()
            && (!worked_on || world.budget.finalizer_expiries > 0)
        {
            steps.push(Step::ExpireFinalization);
        }
        for generation in 1..=row.generation {
            let again = self.rules.lack(Broken::SealAgain);
            if again || !world.results.seals.contains_key(&generation) {
                steps.push(Step::Follow { generation });
            }
        }
    }

    fn deliveries(&self, world: &World, steps: &mut Vec<Step>) {
        for message in &world.sent {
            let mut deliver = |answered, election| {
                steps.push(Step::Deliver { message: message.clone(), answered, election });
            };
            match message {
                Message::Complete { .. } | Message::Stop { .. }
                    if world.run.row.open_shard_count > 0 =>
                {
                    deliver(true, Election::Open);
                    deliver(false, Election::Open);
                    deliver(true, Election::Fetched);
                    deliver(false, Election::Lost);
                }
                Message::Lose { .. }
                | Message::LoseFinalization { .. }
                | Message::Abort { .. }
                | Message::Retry { .. } => {
                    deliver(true, Election::Open);
                }
                _ => {
                    deliver(true, Election::Open);
                    deliver(false, Election::Open);
                }
            }
        }
    }

    fn requests(&self, world: &World, steps: &mut Vec<Step>) {
        let row = &world.run.row;
        let generation = row.generation;
        if world.budget.aborts > 0 {
            steps.push(Step::Ask(Message::Abort { generation }));
        }
        if world.budget.stops > 0 {
            steps.push(Step::Ask(Message::Stop { generation }));
        }
        if world.budget.retries > 0 && row.state.is_terminal() {
            steps.push(Step::Ask(Message::Retry { generation }));
        }
    }
}

/// Checks every state and prints how many there were.
///
/// # Panics
/// When a property does not hold, with the steps that led there.
pub(crate) fn check(name: &str, scenario: Scenario) -> usize {
    let checker = scenario.clone().checker().threads(1).spawn_bfs().join();
    println!(
        "{name}: {} states, {} of them different, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
    checker.unique_state_count()
}

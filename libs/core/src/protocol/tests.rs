//! The protocol under every order of commands: invariants after each step, and no step outside the tables.

use super::*;
use crate::invariants;
use proptest::prelude::*;
use uuid::Uuid;

/// A run with its shards and log: what the store would hold.
#[derive(Debug, Clone)]
struct World {
    run: RunRow,
    shards: Vec<ShardRow>,
    log: Vec<Event>,
}

fn abort(generation: u32) -> Command {
    Command::Abort { generation, reason: "stop".into() }
}

fn session(n: u8) -> SessionId {
    SessionId(Uuid::from_u128(u128::from(n) + 1))
}

fn replica(n: u8) -> ReplicaId {
    ReplicaId(Uuid::from_u128(u128::from(n) + 100))
}

fn shard(index: u32) -> ShardRow {
    ShardRow {
        index,
        deferrals: 0,
        state: ShardState::Queued,
        epoch: LeaseEpoch(0),
        announced: LeaseEpoch(0),
        session: None,
        infra_attempts: 0,
        running: vec![],
        suspects: vec![],
        poisoned: vec![],
        reported_count: 0,
        failure_class: None,
    }
}

impl World {
    fn new(shards: u32, on_infra_failure: OnInfraFailure) -> Self {
        Self {
            run: RunRow {
                state: RunState::Queued,
                generation: 1,
                shard_count: shards,
                next_shard_index: shards,
                started: false,
                revision: 0,
                open_shard_count: shards,
                on_infra_failure,
                stop_reason: None,
                finalizer_epoch: 0,
                finalizer: None,
                digest: None,
                reason: None,
            },
            shards: (0..shards).map(shard).collect(),
            log: vec![],
        }
    }

    /// What the claim does under the lane's lock.
    fn grant(&mut self, index: usize, to: SessionId) {
        let shard = &mut self.shards[index];
        if shard.state == ShardState::Queued {
            shard.state = ShardState::Leased;
            shard.epoch = shard.epoch.next();
            shard.session = Some(to);
        }
    }

    fn apply(&mut self, index: Option<usize>, command: &Command) -> Outcome {
        let before = self.clone();
        let locked = index.map(|i| &self.shards[i]);
        let decision = decide(&self.run, locked, command).expect("legal");
        if let (Some(i), Some(row)) = (index, decision.shard) {
            self.shards[i] = row;
        }
        if decision.cancel_open_shards {
            for shard in self.shards.iter_mut().filter(|s| s.state.is_open()) {
                shard.state = ShardState::Cancelled;
                shard.epoch = shard.epoch.next();
                shard.session = None;
            }
        }
        if let Some(run) = decision.run {
            self.run = run;
        }
        let planned = |new: NewShard| ShardRow { deferrals: new.deferrals, ..shard(new.index) };
        self.shards.extend(decision.new_shards.into_iter().map(planned));
        self.log.extend(decision.events);
        self.check(&before, command);
        decision.outcome
    }

    fn check(&self, before: &Self, command: &Command) {
        invariants::check(&self.run, &self.shards, &self.log).expect("invariants");
        invariants::check_step((&before.run, &before.shards), (&self.run, &self.shards))
            .expect("step");
        if before.run.state != self.run.state {
            let step = (before.run.state, command.name(), self.run.state);
            assert!(run_transitions().contains(&step), "{step:?} is not in the table");
        }
        for (was, is) in before.shards.iter().zip(&self.shards) {
            if was.state != is.state && is.state != ShardState::Cancelled {
                let step = (was.state, command.name(), is.state);
                assert!(shard_transitions().contains(&step), "{step:?} is not in the table");
            }
        }
    }

    fn complete(&mut self, index: usize, epoch: u64, completion: Completion) -> Outcome {
        let session = self.shards[index].session.unwrap_or(session(0));
        let parked = Some(replica(0));
        self.apply(
            Some(index),
            &Command::Complete { session, epoch: LeaseEpoch(epoch), completion, parked },
        )
    }
}

fn done() -> Completion {
    Completion::Done { reported_count: 1, deferred: vec![] }
}

fn failed() -> Completion {
    Completion::Failed { class: "BROWSER_LAUNCH".into(), reported_count: 0 }
}

fn running(ordinal: u32) -> Running {
    Running { ordinal, attempt: 1, step: None }
}

#[test]
fn b3_a_duplicate_completion_counts_once() {
    let mut world = World::new(2, OnInfraFailure::Continue);
    world.grant(0, session(0));
    assert_eq!(
        world.complete(0, 1, done()),
        Outcome::Counted { open_shard_count: 1, elected: None }
    );
    assert_eq!(world.complete(0, 1, done()), Outcome::Duplicate);
    assert_eq!(world.run.open_shard_count, 1);
}

#[test]
fn b4_the_last_completion_elects_and_the_election_is_a_lease() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    world.grant(0, session(0));
    let elected = Some(FinalizerClaim { replica: Some(replica(0)), generation: 1, epoch: 1 });
    assert_eq!(world.complete(0, 1, done()), Outcome::Counted { open_shard_count: 0, elected });
    assert_eq!(
        world.apply(None, &Command::LoseFinalization { generation: 1, epoch: 1 }),
        Outcome::Requeued
    );
    let claim = FinalizerClaim { replica: Some(replica(1)), generation: 1, epoch: 2 };
    let outcome = world.apply(None, &Command::ClaimFinalization { replica: replica(1) });
    assert_eq!(outcome, Outcome::FinalizerElected(claim));
    let late = Command::Close {
        generation: 1,
        epoch: 1,
        verdict: VerdictState::Passed,
        digest: "a".into(),
    };
    assert_eq!(world.apply(None, &late), Outcome::FinalizationLost);
    let close = Command::Close {
        generation: 1,
        epoch: 2,
        verdict: VerdictState::Failed,
        digest: "b".into(),
    };
    assert_eq!(world.apply(None, &close), Outcome::Closed);
    assert_eq!(world.apply(None, &close), Outcome::AlreadyClosed);
}

#[test]
fn a_finalization_nobody_survives_ends_as_errored() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    world.grant(0, session(0));
    world.complete(0, 1, done());
    for epoch in 1..=5 {
        world.apply(None, &Command::ClaimFinalization { replica: replica(0) });
        world.apply(None, &Command::LoseFinalization { generation: 1, epoch });
    }
    assert_eq!(world.run.state, RunState::Errored);
    assert_eq!(world.run.reason.as_deref(), Some("FINALIZER_FAILED"));
}

#[test]
fn a_grant_is_announced_once_however_often_it_is_marked() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    world.grant(0, session(0));
    let mark = Command::MarkGranted { epoch: LeaseEpoch(1) };
    assert_eq!(world.apply(Some(0), &mark), Outcome::Granted);
    assert_eq!(world.apply(Some(0), &mark), Outcome::Unchanged);
    assert_eq!(world.log.len(), 1);
}

#[test]
fn b1_an_old_epoch_is_refused() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    world.grant(0, session(0));
    world.apply(Some(0), &Command::Lose { epoch: LeaseEpoch(1) });
    world.grant(0, session(1));
    assert_eq!(world.complete(0, 1, done()), Outcome::LeaseLost);
    assert!(matches!(world.complete(0, 3, done()), Outcome::Counted { .. }));
}

#[test]
fn b7_a_failing_shard_is_retried_and_then_closed_with_its_reason() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    for (epoch, outcome) in [(1, Outcome::Requeued), (3, Outcome::Requeued)] {
        world.grant(0, session(0));
        assert_eq!(world.complete(0, epoch, failed()), outcome);
    }
    world.grant(0, session(0));
    assert!(matches!(world.complete(0, 5, failed()), Outcome::Counted { open_shard_count: 0, .. }));
    assert_eq!(world.shards[0].failure_class.as_deref(), Some("BROWSER_LAUNCH"));
}

#[test]
fn b7_stop_run_errors_the_run_and_stops_its_siblings() {
    let mut world = World::new(2, OnInfraFailure::StopRun);
    for epoch in [1, 3, 5] {
        world.grant(0, session(0));
        world.complete(0, epoch, failed());
    }
    assert_eq!(world.run.state, RunState::Errored);
    assert_eq!(world.shards[1].state, ShardState::Cancelled);
}

#[test]
fn b9_a_hand_back_consumes_no_attempt() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    for epoch in (0..20).map(|n| 2 * n + 1) {
        world.grant(0, session(0));
        assert_eq!(world.complete(0, epoch, Completion::HandedBack), Outcome::Requeued);
    }
    assert_eq!(world.shards[0].infra_attempts, 0);
}

#[test]
fn a_test_running_in_two_lost_leases_is_poisoned_and_the_shard_lives() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    for epoch in [1, 3] {
        world.grant(0, session(0));
        world.shards[0].running = vec![running(7)];
        world.apply(Some(0), &Command::Lose { epoch: LeaseEpoch(epoch) });
    }
    assert_eq!(world.shards[0].poisoned, [7]);
    assert_eq!((world.shards[0].state, world.shards[0].infra_attempts), (ShardState::Queued, 0));
}

#[test]
fn b5_abort_and_close_race_to_one_terminal_event() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    world.grant(0, session(0));
    world.complete(0, 1, done());
    assert_eq!(world.apply(None, &abort(1)), Outcome::Closed);
    let close = Command::Close {
        generation: 1,
        epoch: 1,
        verdict: VerdictState::Passed,
        digest: "a".into(),
    };
    assert_eq!(world.apply(None, &close), Outcome::AlreadyTerminal(RunState::Aborted));
    assert_eq!(world.apply(None, &abort(1)), Outcome::AlreadyAborted);
}

#[test]
fn a10_an_abort_that_comes_late_or_again_never_ends_the_next_generation() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    assert_eq!(world.apply(None, &abort(2)), Outcome::Unchanged, "there is no second one yet");
    world.apply(None, &abort(1));
    world.apply(None, &Command::Retry { generation: 1, shards: vec![vec![0]] });
    assert_eq!(world.apply(None, &abort(1)), Outcome::AlreadyRetried);
    assert_eq!((world.run.generation, world.run.state), (2, RunState::Queued));
    assert_eq!(world.apply(None, &abort(2)), Outcome::Closed);
}

#[test]
fn a10_a_partial_retry_is_the_next_generation_and_a_repeat_finds_it() {
    let mut world = World::new(2, OnInfraFailure::Continue);
    let retry = Command::Retry { generation: 1, shards: vec![vec![3], vec![5, 8]] };
    assert_eq!(world.apply(None, &retry), Outcome::NotTerminal(RunState::Queued));
    world.apply(None, &abort(1));
    assert_eq!(world.apply(None, &retry), Outcome::Retried);
    assert_eq!(world.apply(None, &retry), Outcome::AlreadyRetried);
    assert_eq!((world.run.generation, world.run.open_shard_count), (2, 2));
    let indexes: Vec<u32> = world.shards.iter().map(|s| s.index).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
    // Nothing of the first generation counts in the second.
    assert_eq!(world.complete(0, 1, done()), Outcome::LeaseLost);
    let late = Command::Stop { generation: 1, reason: StopReason::Deadline, parked: None };
    assert_eq!(world.apply(None, &late), Outcome::Unchanged);
}

#[test]
fn a_loss_of_the_finalization_before_takes_nothing_from_the_next_generation() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    for (generation, index) in [(1, 0), (2, 1)] {
        world.grant(index, session(0));
        world.complete(index, 1, done());
        if generation == 1 {
            world.apply(None, &abort(generation));
            world.apply(None, &Command::Retry { generation, shards: vec![vec![0]] });
        }
    }
    let late = Command::LoseFinalization { generation: 1, epoch: 1 };
    assert_eq!(world.apply(None, &late), Outcome::Unchanged);
    assert_eq!(world.run.finalizer, Some(replica(0)));
}

#[test]
fn b1_the_late_holder_of_a_shard_that_was_lost_for_good_completes_nothing() {
    let mut world = World::new(2, OnInfraFailure::Continue);
    let mut epoch = 0;
    for _ in 0..crate::limits::SHARD_INFRA_ATTEMPTS_MAX {
        world.grant(0, session(0));
        epoch = world.shards[0].epoch.0;
        world.apply(Some(0), &Command::Lose { epoch: LeaseEpoch(epoch) });
    }
    assert_eq!(world.shards[0].state, ShardState::Done);
    assert_eq!(world.complete(0, epoch, done()), Outcome::LeaseLost);
}

#[test]
fn a_stopped_run_is_finalized_with_what_there_is_and_takes_no_completions() {
    let mut world = World::new(3, OnInfraFailure::Continue);
    world.grant(0, session(0));
    let stop =
        Command::Stop { generation: 1, reason: StopReason::FailFast, parked: Some(replica(0)) };
    let elected = FinalizerClaim { replica: Some(replica(0)), generation: 1, epoch: 1 };
    assert_eq!(world.apply(None, &stop), Outcome::Stopped { elected });
    assert_eq!(world.apply(None, &stop), Outcome::Unchanged);
    assert_eq!(world.complete(0, 1, done()), Outcome::RunClosed);
    assert!(world.shards.iter().all(|s| s.state == ShardState::Cancelled));
    assert_eq!(world.run.stop_reason, Some(StopReason::FailFast));
}

#[test]
fn deferred_tests_keep_the_run_open_as_a_new_shard_that_avoids_the_executor() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    world.grant(0, session(0));
    let deferring = Completion::Done { reported_count: 1, deferred: vec![4] };
    let command = Command::Complete {
        session: session(0),
        epoch: LeaseEpoch(1),
        completion: deferring,
        parked: None,
    };
    let decision = decide(&world.run, Some(&world.shards[0]), &command).unwrap();
    let new = NewShard { index: 1, ordinals: vec![4], avoid: Some(session(0)), deferrals: 1 };
    assert_eq!(decision.new_shards, [new]);
    assert_eq!(
        world.apply(Some(0), &command),
        Outcome::Counted { open_shard_count: 1, elected: None }
    );
    assert_eq!(world.apply(Some(0), &command), Outcome::Duplicate);
    world.grant(1, session(1));
    assert!(matches!(world.complete(1, 1, done()), Outcome::Counted { elected: Some(_), .. }));
}

#[test]
fn tests_are_deferred_a_bounded_number_of_times() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    for index in 0..=crate::limits::SHARD_DEFERRALS_MAX as usize {
        world.grant(index, session(0));
        world.complete(index, 1, Completion::Done { reported_count: 0, deferred: vec![4] });
    }
    assert_eq!(world.run.state, RunState::Finalizing);
}

#[test]
fn a_lease_that_ends_before_it_was_announced_is_in_the_log_first() {
    let mut world = World::new(1, OnInfraFailure::Continue);
    world.grant(0, session(0));
    world.complete(0, 1, done());
    assert!(matches!(
        world.log[..],
        [Event::ShardGranted { .. }, Event::ShardDone { .. }, Event::Finalizing { .. }]
    ));
    assert!(world.run.started);
}

#[test]
fn the_picture_in_docs_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol-states.md");
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found != mermaid() {
        std::fs::write(path, mermaid()).expect("docs/ is writable");
        panic!("{path} was out of date; it is written anew: look at it and commit it");
    }
}

/// A step of a random schedule: what, on which shard, with how old an epoch.
fn step() -> impl Strategy<Value = (u8, usize, u64, u8)> {
    (0u8..12, 0usize..4, 0u64..3, 0u8..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn invariants_hold_under_every_schedule(
        steps in proptest::collection::vec(step(), 1..120),
        stop in any::<bool>(),
    ) {
        let policy = if stop { OnInfraFailure::StopRun } else { OnInfraFailure::Continue };
        let mut world = World::new(4, policy);
        for (what, index, age, who) in steps {
            let epoch = LeaseEpoch(world.shards[index].epoch.0.saturating_sub(age));
            let by = session(who);
            let complete = |completion| Command::Complete { session: by, epoch, completion, parked: (who > 0).then(|| replica(who)) };
            let run_epoch = world.run.finalizer_epoch.saturating_sub(u32::try_from(age).unwrap());
            match what {
                0 if !world.run.state.is_terminal() => world.grant(index, by),
                1 => { world.apply(Some(index), &Command::MarkGranted { epoch }); }
                2 => { world.apply(Some(index), &complete(done())); }
                3 => { world.apply(Some(index), &complete(failed())); }
                4 => { world.apply(Some(index), &complete(Completion::HandedBack)); }
                5 => { world.shards[index].running = vec![running(u32::from(who))]; world.apply(Some(index), &Command::Lose { epoch }); }
                6 if who == 0 && age == 2 => { let generation = world.run.generation - u32::from(index == 1 && world.run.generation > 1); world.apply(None, &Command::Abort { generation, reason: "r".into() }); }
                7 => { world.apply(None, &Command::ClaimFinalization { replica: replica(who) }); world.apply(None, &Command::LoseFinalization { generation: world.run.generation - u32::from(age == 2 && world.run.generation > 1), epoch: run_epoch }); }
                8 => { let generation = world.run.generation - u32::from(age == 2 && world.run.generation > 1); world.apply(None, &Command::Close { generation, epoch: run_epoch, verdict: VerdictState::Passed, digest: "d".into() }); }
                9 if age == 1 => { let generation = world.run.generation; world.apply(None, &Command::Stop { generation, reason: StopReason::Deadline, parked: None }); }
                10 => { world.apply(None, &Command::Retry { generation: u32::from(who) + 1, shards: vec![vec![0]; index + 1] }); }
                11 => { world.apply(Some(index), &complete(Completion::Done { reported_count: 1, deferred: vec![1, 2] })); }
                _ => {}
            }
        }
    }
}

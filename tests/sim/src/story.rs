//! What a seed is about: its runs, what people do to them, and the one kind of fault that happens.

use crate::rng::Rng;
use gauntlet_core::protocol::OnInfraFailure;

/// Shards of most runs, and tests of each shard.
const SHARDS: u32 = 8;
const SHARD_TESTS: u32 = 5;
/// Faults start within this time.
const FAULT_START_MS: u64 = 8_000;

/// The run that comes when an executor is dead and nobody knows comes then at the latest.
const ORPHAN_MS: u64 = 150_000;
/// Time after which the last fault is over, and nobody is spared any more because of it.
const CALM_MS: u64 = 42_000;

/// What goes wrong in a schedule besides a little loss and repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    ExecutorKill,
    ExecutorPause,
    ReplicaKill,
    SchedulerKill,
    StoreOutage,
    MessageStorm,
    ClockJump,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::ExecutorKill,
        Self::ExecutorPause,
        Self::ReplicaKill,
        Self::SchedulerKill,
        Self::StoreOutage,
        Self::MessageStorm,
        Self::ClockJump,
    ];
}

/// When somebody does something to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So long after it was admitted.
    After(u64),
    /// As soon as it is seen to be FINALIZING.
    Finalizing,
}

/// One run of a schedule.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    pub(crate) admitted_ms: u64,
    pub(crate) shards: Vec<Vec<u32>>,
    pub(crate) on_infra_failure: OnInfraFailure,
    pub(crate) aborted: Option<Moment>,
    pub(crate) stopped: Option<Moment>,
    pub(crate) retried: bool,
    /// Its tests fail in so many of a hundred attempts.
    pub(crate) failing_percent: u64,
    /// A failed test is tried again, at times by another executor.
    pub(crate) retries: bool,
    /// Its browsers do not start in so many of a hundred leases.
    pub(crate) launch_failure_percent: u64,
    /// Executors die of it in so many of a hundred leases.
    pub(crate) deadly_percent: u64,
    /// Test that kills whoever runs it.
    pub(crate) poison: Option<u32>,
    /// Whoever finalizes it gives up.
    pub(crate) cursed: bool,
    /// Its tests are over at once.
    pub(crate) quick: bool,
}

/// A schedule.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) fault: Fault,
    pub(crate) faults_ms: Vec<u64>,
    pub(crate) runs: Vec<RunPlan>,
    /// When an executor dies that waits for work; the last run comes just before that is noticed.
    pub(crate) orphan_ms: Option<u64>,
}

impl Story {
    pub(crate) fn of(seed: u64, rng: &mut Rng) -> Self {
        let fault = Fault::ALL[usize::try_from(seed % 7).expect("below seven")];
        let mut faults_ms = vec![rng.below(FAULT_START_MS)];
        while rng.percent(40) && faults_ms.len() < 4 {
            faults_ms.push(faults_ms[0] + rng.below(40_000));
        }
        let runs = vec![long_run(rng), long_run(rng)];
        let others = (0..rng.between(1, 4)).map(|_| run(rng)).collect::<Vec<_>>();
        let mut runs = [runs, others].concat();
        let last = faults_ms.iter().copied().max().unwrap_or(0);
        let orphan_ms = rng.percent(45).then(|| last + CALM_MS + rng.below(10_000));
        if orphan_ms.is_some() {
            let orphan = run(rng);
            runs.push(RunPlan {
                admitted_ms: ORPHAN_MS,
                shards: plan(1, 1),
                aborted: None,
                stopped: None,
                ..orphan
            });
        }
        Self { fault, faults_ms, runs, orphan_ms }
    }
}

/// A run that nobody ends before its time, so that every schedule has a length.
fn long_run(rng: &mut Rng) -> RunPlan {
    let on_time = |moment: &Moment| *moment == Moment::Finalizing;
    let RunPlan { aborted, retried, failing_percent, retries, cursed, .. } = run(rng);
    RunPlan {
        admitted_ms: 0,
        shards: plan(SHARDS, SHARD_TESTS),
        on_infra_failure: OnInfraFailure::Continue,
        aborted: aborted.filter(on_time),
        stopped: None,
        retried,
        failing_percent,
        retries,
        launch_failure_percent: 2,
        deadly_percent: 0,
        poison: None,
        cursed,
        quick: false,
    }
}

fn plan(shards: u32, tests: u32) -> Vec<Vec<u32>> {
    (0..shards).map(|shard| (shard * tests..(shard + 1) * tests).collect()).collect()
}

fn run(rng: &mut Rng) -> RunPlan {
    let small = rng.percent(45);
    let shards =
        if small { plan(1 + u32::from(rng.percent(40)), 1) } else { plan(SHARDS, SHARD_TESTS) };
    let moment = |rng: &mut Rng| match rng.below(4) {
        0 => Moment::After(rng.below(60)),
        1 => Moment::Finalizing,
        _ => Moment::After(rng.below(12_000)),
    };
    let aborted = rng.percent(28).then(|| moment(rng));
    let stopped = rng.percent(15).then(|| match rng.below(2) {
        0 => Moment::After(rng.below(60)),
        _ => Moment::After(rng.below(12_000)),
    });
    let unlucky = rng.percent(if small { 20 } else { 8 });
    let deadly = rng.percent(if small { 20 } else { 3 });
    RunPlan {
        admitted_ms: rng.below(25_000),
        shards,
        on_infra_failure: if rng.percent(40) {
            OnInfraFailure::StopRun
        } else {
            OnInfraFailure::Continue
        },
        aborted,
        stopped,
        retried: rng.percent(13),
        failing_percent: if rng.percent(40) { 25 } else { 0 },
        retries: rng.percent(50),
        launch_failure_percent: if unlucky { 70 } else { 2 },
        deadly_percent: if deadly { 85 } else { 0 },
        poison: rng.percent(4).then_some(0),
        cursed: rng.percent(9),
        quick: rng.percent(40),
    }
}

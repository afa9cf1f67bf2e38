//! The product's rules in bounded worlds: nothing is found.

use crate::checked::check;
use crate::reach::find_lockup;
use crate::world::{Budget, Scenario};
use gauntlet_core::protocol::OnInfraFailure;
use gauntlet_tests_model::Rules;

/// A world in which nothing goes wrong but messages.
pub(crate) fn calm() -> Scenario {
    Scenario {
        rules: Rules::Real,
        shards: 1,
        executors: 1,
        finalizers: 1,
        on_infra_failure: OnInfraFailure::Continue,
        infra_attempts: 0,
        defers: false,
        budget: Budget::default(),
    }
}

/// Two shards, two executors; one is reaped while it works.
pub(crate) fn leases() -> Scenario {
    let budget = Budget { reaps: 1, ..Budget::default() };
    Scenario { shards: 2, executors: 2, budget, ..calm() }
}

/// One shard that changes hands: crashes, reaps, failures, hand-backs.
pub(crate) fn hands() -> Scenario {
    let budget = Budget {
        reaps: 1,
        crashes: 1,
        failures: 1,
        hand_backs: 1,
        rollbacks: 1,
        ..Budget::default()
    };
    Scenario { executors: 2, budget, ..calm() }
}

/// Two finalizers that die and expire, an abort and a stop.
pub(crate) fn endings() -> Scenario {
    let budget = Budget {
        finalizer_crashes: 1,
        finalizer_expiries: 2,
        aborts: 1,
        stops: 1,
        ..Budget::default()
    };
    Scenario { finalizers: 2, budget, ..calm() }
}

/// A second generation, with everything late from the first.
pub(crate) fn generations() -> Scenario {
    let budget = Budget { retries: 1, aborts: 1, finalizer_expiries: 1, ..Budget::default() };
    Scenario { budget, ..calm() }
}

/// A test that goes on at another executor.
pub(crate) fn deferral() -> Scenario {
    let budget = Budget { reaps: 1, ..Budget::default() };
    Scenario { executors: 2, defers: true, budget, ..calm() }
}

/// A shard on its last attempt.
pub(crate) fn last_attempt(on_infra_failure: OnInfraFailure) -> Scenario {
    let budget = Budget { reaps: 1, failures: 1, ..Budget::default() };
    Scenario { shards: 2, infra_attempts: 2, on_infra_failure, budget, ..calm() }
}

#[test]
fn probe() {
    for (name, scenario) in [
        ("calm", calm()),
        ("endings", endings()),
        ("generations", generations()),
        ("deferral", deferral()),
        ("last", last_attempt(OnInfraFailure::Continue)),
        ("last_stop", last_attempt(OnInfraFailure::StopRun)),
        ("hands", hands()),
        ("leases", leases()),
    ] {
        let t = std::time::Instant::now();
        check(name, scenario);
        println!("{:?}", t.elapsed());
    }
    let t = std::time::Instant::now();
    println!("{:?} {:?}", find_lockup(&calm()).0, t.elapsed());
}

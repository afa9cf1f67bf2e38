//! The auditor: nothing is found in what results writes, and each invariant that is broken by hand is named.

use super::{FAILED, PASSED, World, attempt};
use crate::store::Judge;
use gauntlet_audit::AuditHandlers;
use gauntlet_core::seal::{Ending, Rest, Sealed};
use gauntlet_proto::v1::{self, audit_service_server::AuditService as _};
use gauntlet_runtime::Lifecycle;
use gauntlet_testkit::wait_until;
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::Request;

impl World {
    /// A generation of five tests, sealed and judged: passed, flaky, failed, errored, not run.
    async fn judged() -> Self {
        let world = Self::start().await;
        let first = [attempt(0, 1, PASSED, true), attempt(1, 1, FAILED, false)];
        world.report(world.fence(0, 1), &first).await;
        world.report(world.fence(0, 2), &[attempt(1, 2, PASSED, true)]).await;
        world.report(world.fence(1, 1), &[attempt(2, 1, FAILED, true)]).await;
        let ending = Ending {
            generation: 1,
            test_count: 5,
            planned: None,
            rest: Rest::Ended { errored: BTreeSet::from([3]), stopped: None },
        };
        let judge = |sealed: &Sealed| {
            v1::Verdict { digest: sealed.digest(), ..Default::default() }.encode_to_vec()
        };
        let judge = (1, &judge as &Judge<'_>);
        world.store.seal_and_judge(world.run_id, &ending, judge).await.unwrap().unwrap();
        world
    }

    /// Returns the invariants that its run breaks, each once.
    async fn broken(&self) -> Vec<String> {
        let request = v1::AuditRunRequest { run_id: self.run_id.to_string() };
        let audit = AuditHandlers::new(self.store.clone()).audit_run(Request::new(request)).await;
        let audit = audit.unwrap().into_inner();
        let mut names: Vec<_> = audit.violations.into_iter().map(|v| v.invariant).collect();
        names.dedup();
        names
    }

    async fn sql(&self, sql: &str) {
        let (client, connection) =
            tokio_postgres::connect(self._database.url(), tokio_postgres::NoTls).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "ends with the client of this test")]
        tokio::spawn(connection);
        let sql = sql.replace("$run", &format!("'{}'", self.run_id));
        client.batch_execute(&format!("SET search_path = results; {sql}")).await.unwrap();
    }
}

#[tokio::test]
async fn the_audit_finds_nothing_in_what_results_writes() {
    assert_eq!(World::judged().await.broken().await, [""; 0]);
    let open = World::start().await;
    open.report(open.fence(0, 1), &[attempt(0, 1, PASSED, true)]).await;
    assert_eq!(open.broken().await, [""; 0]);
}

#[tokio::test]
async fn each_invariant_that_is_broken_by_hand_is_named() {
    let cases: [(&[&str], &str); 11] = [
        // A test in two places of the lists, in none, beside its final attempt, and one that was not planned.
        (&["RN-5"], "UPDATE seals SET errored = '{3,3}' WHERE run_id = $run"),
        (&["RN-5"], "UPDATE seals SET not_run = '{}' WHERE run_id = $run"),
        // The lists go before the attempts, so the digest is another one too.
        (&["RN-5", "FN-2"], "UPDATE seals SET not_run = '{0,4}' WHERE run_id = $run"),
        (&["RN-5"], "UPDATE seals SET not_run = '{4,5}' WHERE run_id = $run"),
        (&["RN-5"], "DELETE FROM seals WHERE run_id = $run"),
        (
            &["SH-3"],
            "ALTER TABLE attempts DROP CONSTRAINT attempts_pkey; DELETE FROM verdicts;
             INSERT INTO attempts SELECT * FROM attempts WHERE run_id = $run AND ordinal = 0;
             UPDATE fences SET row_count = row_count + 1, passed = passed + 1 WHERE run_id = $run AND shard_index = 0",
        ),
        (&["FC-1"], "UPDATE fences SET passed = 0 WHERE run_id = $run AND shard_index = 0"),
        (&["FC-1"], "DELETE FROM fences WHERE run_id = $run AND shard_index = 1"),
        (
            &["FC-1"],
            "INSERT INTO fences (run_id, generation, shard_index, epoch, row_count) VALUES ($run, 1, 7, 1, 1)",
        ),
        // An attempt that changed after the verdict, its fence with it.
        (
            &["FN-2"],
            "UPDATE attempts SET outcome = 3 WHERE run_id = $run AND ordinal = 2;
             UPDATE fences SET failed = 0, timed_out = 1 WHERE run_id = $run AND shard_index = 1",
        ),
        (&["FN-2"], "UPDATE verdicts SET verdict = '\\xffff' WHERE run_id = $run"),
    ];
    for (invariants, damage) in cases {
        let world = World::judged().await;
        world.sql(damage).await;
        assert_eq!(world.broken().await, invariants, "{damage}");
    }
}

#[tokio::test]
async fn the_continuous_audit_finds_what_is_broken_and_forgets_what_was_mended() {
    let world = World::judged().await;
    let handlers = AuditHandlers::new(world.store.clone());
    for (passed, count) in [(0, 1), (1, 0)] {
        let damage =
            format!("UPDATE fences SET passed = {passed} WHERE run_id = $run AND shard_index = 0");
        world.sql(&damage).await;
        let lifecycle = Lifecycle::new();
        // Its first turn is at once.
        lifecycle.spawn("audit", gauntlet_audit::run(world.store.clone(), lifecycle.clone()));
        wait_until(Duration::from_secs(30), "a ledger with the finding", async || {
            let ledger = handlers.audit_ledger(Request::new(v1::AuditLedgerRequest {})).await;
            let ledger = ledger.map_err(|status| format!("{status:?}"))?.into_inner();
            let counted = ledger.invariants.iter().any(|audited| {
                audited.invariant == "FC-1"
                    && audited.run_count > 0
                    && audited.violation_count == count
            });
            let told = ledger.violations.iter().filter(|v| v.invariant == "FC-1").count();
            if counted && i64::try_from(told) == Ok(count) {
                Ok(())
            } else {
                Err(format!("{ledger:?}"))
            }
        })
        .await;
        lifecycle.kill();
    }
}

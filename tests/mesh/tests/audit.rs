//! The auditor: nothing is found in what the services write, and each invariant that is broken by hand is named.

use crate::support::{Mesh, fresh_id};
use gauntlet_proto::v1::{
    self, CompletionKind, RunState, audit_service_client::AuditServiceClient,
};
use gauntlet_rpc::{Peer, Reason, reason_of};
use gauntlet_runtime::Lifecycle;
use gauntlet_testkit::wait_until;
use std::time::Duration;

/// Runs as they are met in life: closed by a verdict after a hand-back, open with its shards leased, aborted.
struct Lives {
    closed: String,
    open: String,
    aborted: String,
}

async fn lives(mesh: &mut Mesh) -> Lives {
    let two = || v1::RunOptions { shards: 2, ..Default::default() };
    let mut executor = mesh.open_session(8).await;
    let closed = mesh.trigger(2, two()).await.run_id;
    for grant in executor.claim(5).await {
        executor.complete(&grant, CompletionKind::HandedBack).await;
    }
    let mut done = 0;
    while done < 2 {
        for grant in executor.claim(5).await {
            executor.complete(&grant, CompletionKind::Done).await;
            done += 1;
        }
    }
    let claim = mesh.claim_finalization(&fresh_id()).await.unwrap();
    mesh.close(&claim, RunState::Passed, 'a').await.unwrap();
    let open = mesh.trigger(2, two()).await.run_id;
    assert!(!executor.claim(5).await.is_empty());
    let aborted = mesh.trigger(1, v1::RunOptions::default()).await.run_id;
    mesh.abort(&aborted).await.unwrap();
    Lives { closed, open, aborted }
}

async fn finalizing(mesh: &mut Mesh) -> String {
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let grant = executor.claim(5).await.remove(0);
    executor.complete(&grant, CompletionKind::Done).await;
    run.run_id
}

/// Returns the invariants that a run breaks, each once.
async fn broken(mesh: &mut Mesh, run_id: &str) -> Vec<String> {
    let request = v1::AuditRunRequest { run_id: run_id.to_owned() };
    let audit = mesh.audit.audit_run(request).await.unwrap().into_inner();
    assert_eq!(audit.invariants.len(), 11, "{audit:?}");
    let mut names: Vec<_> = audit.violations.into_iter().map(|v| v.invariant).collect();
    names.dedup();
    for audited in audit.invariants {
        assert_eq!(audited.violation_count > 0, names.contains(&audited.invariant), "{audited:?}");
    }
    names
}

#[tokio::test]
async fn the_audit_finds_nothing_in_what_the_scheduler_writes() {
    let mut mesh = Mesh::start().await;
    let Lives { closed, open, aborted } = lives(&mut mesh).await;
    for run_id in [closed, open, aborted, finalizing(&mut mesh).await] {
        assert_eq!(broken(&mut mesh, &run_id).await, [""; 0], "{run_id}");
    }
    let nobody = v1::AuditRunRequest { run_id: fresh_id() };
    let refused = mesh.audit.audit_run(nobody).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::RunNotFound));
}

/// Breaks one invariant with SQL and sees it named, and nothing else. Constraints that forbid the damage are dropped first.
async fn seed(mesh: &mut Mesh, run_id: &str, invariant: &str, damage: &str) {
    let sql = mesh.sql().await;
    let damage = damage.replace("$run", &format!("'{run_id}'"));
    let drop_checks = "DO $$ DECLARE c record; BEGIN FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
         WHERE contype = 'c' AND conrelid IN ('runs'::regclass, 'shards'::regclass)
         LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$;
         DROP INDEX IF EXISTS run_events_one_terminal;";
    sql.batch_execute(drop_checks).await.unwrap();
    sql.batch_execute(&damage).await.unwrap();
    assert_eq!(broken(mesh, run_id).await, [invariant], "{damage}");
}

#[tokio::test]
async fn each_invariant_of_a_closed_run_that_is_broken_by_hand_is_named() {
    let mut mesh = Mesh::start().await;
    let last = "(SELECT max(revision) FROM run_events WHERE run_id = $run)";
    let cases = [
        // An event after the end.
        ("RN-1",
            "INSERT INTO run_events (run_id, revision, generation, feed_lane, position, terminal, payload)
             SELECT run_id, revision + 1, generation, feed_lane, nextval('run_event_positions'), false, ''
             FROM run_events WHERE run_id = $run AND terminal;
             UPDATE runs SET revision = revision + 1 WHERE run_id = $run".to_owned()),
        // Another state than the one it ended in.
        ("RN-1", "UPDATE runs SET state = 'FAILED' WHERE run_id = $run".to_owned()),
        ("RN-2", format!(
            "UPDATE run_events SET terminal = false WHERE run_id = $run AND revision = {last}")),
        ("RN-4", "DELETE FROM run_events WHERE run_id = $run AND revision = 2".to_owned()),
        ("RN-4", "UPDATE runs SET revision = revision + 1 WHERE run_id = $run".to_owned()),
        ("SH-1", "UPDATE runs SET open_shard_count = 1 WHERE run_id = $run".to_owned()),
        ("SH-2", "UPDATE shards SET epoch = announced - 1 WHERE run_id = $run AND announced > 0".to_owned()),
        ("FN-1", "UPDATE runs SET verdict = NULL WHERE run_id = $run".to_owned()),
        ("FN-1", "UPDATE runs SET finalizer_epoch = 0 WHERE run_id = $run".to_owned()),
        ("FD-1", format!(
            "UPDATE run_events SET position = -1 WHERE run_id = $run AND revision = {last}")),
    ];
    for (invariant, damage) in cases {
        let run = lives(&mut mesh).await.closed;
        seed(&mut mesh, &run, invariant, &damage).await;
    }
}

#[tokio::test]
async fn each_invariant_of_an_open_run_that_is_broken_by_hand_is_named() {
    let mut mesh = Mesh::start().await;
    let cases = [
        ("SH-1", "UPDATE runs SET open_shard_count = 1 WHERE run_id = $run"),
        ("SH-4", "UPDATE shards SET session_id = NULL WHERE run_id = $run AND shard_index = 0"),
        (
            "RN-2",
            "UPDATE run_events SET terminal = true WHERE run_id = $run AND revision = (SELECT max(revision) FROM run_events WHERE run_id = $run)",
        ),
        ("RN-3", "UPDATE runs SET state = 'FINALIZING' WHERE run_id = $run"),
        ("FN-1", "UPDATE runs SET digest = 'a', verdict = '' WHERE run_id = $run"),
        // Nobody takes back what a session holds that is not there any more; the reaper would, so it is told that it was away.
        (
            "ST-2",
            "UPDATE reaper_ticks SET reap_after = now() + interval '1 hour';
                  UPDATE executor_sessions SET expires_at = now() - interval '61 seconds'",
        ),
    ];
    for (invariant, damage) in cases {
        let run = lives(&mut mesh).await.open;
        seed(&mut mesh, &run, invariant, damage).await;
    }
}

#[tokio::test]
async fn a_run_whose_finalization_stands_still_is_named() {
    let mut mesh = Mesh::start().await;
    let run = finalizing(&mut mesh).await;
    let old =
        "UPDATE run_events SET created_at = now() - interval '61 seconds' WHERE run_id = $run";
    seed(&mut mesh, &run, "ST-1", old).await;
}

#[tokio::test]
async fn the_continuous_audit_finds_what_is_broken_and_forgets_what_was_mended() {
    let mut mesh = Mesh::start().await;
    let run = lives(&mut mesh).await.closed;
    let sql = mesh.sql().await;
    let set = |digest: &str| format!("UPDATE runs SET digest = '{digest}' WHERE run_id = '{run}'");
    sql.batch_execute(&set("other")).await.unwrap();
    for (digest, count) in [("other", 1), (&*"a".repeat(64), 0)] {
        sql.batch_execute(&set(digest)).await.unwrap();
        // Its first turn is at once.
        let lifecycle = Lifecycle::new();
        let endpoint = mesh.another_endpoint(&lifecycle).await;
        let mut audit = AuditServiceClient::new(Peer::connect_lazy(&endpoint).unwrap());
        wait_until(Duration::from_secs(30), "a ledger with the finding", async || {
            let ledger = audit.audit_ledger(v1::AuditLedgerRequest {}).await;
            let ledger = ledger.map_err(|status| format!("{status:?}"))?.into_inner();
            let counted = ledger.invariants.iter().any(|audited| {
                audited.invariant == "RN-1"
                    && audited.run_count > 0
                    && audited.violation_count == count
            });
            let told = ledger.violations.iter().all(|v| v.run_id == run && v.invariant == "RN-1");
            let told = told && ledger.violations.len() as i64 == count;
            if counted && told { Ok(()) } else { Err(format!("{ledger:?}")) }
        })
        .await;
        lifecycle.kill();
    }
}

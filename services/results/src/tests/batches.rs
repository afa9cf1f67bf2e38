//! Promises of the group commit: neighbours in a batch do not harm each other.

use super::{FAILED, PASSED, World, attempt, not_run};
use crate::store::{Done, Entered, Entry, Fence, NewAttempt, Store};
use gauntlet_core::RunId;
use gauntlet_pg::{PgConfig, Pool};
use gauntlet_runtime::ids;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(10);

fn of_run(run_id: RunId, shard_index: i32, epoch: i64) -> Fence {
    Fence { run_id, generation: 1, shard_index, epoch }
}

fn entry(fence: Fence, attempts: &[NewAttempt]) -> Entry {
    Entry { fence, attempts: attempts.to_vec(), ordinals: Vec::new(), stop_after_failures: 0 }
}

fn done(stored_count: usize, acknowledged_count: i32) -> Entered {
    Entered::Done(Done {
        stored_count,
        acknowledged_count,
        tests: Vec::new(),
        stop_after_failures: None,
    })
}

#[tokio::test]
async fn sh3_entries_of_one_batch_are_judged_each_for_itself_and_what_is_twice_counts_once() {
    let world = World::start().await;
    let (other, sealed) = (RunId(ids::v7()), RunId(ids::v7()));
    world.report(of_run(other, 0, 7), &[attempt(0, 1, PASSED, true)]).await;
    world.seal_of(sealed, 1, &not_run()).await.unwrap();
    let first = [attempt(0, 1, FAILED, false), attempt(0, 2, PASSED, true)];
    let batch = [
        entry(world.fence(0, 1), &first),
        entry(of_run(other, 0, 6), &[attempt(1, 1, PASSED, true)]),
        entry(of_run(sealed, 0, 1), &[attempt(0, 1, PASSED, true)]),
        entry(world.fence(0, 1), &first),
        entry(of_run(other, 0, 7), &[attempt(0, 1, PASSED, true), attempt(2, 1, PASSED, true)]),
        entry(world.fence(1, 1), &[attempt(5, 1, PASSED, true)]),
        entry(world.fence(1, 2), &[attempt(6, 1, PASSED, true)]),
    ];
    let entered = world.store.enter_batch(&batch);
    let expected = [
        done(2, 2),
        Entered::LeaseLost,
        Entered::Sealed,
        done(0, 2),
        done(1, 2),
        Entered::LeaseLost,
        done(1, 1),
    ];
    assert_eq!(entered.await.unwrap(), expected.map(Some));
    let progress = world.store.progress(world.run_id, 1).await.unwrap();
    assert_eq!((progress.passed, progress.flaky), (1, 1));
}

#[tokio::test]
async fn an_entry_that_the_store_cannot_take_fails_alone() {
    let world = World::start().await;
    // An outcome that the schema forbids.
    let bad = NewAttempt { outcome: 9, ..attempt(0, 1, PASSED, true) };
    let good = [attempt(0, 1, PASSED, true)];
    let attempts = [vec![bad], good.to_vec(), good.to_vec(), good.to_vec()];
    let reports = (0..)
        .zip(attempts)
        .map(|(index, attempts)| world.ingest.report(world.fence(index, 1), attempts));
    let answers = futures_util::future::join_all(reports).await;
    assert!(answers[0].is_err(), "{answers:?}");
    let stored: usize = answers[1..]
        .iter()
        .map(|answer| match answer {
            Ok(Entered::Done(done)) => done.stored_count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(stored, 1, "the same attempt under three shards is one");
}

#[tokio::test]
async fn a_report_waits_for_the_seal_of_its_own_run_and_for_no_other() {
    let world = World::start().await;
    let sealing = world.hold("SELECT pg_advisory_lock(7431, $1)", world.run_id).await;
    let held_up = world.ingest.report(world.fence(0, 1), vec![attempt(0, 1, PASSED, true)]);
    tokio::pin!(held_up);
    for _ in 0..3 {
        let other = of_run(RunId(ids::v7()), 0, 1);
        let report = world.ingest.report(other, vec![attempt(0, 1, PASSED, true)]);
        tokio::select! {
            biased;
            early = &mut held_up => panic!("stored while its run was being sealed: {early:?}"),
            answer = tokio::time::timeout(WITHIN, report) => {
                assert_eq!(answer.expect("held up by another run").unwrap(), done(1, 1));
            }
        }
    }
    sealing.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    let answer = tokio::time::timeout(WITHIN, held_up).await;
    assert_eq!(answer.expect("the lock is free").unwrap(), done(1, 1));
}

/// Returns how many rows this connection's statements have read and written so far, long values' pieces too.
async fn touched(pool: &Pool) -> i64 {
    let query = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0) + n_tup_ins + n_tup_upd + n_tup_del)::bigint
                 FROM pg_stat_all_tables WHERE schemaname IN ('results', 'pg_toast')";
    // What a connection counted is shown when it says so; there is only one.
    pool.read().query("SELECT pg_stat_force_next_flush()", &[]).await.unwrap();
    pool.read().query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_report_touches_as_many_rows_of_a_run_with_a_thousand_results_as_of_one_with_ten() {
    let world = World::start().await;
    let mut config = PgConfig::from_url(world.url()).unwrap();
    config.pool_size_max = 1;
    let pool = Pool::connect(&config, "test", "results").await.unwrap();
    let store = Store::new(pool.clone());
    let mut costs = Vec::new();
    for report in 0..100 {
        let attempts: Vec<NewAttempt> = (0..10)
            .map(|n| {
                // Nothing that Postgres could make smaller.
                let payload = (0..100).flat_map(|_| ids::v4().into_bytes()).collect();
                NewAttempt { payload, ..attempt(10 * report + n, 1, PASSED, true) }
            })
            .collect();
        let before = touched(&pool).await;
        let entered = store.enter_batch(&[entry(world.fence(0, 1), &attempts)]).await.unwrap();
        assert_eq!(entered, [Some(done(10, 10 * (report + 1)))]);
        costs.push(touched(&pool).await - before);
    }
    assert!(costs[1] >= 10, "nothing was counted: {costs:?}");
    assert_eq!(costs[1], costs[99], "{costs:?}");
}

//! Two transactions that each lock several rows in one statement. Such a statement cannot be stepped through, so a third
//! party holds the row in the middle: both get stuck on their way there, and go on when it lets go. Whoever does not lock in
//! the order of the keys comes from the other end, and the two wait for each other.

use crate::world::{GRANTED, HOLDER, World};
use gauntlet_core::protocol::Command;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

type Work = Pin<Box<dyn Future<Output = String> + Send>>;

/// Starts both works while `lock` holds the middle, lets go, and waits for both ends.
async fn meet(world: &World, lock: &str, works: [Work; 2]) {
    let wedge = world.connect().await;
    wedge.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
    let [a, b] = works;
    #[expect(clippy::disallowed_methods, reason = "ends with this function")]
    let works = tokio::spawn(async move { tokio::join!(a, b) });
    let pids = [world.pids(0), world.pids(1)];
    let begun = Instant::now();
    while !waits(world, &pids[0], None).await || !waits(world, &pids[1], None).await {
        assert!(begun.elapsed() < PATIENCE, "they do not meet at the lock");
    }
    wedge.batch_execute("COMMIT").await.unwrap();
    while !works.is_finished() {
        let ring = waits(world, &pids[0], Some(&pids[1])).await
            && waits(world, &pids[1], Some(&pids[0])).await;
        assert!(!ring, "deadlock: each waits for the other");
        assert!(begun.elapsed() < PATIENCE, "no end");
    }
    let (a, b) = works.await.unwrap();
    assert!(!a.contains("Err") && !b.contains("Err"), "{a} {b}");
}

/// Returns whether some of the backends wait for a lock: of any other, or of these.
async fn waits(world: &World, pids: &[i32], others: Option<&[i32]>) -> bool {
    let query = "SELECT EXISTS (SELECT 1 FROM unnest($1::int[]) AS p (pid)
         WHERE CASE WHEN $2::int[] IS NULL THEN cardinality(pg_blocking_pids(p.pid)) > 0 ELSE pg_blocking_pids(p.pid) && $2 END)";
    world.sql.query_one(query, &[&pids, &others]).await.unwrap().get(0)
}

#[tokio::test]
async fn batches_about_the_same_runs_lock_them_in_ascending_order_however_they_came() {
    let world = World::start().await;
    let runs = [world.runs[0], world.runs[1], world.runs[2]];
    world.aside().admit(&runs.map(|run| (run, "e")), 1).await;
    let abort = |run| (run, None, Command::Abort { generation: 1, reason: "test".to_owned() });
    let work = |side: usize, runs: Vec<_>| -> Work {
        let scheduler = world.scheduler(side);
        Box::pin(async move { scheduler.apply(runs).await })
    };
    let works = [
        work(0, runs.iter().copied().map(abort).collect()),
        work(1, runs.iter().rev().copied().map(abort).collect()),
    ];
    let middle = format!("SELECT 1 FROM runs WHERE run_id = '{}' FOR UPDATE", runs[1]);
    meet(&world, &middle, works).await;
}

#[tokio::test]
async fn a_beat_and_an_abort_lock_the_shards_of_a_session_in_the_same_order() {
    let world = World::start().await;
    let (run, aside) = (world.runs[0], world.aside());
    aside.open_session(HOLDER, 3).await;
    aside.admit(&[(run, "e")], 3).await;
    aside.claim(HOLDER, 3).await;
    let (beat, abort) = (world.scheduler(0), world.scheduler(1));
    let works: [Work; 2] = [
        Box::pin(
            async move { beat.renew(HOLDER, &[2, 1, 0].map(|shard| (run, shard, GRANTED))).await },
        ),
        Box::pin(async move {
            let command = Command::Abort { generation: 1, reason: "test".to_owned() };
            abort.apply(vec![(run, None, command)]).await
        }),
    ];
    let middle = "SELECT 1 FROM shards WHERE shard_index = 1 FOR UPDATE";
    meet(&world, middle, works).await;
}

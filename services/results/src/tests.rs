//! Promises of the store on a real Postgres.

use crate::ingest::Ingest;
use crate::store::{
    Done, Entered, Fence, KnownTest, NewAttempt, Page, PageRequest, Store, StoreError, sql,
};
use gauntlet_core::RunId;
use gauntlet_core::seal::{Ending, Rest, Sealed};
use gauntlet_core::verdict::TestOutcome;
use gauntlet_pg::{PgConfig, Pool, prepare_all};
use gauntlet_proto::v1;
use gauntlet_runtime::{Lifecycle, ids};
use gauntlet_testkit::{TestDatabase, migrations_of, wait_until};
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;

mod artifacts;
mod audit;
mod batches;
mod fail_fast;
mod finalizer;
mod follow;
mod generations;

struct World {
    store: Store,
    ingest: Ingest,
    pool: Pool,
    run_id: RunId,
    _database: TestDatabase,
}

impl World {
    async fn start() -> Self {
        Self::with_lock_timeout(Duration::from_secs(5)).await
    }

    async fn with_lock_timeout(lock_timeout: Duration) -> Self {
        let schema = migrations_of(&["results"]);
        let database = TestDatabase::create("results", &schema, async |url: String| {
            crate::migrate(&url).await.map(|_| ()).map_err(anyhow::Error::from)
        })
        .await;
        let mut config = PgConfig::from_url(database.url()).unwrap();
        config.lock_timeout = lock_timeout;
        let pool = Pool::connect(&config, "test", "results").await.unwrap();
        let store = Store::new(pool.clone());
        store.ensure_partitions().await.unwrap();
        let ingest = Ingest::start(store.clone(), &Lifecycle::new());
        Self { store, ingest, pool, run_id: RunId(ids::v7()), _database: database }
    }

    fn fence(&self, shard_index: i32, epoch: i64) -> Fence {
        Fence { run_id: self.run_id, generation: 1, shard_index, epoch }
    }

    fn url(&self) -> &str {
        self._database.url()
    }

    /// Takes the lock of a run on a connection of its own.
    async fn hold(&self, lock: &str, run_id: RunId) -> tokio_postgres::Client {
        let bytes = run_id.0.as_bytes();
        let key = i32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        let client = self.client().await;
        client.query(lock, &[&key]).await.unwrap();
        client
    }

    async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(self._database.url(), tokio_postgres::NoTls).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "ends with the client of this test")]
        tokio::spawn(connection);
        client.batch_execute("SET search_path = results").await.unwrap();
        client
    }

    async fn seal(&self, test_count: u32, rest: &Rest) -> Result<Sealed, StoreError> {
        self.seal_of(self.run_id, test_count, rest).await
    }

    async fn seal_of(&self, run: RunId, count: u32, rest: &Rest) -> Result<Sealed, StoreError> {
        let judge = |_: &Sealed| Vec::new();
        let ending = ending(1, count, rest);
        let sealed = self.store.seal_and_judge(run, &ending, (1, &judge)).await;
        sealed.map(|sealed| sealed.expect("the newest finalizer"))
    }

    /// Returns how many verdicts are frozen.
    async fn closed_count(&self) -> i64 {
        let query = "SELECT count(*) FROM verdicts WHERE closed";
        self.pool.read().query_one(query, &[]).await.unwrap().get(0)
    }

    /// Stores a verdict as a finalizer of an epoch; returns whether it could.
    async fn judge(&self, finalizer_epoch: i64) -> bool {
        let judge = |_: &Sealed| b"verdict".to_vec();
        let judge = (finalizer_epoch, &judge as &crate::store::Judge<'_>);
        let ending = ending(1, 1, &not_run());
        self.store.seal_and_judge(self.run_id, &ending, judge).await.unwrap().is_some()
    }

    async fn report(&self, fence: Fence, attempts: &[NewAttempt]) -> Entered {
        self.ingest.report(fence, attempts.to_vec()).await.unwrap()
    }

    async fn page(&self, after: i32, size: usize, bytes_max: i64) -> Page {
        self.page_of(1, after, size, bytes_max).await
    }

    async fn page_of(&self, generation: i32, after: i32, size: usize, bytes_max: i64) -> Page {
        let page = PageRequest { run_id: self.run_id, generation, after, size, bytes_max };
        self.store.list_results(page).await.unwrap()
    }

    async fn outcomes(&self, size: usize) -> Vec<TestOutcome> {
        let mut outcomes = Vec::new();
        let mut after = -1;
        loop {
            let page = self.page(after, size, 1024 * 1024).await;
            outcomes.extend(page.results.iter().map(|test| test.outcome));
            match page.results.last() {
                Some(last) if page.more => after = last.ordinal,
                _ => return outcomes,
            }
        }
    }
}

fn ending(generation: i32, test_count: u32, rest: &Rest) -> Ending {
    Ending { generation, test_count, planned: None, rest: rest.clone() }
}

/// Tests without a result were not run.
fn not_run() -> Rest {
    Rest::Ended { errored: BTreeSet::new(), stopped: None }
}

fn attempt(ordinal: i32, attempt: i32, outcome: v1::AttemptOutcome, is_final: bool) -> NewAttempt {
    let message = v1::Attempt {
        ordinal,
        attempt,
        outcome: outcome.into(),
        r#final: is_final,
        ..Default::default()
    };
    NewAttempt {
        ordinal,
        attempt,
        outcome: i16::try_from(i32::from(outcome)).unwrap(),
        is_final,
        payload: message.encode_to_vec(),
    }
}

const PASSED: v1::AttemptOutcome = v1::AttemptOutcome::Passed;
const FAILED: v1::AttemptOutcome = v1::AttemptOutcome::Failed;

#[tokio::test]
async fn every_statement_fits_the_schema_and_finds_its_rows_by_a_key() {
    let world = World::start().await;
    let prepared = prepare_all(&world.pool, sql::ALL).await.unwrap();
    assert_eq!(prepared.len(), sql::ALL.len());
    let small = ["audit_cursors", "audit_findings", "audits", "feed_cursors"];
    let large = prepared.iter().flat_map(|one| one.large_walks(&small)).collect::<Vec<_>>();
    assert!(large.is_empty(), "{large:#?}");
}

#[tokio::test]
async fn sh3_a_duplicate_report_changes_nothing_and_says_so() {
    let world = World::start().await;
    let attempts = [attempt(0, 1, PASSED, true), attempt(1, 1, FAILED, false)];
    let fence = world.fence(0, 1);
    for already in [false, true, true] {
        let Entered::Done(done) = world.report(fence, &attempts).await else { panic!("refused") };
        assert_eq!((done.stored_count == 0, done.acknowledged_count), (already, 2));
    }
    let progress = world.store.progress(world.run_id, 1).await.unwrap();
    assert_eq!((progress.passed, progress.failed), (1, 0), "only final results count, once");
}

#[tokio::test]
async fn b1_b6_a_newer_epoch_shuts_the_older_out_and_finds_what_it_finished() {
    let world = World::start().await;
    let old = world.fence(0, 3);
    let attempts = [attempt(0, 1, PASSED, true), attempt(1, 1, FAILED, false)];
    world.report(old, &attempts).await;
    let opened = world.ingest.open(world.fence(0, 5), vec![2, 1, 0], 0).await.unwrap();
    let known = |ordinal, is_final| KnownTest { ordinal, attempt_count: 1, is_final };
    let tests = vec![known(0, true), known(1, false)];
    assert_eq!(
        opened,
        Entered::Done(Done {
            stored_count: 0,
            acknowledged_count: 2,
            tests,
            stop_after_failures: None
        })
    );
    let late = world.report(old, &[attempt(2, 1, PASSED, true)]).await;
    assert_eq!(late, Entered::LeaseLost);
    assert_eq!(world.ingest.open(old, vec![0], 0).await.unwrap(), Entered::LeaseLost);
    assert_eq!(world.outcomes(10).await, [TestOutcome::Passed]);
}

#[tokio::test]
async fn rn5_once_sealed_every_planned_test_has_one_outcome_and_nothing_can_be_added() {
    let world = World::start().await;
    let fence = world.fence(0, 1);
    let attempts = [
        attempt(0, 1, PASSED, true),
        attempt(1, 1, FAILED, false),
        attempt(1, 2, PASSED, true),
        attempt(2, 1, FAILED, false),
    ];
    world.report(fence, &attempts).await;
    let rest = Rest::Ended { errored: BTreeSet::from([2, 3]), stopped: None };
    let sealed = world.seal(6, &rest).await.unwrap();
    let counts = sealed.counts();
    assert_eq!((counts.passed, counts.flaky, counts.errored, counts.not_run), (1, 1, 2, 2));
    let again = world.seal(6, &rest).await.unwrap();
    assert_eq!((again.digest(), &again), (sealed.digest(), &sealed), "FN-2: recomputable");
    let late = [attempt(5, 1, PASSED, true)];
    for fence in [fence, world.fence(0, 9), world.fence(7, 1)] {
        assert_eq!(world.report(fence, &late).await, Entered::Sealed);
    }
    use TestOutcome::{Errored, Flaky, NotRun, Passed};
    let expected = [Passed, Flaky, Errored, Errored, NotRun, NotRun];
    assert_eq!(world.outcomes(4).await, expected);
    assert_eq!(world.outcomes(100).await, expected);
}

#[tokio::test]
async fn c1_tests_of_an_aborted_run_without_a_result_are_skipped() {
    let world = World::start().await;
    world.report(world.fence(0, 1), &[attempt(1, 1, PASSED, true)]).await;
    world.seal(3, &Rest::Aborted).await.unwrap();
    use TestOutcome::{Passed, Skipped};
    assert_eq!(world.outcomes(10).await, [Skipped, Passed, Skipped]);
    // A finalizer that comes late finds it so, and changes nothing.
    let late = world.seal(3, &not_run()).await.unwrap();
    assert_eq!((late.counts().skipped, late.counts().not_run), (2, 0));
    assert_eq!(world.outcomes(10).await, [Skipped, Passed, Skipped]);
}

#[tokio::test]
async fn a_seal_waits_for_a_report_in_flight_and_counts_it() {
    let world = World::start().await;
    // A report in flight: it holds the shared lock and has not committed.
    let client = world.hold("SELECT pg_advisory_lock_shared(7431, $1)", world.run_id).await;
    let rest = not_run();
    let seal = world.seal(1, &rest);
    tokio::pin!(seal);
    let waiting = wait_until(Duration::from_secs(5), "a waiting seal", async || {
        let query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = 7431 \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let count: i64 = client.query_one(query, &[]).await.unwrap().get(0);
        if count > 0 { Ok(()) } else { Err(count) }
    });
    tokio::select! {
        _ = &mut seal => panic!("sealed while a report was in flight"),
        () = waiting => {}
    }
    let stored = "INSERT INTO results.attempts (run_id, generation, shard_index, epoch, ordinal, attempt, outcome, final, payload) \
                  VALUES ($1, 1, 0, 1, 0, 1, 1, true, '')";
    client.execute(stored, &[&world.run_id.0]).await.unwrap();
    client.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    assert_eq!(seal.await.unwrap().counts().passed, 1);
}

#[tokio::test]
async fn rows_that_got_lost_are_missing_in_the_count() {
    let world = World::start().await;
    let attempts = [attempt(0, 1, PASSED, true), attempt(1, 1, PASSED, true)];
    world.report(world.fence(0, 1), &attempts).await;
    let rest = not_run();
    assert_eq!(world.seal(2, &rest).await.unwrap().row_counts[&0], 2);
    let lose = "DELETE FROM attempts WHERE ordinal = 1";
    world.pool.read().query(lose, &[]).await.unwrap();
    assert_eq!(world.seal(2, &rest).await.unwrap().row_counts[&0], 1);
}

#[tokio::test]
async fn a_verdict_of_an_older_finalizer_or_after_the_close_is_not_stored() {
    let world = World::start().await;
    assert!(world.judge(2).await);
    assert!(!world.judge(1).await);
    assert!(world.judge(3).await);
    world.store.close_verdicts(&[(RunId(ids::v7()), 1), (world.run_id, 1)]).await.unwrap();
    assert!(!world.judge(4).await);
}

#[tokio::test]
async fn two_processes_that_make_the_same_partition_at_once_make_one() {
    let world = World::start().await;
    let (holder, one, two) = (world.client().await, world.client().await, world.client().await);
    let lock = "SELECT pg_advisory_lock(hashtextextended('results.attempts', 0))";
    holder.batch_execute(lock).await.unwrap();
    let make = "SELECT ensure_attempts_of_day('2031-01-01')";
    let both = async { tokio::join!(one.query_one(make, &[]), two.query_one(make, &[])) };
    tokio::pin!(both);
    let waiting = wait_until(Duration::from_secs(10), "both to wait", async || {
        let query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let count: i64 = holder.query_one(query, &[]).await.unwrap().get(0);
        if count == 2 { Ok(()) } else { Err(count) }
    });
    tokio::select! {
        _ = &mut both => panic!("made under somebody else's lock"),
        () = waiting => {}
    }
    holder.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    let (one, two) = both.await;
    let mut made: Vec<bool> = vec![one.unwrap().get(0), two.unwrap().get(0)];
    made.sort_unstable();
    assert_eq!(made, [false, true]);
}

#[tokio::test]
async fn a_report_of_a_run_whose_partition_is_missing_makes_it() {
    let mut world = World::start().await;
    // A UUIDv7 of 2020-09-13: long before the partitions that are kept ready.
    world.run_id = RunId("01748a5e-8c00-7000-8000-000000000001".parse().unwrap());
    let reported = world.report(world.fence(0, 1), &[attempt(0, 1, PASSED, true)]).await;
    assert!(matches!(reported, Entered::Done(_)));
}

#[tokio::test]
async fn a_page_reads_no_more_than_its_bytes_and_leaves_no_test_out() {
    let world = World::start().await;
    // The test 1 is still running; a payload is some bytes more than its executor's name.
    let tests = [
        (0, 1, 400, true),
        (1, 1, 900, false),
        (2, 1, 2_000, true),
        (4, 1, 400, true),
        (5, 1, 400, true),
    ];
    let attempts = tests.map(|(ordinal, number, bytes, is_final)| {
        let message = v1::Attempt {
            ordinal,
            outcome: PASSED.into(),
            executor: "x".repeat(bytes),
            ..Default::default()
        };
        NewAttempt {
            payload: message.encode_to_vec(),
            ..attempt(ordinal, number, PASSED, is_final)
        }
    });
    world.report(world.fence(0, 1), &attempts).await;
    let pages = async || {
        let (mut pages, mut after) = (Vec::new(), -1);
        loop {
            let page = world.page(after, 3, 1_000).await;
            let ordinals: Vec<i32> = page.results.iter().map(|test| test.ordinal).collect();
            after = *ordinals.last().expect("a page has a test");
            pages.push(ordinals);
            if !page.more {
                return pages;
            }
        }
    };
    assert_eq!(pages().await, [vec![0], vec![2], vec![4, 5]]);
    world.seal(7, &Rest::Aborted).await.unwrap();
    assert_eq!(pages().await, [vec![0], vec![1], vec![2], vec![3, 4, 5], vec![6]]);
}

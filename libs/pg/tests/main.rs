//! Claims about transactions, against a real Postgres.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the helpers beside them")]

use gauntlet_pg::{
    Flight, PgConfig, PgError, Pool, SchemaError, Statement, Transaction, Tx, latest_version,
    migrate, params, prepare_all, runner,
};
use gauntlet_testkit::TestDatabase;
use std::{
    error::Error as _,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const SQL: &str =
    "CREATE TABLE items (id int PRIMARY KEY, amount int NOT NULL CHECK (amount >= 0))";
const INSERT: Statement =
    Statement { name: "items/insert", sql: "INSERT INTO items (id, amount) VALUES ($1, $2)" };
const COUNT: &str = "SELECT count(*) FROM items";
const IN_TRANSACTION: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND \
                              pid <> pg_backend_pid() AND state <> 'idle' AND query LIKE '%pg_sleep%'";

struct Store {
    database: TestDatabase,
    pool: Pool,
}

async fn store(label: &str, adapt: impl FnOnce(&mut PgConfig)) -> Store {
    let migrations = || runner(&[("0001_items", SQL)]).unwrap();
    let database = TestDatabase::create(label, SQL, async |url| {
        migrate(&url, "things", migrations()).await?;
        Ok(())
    })
    .await;
    let mut config = PgConfig::from_url(database.url()).unwrap();
    adapt(&mut config);
    let pool = Pool::connect(&config, "pg-tests", "things").await.unwrap();
    Store { database, pool }
}

async fn count(pool: &Pool) -> i64 {
    pool.read().query_one(COUNT, &[]).await.unwrap().get(0)
}

/// Inserts a row and then does what the test wants; counts how often it ran.
struct Insert {
    id: i32,
    amount: i32,
    then: Option<&'static str>,
    runs: AtomicU32,
    fail_runs: u32,
}

impl Insert {
    fn new(id: i32, amount: i32) -> Self {
        Self { id, amount, then: None, runs: AtomicU32::new(0), fail_runs: 0 }
    }

    fn failing(self, runs: u32, then: &'static str) -> Self {
        Self { then: Some(then), fail_runs: runs, ..self }
    }
}

impl Transaction for Insert {
    const LABEL: &'static str = "insert_item";
    type Output = u32;
    type Error = PgError;

    async fn run(&self, tx: &Tx<'_>) -> Result<u32, PgError> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        tx.execute(INSERT, &[&self.id, &self.amount]).await?;
        if let Some(then) = self.then.filter(|_| run <= self.fail_runs) {
            tx.batch(then).await?;
        }
        Ok(run)
    }
}

const RAISE_CONFLICT: &str = "DO $$ BEGIN RAISE EXCEPTION 'race' USING ERRCODE = '40001'; END $$";
const KILL_SELF: &str = "SELECT pg_terminate_backend(pg_backend_pid())";

#[tokio::test]
async fn a_lost_race_is_run_again_and_commits_once() {
    let store = store("retry", |_| {}).await;
    let command = Insert::new(1, 1).failing(2, RAISE_CONFLICT);
    assert_eq!(store.pool.transact(&command).await.unwrap(), 3);
    assert_eq!(count(&store.pool).await, 1);
}

#[tokio::test]
async fn a_race_lost_again_and_again_ends_as_a_conflict() {
    let store = store("conflict", |_| {}).await;
    let command = Insert::new(1, 1).failing(u32::MAX, RAISE_CONFLICT);
    assert!(matches!(store.pool.transact(&command).await, Err(PgError::Conflict { .. })));
    assert_eq!(command.runs.load(Ordering::SeqCst), 6);
    assert_eq!(count(&store.pool).await, 0);
}

#[tokio::test]
async fn a_connection_lost_before_commit_is_replaced_and_the_work_run_again() {
    let store = store("lost", |config| config.pool_size_max = 1).await;
    let command = Insert::new(1, 1).failing(1, KILL_SELF);
    assert_eq!(store.pool.transact(&command).await.unwrap(), 2);
    assert_eq!(count(&store.pool).await, 1);
}

#[tokio::test]
async fn a_transaction_dropped_midway_leaves_the_next_borrower_clean_and_frees_its_locks() {
    let store = store("dropped", |config| config.pool_size_max = 1).await;
    let command = Insert::new(1, 1).failing(1, "SELECT pg_sleep(60)");
    let cut = tokio::time::timeout(Duration::from_millis(300), store.pool.transact(&command)).await;
    assert!(cut.is_err());
    // The same key: it would wait for the abandoned transaction if that still lived.
    let again =
        tokio::time::timeout(Duration::from_secs(5), store.pool.transact(&Insert::new(1, 2))).await;
    assert_eq!(again.expect("the abandoned statement was cancelled").unwrap(), 1);
    assert_eq!(count(&store.pool).await, 1);
}

#[tokio::test]
async fn our_own_time_limit_ends_a_transaction_as_unavailable() {
    let store = store("limit", |config| config.attempt_timeout = Duration::from_millis(300)).await;
    let command = Insert::new(1, 1).failing(1, "SELECT pg_sleep(60)");
    assert!(matches!(
        store.pool.transact(&command).await,
        Err(PgError::Unavailable { source: None, .. })
    ));
    gauntlet_testkit::wait_until(Duration::from_secs(5), "no statement sleeps", async || {
        let sleeping: i64 = store.pool.read().query_one(IN_TRANSACTION, &[]).await.unwrap().get(0);
        if sleeping == 0 { Ok(()) } else { Err(sleeping) }
    })
    .await;
    assert_eq!(count(&store.pool).await, 0);
}

#[tokio::test]
async fn the_server_ends_a_statement_that_takes_too_long() {
    let store =
        store("statement", |config| config.statement_timeout = Duration::from_millis(100)).await;
    let slow = store.pool.read().query("SELECT pg_sleep(60)", &[]).await;
    assert!(matches!(slow, Err(PgError::Unavailable { source: Some(_), .. })), "{slow:?}");
}

/// Writes a row and loses its own connection, the first time that it is run.
const INSERT_AND_DIE: &str = "WITH written AS (INSERT INTO items (id, amount) VALUES (nextval('tries')::int, 1) RETURNING id)
    SELECT CASE WHEN id = 1 THEN pg_terminate_backend(pg_backend_pid()) END FROM written";

#[tokio::test]
async fn a_single_write_whose_connection_is_lost_is_run_again_only_where_that_is_harmless() {
    let store = store("once", |config| config.pool_size_max = 1).await;
    store.pool.read().query("CREATE SEQUENCE tries", &[]).await.unwrap();
    let tries = async || -> i64 {
        store.pool.read().query_one("SELECT last_value FROM tries", &[]).await.unwrap().get(0)
    };
    let lost = store.pool.write_once().query(INSERT_AND_DIE, &[]).await;
    assert!(matches!(lost, Err(PgError::OutcomeUnknown { .. })), "{lost:?}");
    assert_eq!(tries().await, 1, "not run again");
    store.pool.read().query("ALTER SEQUENCE tries RESTART", &[]).await.unwrap();
    store.pool.write_idempotent().query(INSERT_AND_DIE, &[]).await.unwrap();
    assert_eq!((tries().await, count(&store.pool).await), (2, 1));
}

/// Ignores the failure of its own statement.
struct Careless;

impl Transaction for Careless {
    const LABEL: &'static str = "careless";
    type Output = ();
    type Error = PgError;

    async fn run(&self, tx: &Tx<'_>) -> Result<(), PgError> {
        tx.execute(INSERT, &[&1_i32, &1_i32]).await?;
        let _ = tx.batch("SELECT 1 / 0").await;
        Ok(())
    }
}

#[tokio::test]
async fn a_transaction_that_ignores_a_failed_statement_is_not_reported_as_committed() {
    let store = store("careless", |_| {}).await;
    assert!(matches!(store.pool.transact(&Careless).await, Err(PgError::Other { .. })));
    assert_eq!(count(&store.pool).await, 0);
}

/// Sends a count between two inserts, none of them prepared before.
struct Pipelined;

impl Transaction for Pipelined {
    const LABEL: &'static str = "pipelined";
    type Output = (i64, i64);
    type Error = PgError;

    async fn run(&self, tx: &Tx<'_>) -> Result<(i64, i64), PgError> {
        let one: &(dyn gauntlet_pg::ToSql + Sync) = &1;
        let two: &(dyn gauntlet_pg::ToSql + Sync) = &2;
        let count: Statement = COUNT.into();
        tx.query(count, &[]).await?;
        let [_, between, _, after] = tx
            .pipeline([(INSERT, &[one, one]), (count, &[]), (INSERT, &[two, two]), (count, &[])])
            .await?;
        Ok((between[0].get(0), after[0].get(0)))
    }
}

#[tokio::test]
async fn pipelined_statements_run_in_their_order_also_when_only_some_were_prepared() {
    let store = store("pipeline", |_| {}).await;
    assert_eq!(store.pool.transact(&Pipelined).await.unwrap(), (1, 2));
    let refused = store.pool.transact(&Pipelined).await.unwrap_err();
    assert!(matches!(refused, PgError::UniqueViolation { .. }), "the first refusal: {refused:?}");
    assert_eq!(count(&store.pool).await, 2, "and nothing of the rest");
}

/// Locks with its BEGIN, and commits with its last statements.
struct Flights {
    /// The ids to insert, the last two in the flight of the COMMIT.
    ids: [i32; 3],
    /// Whether the connection is lost there.
    dies: bool,
}

impl Transaction for Flights {
    const LABEL: &'static str = "flights";
    type Output = i64;
    type Error = PgError;

    async fn run(&self, tx: &Tx<'_>) -> Result<i64, PgError> {
        let lock: Statement = "SELECT 1 AS one FROM items ORDER BY id FOR UPDATE".into();
        let [.., before] = tx.begin_with([(lock, &[]), (COUNT.into(), &[])]).await?;
        let [first, second, third] = self.ids;
        tx.execute(INSERT, &[&first, &1_i32]).await?;
        let mut flight = Flight::default();
        flight.add(INSERT, params![second, 1_i32]);
        if self.dies {
            flight.add("SELECT pg_terminate_backend(pg_backend_pid())".into(), params![]);
        }
        flight.add(INSERT, params![third, 1_i32]);
        tx.commit_with(&flight).await?;
        Ok(before[0].get(0))
    }
}

#[tokio::test]
async fn what_goes_with_begin_and_commit_is_one_transaction_or_nothing() {
    let store = store("flights", |config| config.pool_size_max = 1).await;
    let flights = |ids, dies| Flights { ids, dies };
    assert_eq!(store.pool.transact(&flights([1, 2, 3], false)).await.unwrap(), 0);
    assert_eq!(store.pool.transact(&flights([4, 5, 6], false)).await.unwrap(), 3);
    let refused = store.pool.transact(&flights([7, 6, 8], false)).await.unwrap_err();
    assert!(matches!(refused, PgError::UniqueViolation { .. }), "{refused:?}");
    assert_eq!(count(&store.pool).await, 6, "a refused statement lets nothing be committed");
    let lost = store.pool.transact(&flights([7, 8, 9], true)).await.unwrap_err();
    assert!(matches!(lost, PgError::OutcomeUnknown { .. }), "COMMIT was sent: {lost:?}");
    assert_eq!(store.pool.transact(&flights([7, 8, 9], false)).await.unwrap(), 6);
    let idle = store.pool.read().query_one(IN_TRANSACTION, &[]).await.unwrap();
    assert_eq!(idle.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn violations_name_their_constraint() {
    let store = store("violations", |_| {}).await;
    store.pool.transact(&Insert::new(1, 1)).await.unwrap();
    let twice = store.pool.transact(&Insert::new(1, 1)).await.unwrap_err();
    assert!(
        matches!(&twice, PgError::UniqueViolation { constraint, .. } if constraint == "items_pkey"),
        "{twice:?}"
    );
    let negative = store.pool.transact(&Insert::new(2, -1)).await.unwrap_err();
    assert!(
        matches!(&negative, PgError::CheckViolation { constraint, .. } if constraint == "items_amount_check"),
        "{negative:?}"
    );
    assert!(negative.source().is_some());
}

/// Loses its own connection while COMMIT is in flight, by a deferred trigger.
struct DieAtCommit;

impl Transaction for DieAtCommit {
    const LABEL: &'static str = "die_at_commit";
    type Output = ();
    type Error = PgError;

    async fn run(&self, tx: &Tx<'_>) -> Result<(), PgError> {
        tx.batch(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER die AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION die()",
        )
        .await?;
        tx.execute(INSERT, &[&1_i32, &1_i32]).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_connection_lost_during_commit_leaves_the_outcome_unknown() {
    let store = store("commit", |_| {}).await;
    let lost = store.pool.transact(&DieAtCommit).await;
    assert!(matches!(lost, Err(PgError::OutcomeUnknown { .. })), "{lost:?}");
    store.pool.transact(&Insert::new(1, 1)).await.unwrap();
}

#[tokio::test]
async fn a_statement_that_does_not_fit_the_schema_is_found_by_name() {
    let store = store("prepare", |_| {}).await;
    let prepared = prepare_all(&store.pool, &[&INSERT]).await.unwrap();
    assert_eq!((prepared[0].name, prepared[0].params.len()), ("items/insert", 2));
    let bad = Statement { name: "items/bad", sql: "SELECT missing FROM items" };
    let refused = prepare_all(&store.pool, &[&INSERT, &bad]).await.unwrap_err();
    assert_eq!(refused.to_string(), "postgres refused (items/bad)");
}

#[tokio::test]
async fn a_service_refuses_a_schema_of_another_version() {
    let store = store("version", |_| {}).await;
    store.pool.check(1).await.unwrap();
    assert!(matches!(
        store.pool.check(2).await,
        Err(SchemaError::Version { found: Some(1), expected: 2, .. })
    ));
    let config = PgConfig::from_url(store.database.url()).unwrap();
    let other = Pool::connect(&config, "pg-tests", "never_migrated").await.unwrap();
    assert!(matches!(other.check(1).await, Err(SchemaError::Version { found: None, .. })));
}

#[tokio::test]
async fn migrators_wait_for_each_other_and_a_second_run_does_nothing() {
    let store = store("migrators", |_| {}).await;
    let files = [("0001_a", "CREATE TABLE a (id int)"), ("0002_b", "CREATE TABLE b (id int)")];
    let both = || migrate(store.database.url(), "fresh", runner(&files).unwrap());
    let (one, two) = tokio::join!(both(), both());
    assert_eq!(one.unwrap() + two.unwrap(), 2);
    let changed = [("0001_a", "CREATE TABLE a (id bigint)"), files[1]];
    let diverged = migrate(store.database.url(), "fresh", runner(&changed).unwrap()).await;
    assert!(matches!(diverged, Err(SchemaError::Migration { .. })));
    assert_eq!(latest_version(&runner(&files).unwrap()), 2);
}

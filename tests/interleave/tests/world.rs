//! A database with both schemas, a run for two transactions to meet at, and what is left of it afterwards.

use crate::pairs::Kind;
use gauntlet_core::protocol::{Command, Completion, StopReason, VerdictState};
use gauntlet_core::{LeaseEpoch, ReplicaId, RunId, SessionId};
use gauntlet_pg::{PgConfig, Pool};
use gauntlet_results::interleave::Transactions as Results;
use gauntlet_runtime::ids;
use gauntlet_scheduler::interleave::Transactions as Scheduler;
use gauntlet_testkit::{TestDatabase, migrations_of};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Grants of the set-up have the first epoch.
pub(crate) const GRANTED: LeaseEpoch = LeaseEpoch(1);
/// The session that holds the leases, and the two that claim.
pub(crate) const HOLDER: SessionId = SessionId(Uuid::from_u128(1));
const CLAIMERS: [SessionId; 2] = [SessionId(Uuid::from_u128(2)), SessionId(Uuid::from_u128(3))];
const REPLICA: ReplicaId = ReplicaId(Uuid::from_u128(4));
const SHARDS: u32 = 2;
/// What the transactions write, referring tables first.
const CLEARED: [&str; 11] = [
    "run_events",
    "shards",
    "runs",
    "executor_sessions",
    "trigger_requests",
    "lanes",
    "orgs",
    "attempts",
    "fences",
    "seals",
    "verdicts",
];

/// Connections of one side: one to each schema.
struct Connections {
    scheduler: Pool,
    results: Pool,
    pids: Vec<i32>,
}

/// Two transactions that meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) kinds: [Kind; 2],
    /// The shard that each is about.
    pub(crate) shards: [u32; 2],
}

pub(crate) struct World {
    pub(crate) sql: Client,
    pub(crate) tables: BTreeSet<String>,
    sides: [Connections; 2],
    aside: Connections,
    /// The run, one more, and two that each side may admit. All are in one lane of the feed.
    pub(crate) runs: [RunId; 6],
    database: TestDatabase,
}

impl World {
    pub(crate) async fn start() -> Self {
        let schema = migrations_of(&["scheduler", "results"]);
        let database = TestDatabase::create("interleave", &schema, async |url: String| {
            gauntlet_scheduler::migrate(&url).await?;
            gauntlet_results::migrate(&url).await?;
            Ok(())
        })
        .await;
        let sql = connect(database.url()).await;
        sql.batch_execute("CREATE SCHEMA saved").await.unwrap();
        let query =
            "SELECT tablename::text FROM pg_tables WHERE schemaname IN ('scheduler', 'results')";
        let tables = sql.query(query, &[]).await.unwrap();
        let tables = tables.iter().map(|row| row.get(0)).collect();
        let url = database.url();
        let sides = [Connections::open(url).await, Connections::open(url).await];
        let aside = Connections::open(url).await;
        aside.results().ensure_partitions().await;
        let runs = [(); 6].map(|()| {
            let mut id = ids::v7().into_bytes();
            id[15] = 0;
            RunId(Uuid::from_bytes(id))
        });
        Self { sql, tables, sides, aside, runs, database }
    }

    /// Opens a connection of a third party.
    pub(crate) async fn connect(&self) -> Client {
        connect(self.database.url()).await
    }

    /// Returns transactions on the connection of a side.
    pub(crate) fn scheduler(&self, side: usize) -> Scheduler {
        self.sides[side].scheduler()
    }

    pub(crate) fn results(&self, side: usize) -> Results {
        self.sides[side].results()
    }

    pub(crate) fn results_aside(&self) -> Results {
        self.aside.results()
    }

    /// Returns transactions on a connection of neither side.
    pub(crate) fn aside(&self) -> Scheduler {
        self.aside.scheduler()
    }

    pub(crate) fn pids(&self, side: usize) -> Vec<i32> {
        self.sides[side].pids.clone()
    }

    /// Makes what the pair needs to have something to do, in tables that are otherwise empty, and saves it.
    pub(crate) async fn set_up(&self, pair: &Pair) {
        self.sql
            .batch_execute(&CLEARED.map(|t| format!("DELETE FROM {t};")).concat())
            .await
            .unwrap();
        let (scheduler, [run, more, ..]) = (self.aside.scheduler(), self.runs);
        let has = |kind| pair.kinds.contains(&kind);
        scheduler.open_session(HOLDER, SHARDS).await;
        for session in CLAIMERS {
            scheduler.open_session(session, 1).await;
        }
        scheduler.admit(&[(run, "e")], SHARDS).await;
        // A claim needs a shard that waits, but a run that is finalized has none.
        let leased = if has(Kind::Claim) && !has(Kind::Close) { 1 } else { SHARDS };
        scheduler.claim(HOLDER, leased).await;
        for shard in 0..leased {
            let granted = Command::MarkGranted { epoch: GRANTED };
            scheduler.apply(vec![(run, Some(shard), granted)]).await;
        }
        if has(Kind::Close) {
            for shard in 0..SHARDS {
                scheduler.apply(vec![(run, Some(shard), done())]).await;
            }
            let claim = Command::ClaimFinalization { replica: REPLICA };
            scheduler.apply(vec![(run, None, claim)]).await;
        }
        // Another run of the lane, with a shard to claim; an abort ends both.
        if has(Kind::Abort) || has(Kind::Claim) && has(Kind::Close) {
            scheduler.admit(&[(more, "e")], 1).await;
        }
        let save = |t: &str| {
            format!("DROP TABLE IF EXISTS saved.{t}; CREATE TABLE saved.{t} AS SELECT * FROM {t};")
        };
        self.sql.batch_execute(&CLEARED.map(save).concat()).await.unwrap();
    }

    /// Brings every table back to where [`World::set_up`] left it.
    pub(crate) async fn restore(&self) {
        let clear = CLEARED.iter().map(|t| format!("DELETE FROM {t};"));
        let fill = CLEARED.iter().rev();
        let fill = fill
            .map(|t| format!("INSERT INTO {t} OVERRIDING SYSTEM VALUE SELECT * FROM saved.{t};"));
        self.sql.batch_execute(&clear.chain(fill).collect::<String>()).await.unwrap();
    }

    /// Returns the work of one side. What is about several rows names them in one order on one side, and in the other on the
    /// other.
    pub(crate) fn work(
        &self,
        pair: &Pair,
        side: usize,
    ) -> Pin<Box<dyn Future<Output = String> + Send>> {
        let (kind, shard) = (pair.kinds[side], pair.shards[side]);
        let (scheduler, results) = (self.sides[side].scheduler(), self.sides[side].results());
        let [run, more, ..] = self.runs;
        let apart = pair.shards[0] != pair.shards[1];
        let shards = if apart { vec![shard] } else { turned(side, (0..SHARDS).collect()) };
        let about_shard = |command| vec![(run, Some(shard), command)];
        let about_run = |command| vec![(run, None, command)];
        let commands = match kind {
            Kind::Admit => {
                let [one, other] = [self.runs[2 + side], self.runs[4 + side]];
                // Two meet in an idle lane and in one that neither finds.
                let new = turned(side, vec![(one, "e"), (other, "new")]);
                return Box::pin(async move { scheduler.admit(&new, 1).await });
            }
            Kind::Claim => {
                return Box::pin(async move { scheduler.claim(CLAIMERS[side], 1).await });
            }
            Kind::Renew => {
                let held: Vec<_> = shards.into_iter().map(|shard| (run, shard, GRANTED)).collect();
                return Box::pin(async move { scheduler.renew(HOLDER, &held).await });
            }
            Kind::Ingest => {
                let shards: Vec<_> = shards.into_iter().map(u32::cast_signed).collect();
                // The same shards twice: their old holder and their new one.
                let epoch = 1 + i64::from(!apart && side == 1);
                return Box::pin(async move { results.ingest(run, &shards, epoch).await });
            }
            Kind::Seal => {
                let epoch = 1 + side as i64;
                return Box::pin(async move { results.seal(run, SHARDS, epoch).await });
            }
            Kind::Reap => about_shard(Command::Lose { epoch: GRANTED }),
            Kind::Complete => about_shard(done()),
            Kind::HandBack => about_shard(completed(Completion::HandedBack)),
            Kind::Abort => {
                let abort = |run| {
                    (run, None, Command::Abort { generation: 1, reason: format!("by {side}") })
                };
                turned(side, vec![abort(run), abort(more)])
            }
            Kind::Stop => {
                let reason = StopReason::Deadline;
                about_run(Command::Stop { generation: 1, reason, parked: None })
            }
            Kind::Close => {
                let verdict = VerdictState::Passed;
                about_run(Command::Close { generation: 1, epoch: 1, verdict, digest: "d".into() })
            }
        };
        Box::pin(async move { scheduler.apply(commands).await })
    }

    /// Returns every row that the two could have written, without times and random ids.
    pub(crate) async fn rows(&self) -> String {
        let query = "SELECT string_agg(t || ' ' || r, E'\\n' ORDER BY t, r) FROM (
            SELECT 'run' AS t, (run_id, state, generation, revision, open_shard_count, shard_count, stop_reason, finalizer_epoch, finalizer_id, digest, reason, verdict, started_at IS NULL, finished_at IS NULL)::text AS r FROM runs
            UNION ALL SELECT 'shard', (run_id, shard_index, state, epoch, announced, session_id, lease_id IS NULL, infra_attempts, running, progress, suspects, poisoned, reported_count, failure_class)::text FROM shards
            UNION ALL SELECT 'event', (run_id, revision, generation, terminal, payload)::text FROM run_events
            UNION ALL SELECT 'lane', (org, environment, pass)::text FROM lanes
            UNION ALL SELECT 'org', (org, pass)::text FROM orgs
            UNION ALL SELECT 'request', (request_id, run_id)::text FROM trigger_requests
            UNION ALL SELECT 'session', (session_id, reaped, draining)::text FROM executor_sessions
            UNION ALL SELECT 'fence', f::text FROM fences AS f
            UNION ALL SELECT 'attempt', (run_id, generation, ordinal, attempt, shard_index, epoch, outcome, final)::text FROM attempts
            UNION ALL SELECT 'seal', (run_id, generation, test_count, skipped, errored, not_run)::text FROM seals
            UNION ALL SELECT 'verdict', v::text FROM verdicts AS v) AS rows";
        self.sql.query_one(query, &[]).await.unwrap().get::<_, Option<_>>(0).unwrap_or_default()
    }

    /// Returns the positions that a reader of the feed sees, by lane.
    pub(crate) async fn feed(&self) -> BTreeMap<i16, BTreeSet<i64>> {
        let query = "SELECT feed_lane, position FROM run_events";
        let mut feed: BTreeMap<i16, BTreeSet<i64>> = BTreeMap::new();
        for row in self.sql.query(query, &[]).await.unwrap() {
            feed.entry(row.get(0)).or_default().insert(row.get(1));
        }
        feed
    }

    /// Returns which invariants do not hold.
    pub(crate) async fn violations(&self) -> Vec<String> {
        let mut violations = self.aside.scheduler().audit(&self.runs).await;
        violations.extend(self.aside.results().audit(&self.runs).await);
        violations
    }
}

async fn connect(url: &str) -> Client {
    let (sql, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the client of this test")]
    tokio::spawn(connection);
    sql.batch_execute("SET search_path = scheduler, results").await.unwrap();
    sql
}

impl Connections {
    async fn open(url: &str) -> Self {
        let mut config = PgConfig::from_url(url).unwrap();
        config.pool_size_max = 1;
        let scheduler = Pool::connect(&config, "interleave", "scheduler").await.unwrap();
        let results = Pool::connect(&config, "interleave", "results").await.unwrap();
        let mut pids = Vec::new();
        for pool in [&scheduler, &results] {
            let row = pool.read().query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
            pids.push(row.get(0));
        }
        Self { scheduler, results, pids }
    }

    fn scheduler(&self) -> Scheduler {
        Scheduler::new(self.scheduler.clone())
    }

    fn results(&self) -> Results {
        Results::new(self.results.clone())
    }
}

/// Returns items in one order for one side, and in the other for the other.
fn turned<T>(side: usize, mut items: Vec<T>) -> Vec<T> {
    if side == 1 {
        items.reverse();
    }
    items
}

fn done() -> Command {
    completed(Completion::Done { reported_count: 1, deferred: Vec::new() })
}

fn completed(completion: Completion) -> Command {
    Command::Complete { session: HOLDER, epoch: GRANTED, completion, parked: Some(REPLICA) }
}

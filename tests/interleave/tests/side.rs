//! One of the two transactions: where it stands, and how it is let go on.

use crate::footprint::Footprint;
use crate::pairs::Kind;
use crate::world::{Pair, World};
use gauntlet_pg::Statement;
use gauntlet_pg::step::{self, Stepper};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// How long a statement may neither end nor be found waiting for a lock.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a statement may take before Postgres is asked whether it waits.
const LOOK_AFTER: Duration = Duration::from_millis(2);

/// Where a side stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Before this statement.
    Before(Statement),
    /// In a statement that waits for the other side.
    Waiting,
    /// At the end, with its answer.
    Done(String),
}

pub(crate) struct Side {
    stepper: Stepper,
    work: JoinHandle<String>,
    /// The backends of its connections.
    pids: Vec<i32>,
    pub(crate) stand: Stand,
    /// What it has touched.
    pub(crate) touched: Footprint,
}

impl Side {
    /// Starts work and waits until it stops before its first statement.
    pub(crate) async fn start(
        work: impl Future<Output = String> + Send + 'static,
        pids: Vec<i32>,
    ) -> Self {
        let (steps, stepper) = step::steps();
        #[expect(clippy::disallowed_methods, reason = "ends with its side")]
        let work = tokio::spawn(steps.of(work));
        let (stand, touched) = (Stand::Waiting, Footprint::default());
        let mut side = Self { stepper, work, pids, stand, touched };
        side.settle(None).await;
        side
    }

    /// Returns what its next statement touches; a COMMIT all that it has touched.
    pub(crate) fn next(&self, tables: &BTreeSet<String>) -> Footprint {
        match &self.stand {
            Stand::Before(statement) if *statement == step::COMMIT => self.touched.clone(),
            Stand::Before(statement) => Footprint::of(*statement, tables),
            Stand::Waiting | Stand::Done(_) => Footprint::default(),
        }
    }

    /// Runs its next statement, until it stops again, ends or waits for the other side.
    pub(crate) async fn step(&mut self, sql: &Client, other: &[i32], tables: &BTreeSet<String>) {
        self.touched.add(&self.next(tables));
        self.stand = Stand::Waiting;
        self.stepper.go_on();
        self.settle(Some((sql, other))).await;
    }

    /// Waits until it is known where it stands. `other` is who it may wait for.
    pub(crate) async fn settle(&mut self, other: Option<(&Client, &[i32])>) {
        let begun = Instant::now();
        while self.stand == Stand::Waiting {
            match tokio::time::timeout(LOOK_AFTER, self.stepper.reached()).await {
                Ok(Some(statement)) => self.stand = Stand::Before(statement),
                Ok(None) => self.stand = Stand::Done((&mut self.work).await.unwrap()),
                Err(_) => {
                    let Some((sql, other)) = other else { continue };
                    if waits(sql, &self.pids, other).await {
                        return;
                    }
                }
            }
            assert!(begun.elapsed() < PATIENCE, "neither an end nor a lock: {:?}", self.stand);
        }
    }

    pub(crate) fn pids(&self) -> Vec<i32> {
        self.pids.clone()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.work.abort();
    }
}

#[tokio::test]
async fn a_side_stands_before_a_statement_once_the_one_sent_with_it_has_ended() {
    let world = World::start().await;
    let pair = Pair { kinds: [Kind::Abort, Kind::Abort], shards: [0, 0] };
    world.set_up(&pair).await;
    let wedge = world.connect().await;
    let lock = "BEGIN; SELECT 1 FROM shards WHERE shard_index = 0 FOR UPDATE";
    wedge.batch_execute(lock).await.unwrap();
    let row = wedge.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    let holder = [row.get(0)];
    let mut side = Side::start(world.work(&pair, 0), world.pids(0)).await;
    // What cancels the shards is sent together with what writes the log, and waits.
    while let Stand::Before(Statement { name, .. }) = side.stand {
        assert_ne!(name, "events/lock_feed_lanes");
        side.step(&world.sql, &holder, &world.tables).await;
    }
    assert_eq!(side.stand, Stand::Waiting);
    wedge.batch_execute("COMMIT").await.unwrap();
    side.settle(Some((&world.sql, &holder))).await;
    assert!(matches!(side.stand, Stand::Before(_)), "{:?}", side.stand);
}

async fn waits(sql: &Client, pids: &[i32], others: &[i32]) -> bool {
    let query = "SELECT EXISTS (SELECT 1 FROM unnest($1::int[]) AS p (pid) WHERE pg_blocking_pids(p.pid) && $2::int[])";
    sql.query_one(query, &[&pids, &others]).await.unwrap().get(0)
}

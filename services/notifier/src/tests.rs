//! Promises of the notifier as a whole: a feed on one side, receivers on the other, a real Postgres in between.

mod deliver;
mod follow;
mod list;

use crate::store::{DeliveryRow, Store};
use crate::{App, Config, Secret};
use gauntlet_core::RunId;
use gauntlet_pg::{PgConfig, Pool};
use gauntlet_proto::v1;
use gauntlet_rpc::{Peer, limited};
use gauntlet_runtime::{Lifecycle, ids};
use gauntlet_testkit::{FakeEventFeed, TestDatabase, migrations_of, wait_until};
use std::time::Duration;
use v1::notifier_service_client::NotifierServiceClient;

const WITHIN: Duration = Duration::from_secs(10);

/// What one test has: a feed and a database, and notifiers between them that come and go.
struct World {
    feed: FakeEventFeed,
    store: Store,
    pool: Pool,
    config: Config,
    lifecycles: Vec<Lifecycle>,
    _database: TestDatabase,
    folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        // A process that is not the gauntlet program has no default yet; a second install is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let schema = migrations_of(&["notifier"]);
        let database = TestDatabase::create("notifier", &schema, async |url: String| {
            crate::migrate(&url).await.map(|_| ()).map_err(anyhow::Error::from)
        })
        .await;
        let pg = PgConfig::from_url(database.url()).unwrap();
        let pool = Pool::connect(&pg, "test", "notifier").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let feed = FakeEventFeed::start().await;
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            scheduler: feed.endpoint().to_owned(),
            secret: Secret::load_or_create(&folder.path().join("secret")).unwrap(),
            allow_loopback: true,
            retry_schedule: vec![Duration::from_millis(1); 3],
            pg,
        };
        let store = Store::new(pool.clone());
        let lifecycles = Vec::new();
        Self { feed, store, pool, config, lifecycles, _database: database, folder }
    }

    /// Starts a notifier as a process would; returns its life and a client of it.
    async fn notifier(&mut self) -> (Lifecycle, NotifierServiceClient<Peer>) {
        let lifecycle = Lifecycle::new();
        self.lifecycles.push(lifecycle.clone());
        let app = App::build(&self.config, &lifecycle).await.unwrap();
        let peer = Peer::connect_lazy(&format!("http://{}", app.addr())).unwrap();
        lifecycle.spawn("notifier", app.run());
        (lifecycle, limited!(NotifierServiceClient::new(peer)))
    }

    /// Publishes the end of a new run that wants `url` to be called.
    fn run_ends(&self, url: &str) -> RunId {
        let run_id = RunId(ids::v7());
        self.feed.publish(ended(run_id, url));
        run_id
    }

    async fn deliveries(&self, run_id: RunId) -> Vec<DeliveryRow> {
        let first = (jiff::Timestamp::UNIX_EPOCH, String::new());
        self.store.list_deliveries(run_id, &first, 10).await.unwrap()
    }

    async fn delivery(&self, run_id: RunId, state: &str) -> DeliveryRow {
        wait_until(WITHIN, state, async || {
            let mut rows = self.deliveries(run_id).await;
            match rows.pop() {
                Some(row) if row.state == state && rows.is_empty() => Ok(row),
                row => Err(row.map(|row| (row.state, row.last_error, rows.len() + 1))),
            }
        })
        .await
    }

    /// Lets everything be due that waits or is held by a process that died.
    async fn time_passes(&self) {
        let sql = "UPDATE deliveries SET next_attempt_at = now() WHERE state = 'PENDING'";
        self.pool.read().query(sql, &[]).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.lifecycles.iter().for_each(Lifecycle::kill);
    }
}

/// The end of a run with three tests: one passed, one flaky, one timed out.
fn ended(run_id: RunId, url: &str) -> v1::RunEvent {
    let counts = v1::OutcomeCounts { passed: 1, flaky: 1, timed_out: 1, ..Default::default() };
    let verdict = v1::Verdict { counts: Some(counts), ..Default::default() };
    let terminal = v1::RunTerminal {
        state: v1::RunState::Failed.into(),
        verdict: Some(verdict),
        callback_url: url.to_owned(),
        test_count: 3,
        ..Default::default()
    };
    v1::RunEvent {
        run_id: run_id.to_string(),
        revision: 9,
        generation: 1,
        create_time: None,
        event: Some(v1::run_event::Event::Terminal(terminal)),
    }
}

//! A mesh for one test: its own database, a real scheduler, and clients to it.

use anyhow::Context as _;
use gauntlet_bus::RedisConfig;
use gauntlet_pg::PgConfig;
use gauntlet_proto::v1::{
    self, audit_service_client::AuditServiceClient,
    event_feed_service_client::EventFeedServiceClient,
    finalization_service_client::FinalizationServiceClient,
    lease_service_client::LeaseServiceClient, scheduler_service_client::SchedulerServiceClient,
};
use gauntlet_rpc::Peer;
use gauntlet_runtime::Lifecycle;
use gauntlet_testkit::{TestDatabase, migrations_of};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

pub(crate) struct Mesh {
    pub(crate) scheduler: SchedulerServiceClient<Peer>,
    pub(crate) leases: LeaseServiceClient<Peer>,
    pub(crate) finalizations: FinalizationServiceClient<Peer>,
    pub(crate) feed: EventFeedServiceClient<Peer>,
    pub(crate) audit: AuditServiceClient<Peer>,
    pub(crate) database: TestDatabase,
    lifecycle: Lifecycle,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.lifecycle.kill();
    }
}

impl Mesh {
    pub(crate) async fn start() -> Self {
        let schema = migrations_of(&["scheduler"]);
        let database = TestDatabase::create("mesh", &schema, async |url: String| {
            gauntlet_scheduler::migrate(&url).await.map(|_| ()).map_err(anyhow::Error::from)
        })
        .await;
        // The database is a clone of an old template: without a fresh tick the first lease time would be a grace period.
        let tick = "UPDATE scheduler.reaper_ticks SET touched_at = now(), reap_after = now()";
        connect_sql(database.url()).await.batch_execute(tick).await.unwrap();
        let lifecycle = Lifecycle::new();
        let endpoint = start_scheduler(database.url(), &lifecycle).await.unwrap();
        Self::connect(&endpoint, database, lifecycle)
    }

    fn connect(endpoint: &str, database: TestDatabase, lifecycle: Lifecycle) -> Self {
        let peer = Peer::connect_lazy(endpoint).unwrap();
        Self {
            scheduler: SchedulerServiceClient::new(peer.clone()),
            leases: LeaseServiceClient::new(peer.clone()),
            finalizations: FinalizationServiceClient::new(peer.clone()),
            feed: EventFeedServiceClient::new(peer.clone()),
            audit: AuditServiceClient::new(peer),
            database,
            lifecycle,
        }
    }

    /// Starts another scheduler on the same database, as a restart or a second replica would.
    pub(crate) async fn another_scheduler(
        &self,
        lifecycle: &Lifecycle,
    ) -> SchedulerServiceClient<Peer> {
        let endpoint = self.another_endpoint(lifecycle).await;
        SchedulerServiceClient::new(Peer::connect_lazy(&endpoint).unwrap())
    }

    /// Starts another scheduler and returns where it listens.
    pub(crate) async fn another_endpoint(&self, lifecycle: &Lifecycle) -> String {
        start_scheduler(self.database.url(), lifecycle).await.unwrap()
    }

    pub(crate) async fn sql(&self) -> Client {
        connect_sql(self.database.url()).await
    }

    pub(crate) async fn import(&mut self, count: usize) -> Vec<String> {
        let recordings = (0..count).map(|n| recording(&format!("test {n:04}"))).collect();
        let request = v1::ImportTestsRequest { recordings, ..Default::default() };
        let tests = self.scheduler.import_tests(request).await.unwrap().into_inner().tests;
        tests.into_iter().map(|test| test.test_id).collect()
    }

    /// Imports `tests` tests and triggers a run of them.
    pub(crate) async fn trigger(&mut self, tests: usize, options: v1::RunOptions) -> v1::Run {
        let test_ids = self.import(tests).await;
        let selection = v1::TestSelection { test_ids, ..Default::default() };
        let request = v1::TriggerRunRequest {
            selection: Some(selection),
            options: Some(options),
            ..Default::default()
        };
        self.scheduler.trigger_run(request).await.unwrap().into_inner().run.unwrap()
    }

    pub(crate) async fn run(&mut self, run_id: &str) -> v1::Run {
        let request = v1::GetRunRequest { run_id: run_id.to_owned() };
        self.scheduler.get_run(request).await.unwrap().into_inner().run.unwrap()
    }

    pub(crate) async fn abort(&mut self, run_id: &str) -> Result<v1::Run, tonic::Status> {
        self.abort_generation(run_id, 1).await
    }

    pub(crate) async fn abort_generation(
        &mut self,
        run_id: &str,
        generation: i32,
    ) -> Result<v1::Run, tonic::Status> {
        let (run_id, reason) = (run_id.to_owned(), "test".into());
        let request = v1::AbortRunRequest { run_id, reason, generation };
        self.scheduler.abort_run(request).await.map(|r| r.into_inner().run.unwrap())
    }

    pub(crate) async fn open_session(&mut self, slots: i32) -> Executor {
        self.open_session_that(slots, false).await
    }

    /// Opens a session of an executor that films and keeps egress policies, or does neither.
    pub(crate) async fn open_session_that(&mut self, slots: i32, able: bool) -> Executor {
        let session_id = fresh_id();
        let request = v1::OpenSessionRequest {
            session_id: session_id.clone(),
            name: "scripted".into(),
            protocol_version: 2,
            browsers: vec![v1::Browser::Chromium.into()],
            slots,
            films: able,
            filters_egress: able,
            attributes: vec!["sandbox-off".to_owned()],
        };
        self.leases.open_session(request).await.unwrap();
        Executor { session_id, slots, leases: self.leases.clone() }
    }

    /// Claims one finalization, waiting for it.
    pub(crate) async fn claim_finalization(
        &mut self,
        replica_id: &str,
    ) -> Option<v1::FinalizationClaim> {
        let request = v1::ClaimFinalizationsRequest {
            replica_id: replica_id.to_owned(),
            claims_max: 8,
            poll_timeout: Some(seconds(5)),
        };
        let claims = self.finalizations.claim_finalizations(request).await.unwrap().into_inner();
        claims.claims.into_iter().next()
    }

    pub(crate) async fn close(
        &mut self,
        claim: &v1::FinalizationClaim,
        state: v1::RunState,
        digest: char,
    ) -> Result<v1::CloseRunResponse, tonic::Status> {
        let verdict = v1::Verdict {
            state: state.into(),
            digest: digest.to_string().repeat(64),
            ..Default::default()
        };
        let request = v1::CloseRunRequest {
            run_id: claim.run_id.clone(),
            generation: claim.generation,
            finalizer_epoch: claim.finalizer_epoch,
            verdict: Some(verdict),
        };
        self.finalizations.close_run(request).await.map(tonic::Response::into_inner)
    }

    /// Returns every event of the run's log.
    pub(crate) async fn events(&self, run_id: &str) -> Vec<v1::RunEvent> {
        use prost::Message as _;
        let run_id: Uuid = run_id.parse().unwrap();
        let sql = self.sql().await;
        let query = "SELECT payload FROM run_events WHERE run_id = $1 ORDER BY revision";
        let rows = sql.query(query, &[&run_id]).await.unwrap();
        rows.iter().map(|row| v1::RunEvent::decode(row.get::<_, &[u8]>(0)).unwrap()).collect()
    }

    pub(crate) async fn terminal_events(&self, run_id: &str) -> usize {
        let terminal =
            |e: &v1::RunEvent| matches!(e.event, Some(v1::run_event::Event::Terminal(_)));
        self.events(run_id).await.iter().filter(|e| terminal(e)).count()
    }
}

/// A scripted executor.
#[derive(Clone)]
pub(crate) struct Executor {
    pub(crate) session_id: String,
    pub(crate) slots: i32,
    pub(crate) leases: LeaseServiceClient<Peer>,
}

impl Executor {
    pub(crate) async fn claim(&mut self, wait_s: u64) -> Vec<v1::ShardGrant> {
        let request = v1::ClaimShardsRequest {
            session_id: self.session_id.clone(),
            free_slots: self.slots,
            poll_timeout: Some(seconds(wait_s)),
        };
        self.leases.claim_shards(request).await.unwrap().into_inner().grants
    }

    pub(crate) async fn complete(
        &mut self,
        grant: &v1::ShardGrant,
        kind: v1::CompletionKind,
    ) -> v1::CompletionResult {
        self.complete_deferring(grant, kind, &[]).await
    }

    pub(crate) async fn complete_deferring(
        &mut self,
        grant: &v1::ShardGrant,
        kind: v1::CompletionKind,
        deferred: &[i32],
    ) -> v1::CompletionResult {
        let completion = v1::ShardCompletion {
            run_id: grant.run_id.clone(),
            shard_index: grant.shard_index,
            epoch: grant.epoch,
            kind: kind.into(),
            reported_count: i32::try_from(grant.tests.len()).unwrap(),
            failure_class: "BROWSER_LAUNCH".into(),
            message: String::new(),
            deferred_ordinals: deferred.to_vec(),
        };
        let request = v1::CompleteShardsRequest {
            session_id: self.session_id.clone(),
            completions: vec![completion],
        };
        let outcomes = self.leases.complete_shards(request).await.unwrap().into_inner().outcomes;
        outcomes[0].result()
    }

    pub(crate) async fn renew(
        &mut self,
        held: &[&v1::ShardGrant],
        running: &[i32],
    ) -> Result<v1::RenewLeasesResponse, tonic::Status> {
        let held = held.iter().map(|grant| v1::HeldLease {
            run_id: grant.run_id.clone(),
            shard_index: grant.shard_index,
            epoch: grant.epoch,
            running_ordinals: Vec::new(),
            running: running.iter().copied().map(running_test).collect(),
        });
        let request = v1::RenewLeasesRequest {
            session_id: self.session_id.clone(),
            held: held.collect(),
            draining: false,
        };
        self.leases.renew_leases(request).await.map(tonic::Response::into_inner)
    }
}

/// A test in its second try, at its fourth step.
pub(crate) fn running_test(ordinal: i32) -> v1::RunningTest {
    v1::RunningTest { ordinal, attempt: 2, step_index: 3 }
}

/// Returns an id that nobody has.
pub(crate) fn fresh_id() -> String {
    gauntlet_runtime::ids::v4().to_string()
}

pub(crate) fn seconds(seconds: u64) -> pbjson_types::Duration {
    gauntlet_proto::edge::wire_duration(Duration::from_secs(seconds))
}

pub(crate) fn recording(title: &str) -> v1::Recording {
    let content = serde_json::json!({
        "title": title,
        "steps": [{"type": "navigate", "url": "http://127.0.0.1:1/"}],
    });
    v1::Recording {
        file: format!("{}.json", title.replace(' ', "-")),
        content: content.to_string().into_bytes(),
        tags: vec![],
    }
}

/// Returns the key that all schedulers of these tests have.
fn secrets_key() -> anyhow::Result<gauntlet_scheduler::SecretsKey> {
    let file = gauntlet_testkit::key_file(Path::new(env!("CARGO_TARGET_TMPDIR")), "gkey_");
    Ok(gauntlet_scheduler::SecretsKey::load(Path::new(&file))?)
}

async fn start_scheduler(pg_url: &str, lifecycle: &Lifecycle) -> anyhow::Result<String> {
    let config = gauntlet_scheduler::Config {
        listen: "127.0.0.1:0".parse()?,
        pg: PgConfig::from_url(pg_url)?,
        redis: RedisConfig::off(),
        secrets_key: Some(secrets_key()?),
    };
    let app = gauntlet_scheduler::App::build(&config, lifecycle).await.context("scheduler")?;
    let endpoint = format!("http://{}", app.addr());
    lifecycle.spawn("scheduler", app.run());
    Ok(endpoint)
}

async fn connect_sql(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the client of this test")]
    tokio::spawn(connection);
    client.batch_execute("SET search_path = scheduler").await.unwrap();
    client
}

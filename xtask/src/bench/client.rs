//! What the generator asks of the mesh, as a user would: through the gateway.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gauntlet_proto::v1::{self, scheduler_service_client::SchedulerServiceClient};
use gauntlet_rpc::{Peer, with_deadline};
use gauntlet_runtime::ids;
use gauntlet_testkit::scripted::Script;
use std::time::Duration;
use uuid::Uuid;

/// Recordings of one import, by contract.
const IMPORT_RECORDINGS_MAX: u32 = 1_000;
/// Imports at once.
const IMPORTS: usize = 2;
/// How long a large import or trigger may take.
const LARGE_CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A user of the mesh. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    scheduler: SchedulerServiceClient<Peer>,
}

/// A run to trigger: all tests of a project.
pub(crate) struct NewRun<'a> {
    pub(crate) project: &'a str,
    pub(crate) shards: u32,
    /// Slots that a shard costs.
    pub(crate) workers: u32,
    pub(crate) script: &'a Script,
}

impl Client {
    pub(crate) fn new(gateway: &str) -> anyhow::Result<Self> {
        Ok(Self { scheduler: SchedulerServiceClient::new(Peer::connect_lazy(gateway)?) })
    }

    /// Returns how many executors are connected; fails until the mesh serves.
    pub(crate) async fn executors(&self) -> anyhow::Result<usize> {
        let reply = self.scheduler.clone().list_executors(v1::ListExecutorsRequest {}).await?;
        Ok(reply.into_inner().executors.len())
    }

    /// Stores tests in a project of their own.
    pub(crate) async fn import(&self, project: &str, tests: u32) -> anyhow::Result<()> {
        let firsts = (0..tests).step_by(IMPORT_RECORDINGS_MAX as usize);
        let imports = stream::iter(firsts).map(|first| async move {
            let last = tests.min(first + IMPORT_RECORDINGS_MAX);
            let recordings = (first..last).map(recording).collect();
            let request =
                v1::ImportTestsRequest { project: project.to_owned(), recordings, draft: false };
            let request = with_deadline(request, LARGE_CALL_TIMEOUT);
            self.scheduler.clone().import_tests(request).await.map(drop)
        });
        imports.buffer_unordered(IMPORTS).try_collect::<()>().await.context("import")
    }

    /// Triggers a run and returns its id.
    pub(crate) async fn trigger(&self, run: &NewRun<'_>) -> anyhow::Result<Uuid> {
        let options = v1::RunOptions {
            shards: i32::try_from(run.shards)?,
            workers: i32::try_from(run.workers)?,
            variables: run.script.variables(),
            ..v1::RunOptions::default()
        };
        let request = v1::TriggerRunRequest {
            request_id: ids::v4().to_string(),
            project: run.project.to_owned(),
            options: Some(options),
            ..v1::TriggerRunRequest::default()
        };
        let request = with_deadline(request, LARGE_CALL_TIMEOUT);
        let reply = self.scheduler.clone().trigger_run(request).await.context("trigger")?;
        Ok(reply.into_inner().run.unwrap_or_default().run_id.parse()?)
    }

    /// Watches a run and returns how it ended, once its terminal event is here.
    pub(crate) async fn watch(&self, run_id: Uuid) -> anyhow::Result<v1::RunState> {
        let request = v1::WatchRunRequest { run_id: run_id.to_string(), after_revision: 0 };
        let mut updates = self.scheduler.clone().watch_run(request).await?.into_inner();
        while let Some(message) = updates.message().await? {
            if let Some(v1::watch_run_response::Update::Event(event)) = message.update
                && let Some(v1::run_event::Event::Terminal(terminal)) = event.event
            {
                return Ok(terminal.state());
            }
        }
        anyhow::bail!("the watch of run {run_id} ended before the run")
    }

    /// Aborts a run.
    pub(crate) async fn abort(&self, run_id: Uuid) -> anyhow::Result<()> {
        let (run_id, reason) = (run_id.to_string(), "bench".into());
        let request = v1::AbortRunRequest { run_id, reason, generation: 1 };
        self.scheduler.clone().abort_run(request).await.context("abort").map(drop)
    }
}

fn recording(number: u32) -> v1::Recording {
    let content = serde_json::json!({
        "title": format!("test {number}"),
        "steps": [{"type": "navigate", "url": "http://127.0.0.1:1/"}],
    });
    v1::Recording {
        file: format!("{number:06}.json"),
        content: content.to_string().into_bytes(),
        tags: Vec::new(),
    }
}

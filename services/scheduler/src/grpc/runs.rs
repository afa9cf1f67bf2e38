//! Handlers of runs, and the mount of `SchedulerService`.

use super::convert::{self, page_key, page_token};
use super::error::CallError;
use super::{Handlers, catalog, environments, requests, watch};
use crate::events::wire_state;
use crate::{abort, admit, retry};
use gauntlet_core::RunId;
use gauntlet_core::protocol::RunState;
use gauntlet_proto::edge;
use gauntlet_proto::v1::{self, scheduler_service_server::SchedulerService};
use gauntlet_rpc::{invalid_fields, status};
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

#[tonic::async_trait]
impl SchedulerService for Handlers {
    async fn import_tests(
        &self,
        request: Request<v1::ImportTestsRequest>,
    ) -> Result<Response<v1::ImportTestsResponse>, Status> {
        catalog::import_tests(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_tests(
        &self,
        request: Request<v1::ListTestsRequest>,
    ) -> Result<Response<v1::ListTestsResponse>, Status> {
        catalog::list_tests(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_test_revision(
        &self,
        request: Request<v1::GetTestRevisionRequest>,
    ) -> Result<Response<v1::GetTestRevisionResponse>, Status> {
        catalog::get_test_revision(self, request.into_inner()).await.map(Response::new)
    }

    async fn put_environment(
        &self,
        request: Request<v1::PutEnvironmentRequest>,
    ) -> Result<Response<v1::PutEnvironmentResponse>, Status> {
        environments::put(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_environments(
        &self,
        request: Request<v1::ListEnvironmentsRequest>,
    ) -> Result<Response<v1::ListEnvironmentsResponse>, Status> {
        environments::list(self, request.into_inner()).await.map(Response::new)
    }

    async fn trigger_run(
        &self,
        request: Request<v1::TriggerRunRequest>,
    ) -> Result<Response<v1::TriggerRunResponse>, Status> {
        let traceparent = gauntlet_rpc::current_traceparent();
        let new = requests::trigger_run(request.into_inner(), traceparent);
        let new = new.map_err(|v| invalid_fields(&v))?;
        let run_id = admit::admit(&self.store, &self.dispatcher, &self.vault, new).await;
        let run_id = run_id.map_err(|e| status(&e))?;
        let run = Some(self.run(run_id).await?);
        Ok(Response::new(v1::TriggerRunResponse { run }))
    }

    async fn get_run(
        &self,
        request: Request<v1::GetRunRequest>,
    ) -> Result<Response<v1::GetRunResponse>, Status> {
        let run = Some(self.run(run_id(&request.into_inner().run_id)?).await?);
        Ok(Response::new(v1::GetRunResponse { run }))
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        self.list_runs(request.into_inner()).await.map(Response::new)
    }

    async fn list_planned_tests(
        &self,
        request: Request<v1::ListPlannedTestsRequest>,
    ) -> Result<Response<v1::ListPlannedTestsResponse>, Status> {
        self.list_planned_tests(request.into_inner()).await.map(Response::new)
    }

    async fn abort_run(
        &self,
        request: Request<v1::AbortRunRequest>,
    ) -> Result<Response<v1::AbortRunResponse>, Status> {
        let abort = requests::abort_run(request.into_inner()).map_err(|v| invalid_fields(&v))?;
        let run_id = abort.run_id;
        abort::abort(&self.store, &self.committer, abort).await.map_err(|e| status(&e))?;
        Ok(Response::new(v1::AbortRunResponse { run: Some(self.run(run_id).await?) }))
    }

    async fn retry_run(
        &self,
        request: Request<v1::RetryRunRequest>,
    ) -> Result<Response<v1::RetryRunResponse>, Status> {
        let retry = requests::retry_run(request.into_inner()).map_err(|v| invalid_fields(&v))?;
        let run_id = retry.run_id;
        retry::retry(&self.store, &self.committer, retry).await.map_err(|e| status(&e))?;
        Ok(Response::new(v1::RetryRunResponse { run: Some(self.run(run_id).await?) }))
    }

    type WatchRunStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchRunResponse, Status>> + Send + 'static>>;

    async fn watch_run(
        &self,
        request: Request<v1::WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        watch::watch_run(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_executors(
        &self,
        _request: Request<v1::ListExecutorsRequest>,
    ) -> Result<Response<v1::ListExecutorsResponse>, Status> {
        let rows = self.store.list_sessions().await;
        let rows = rows.map_err(|error| status(&CallError::Store(error)))?;
        let executors = rows.into_iter().map(|row| v1::ExecutorSession {
            session_id: row.session.to_string(),
            name: row.name,
            slots: row.slots,
            browsers: row
                .browsers
                .iter()
                .filter_map(|b| admit::browser_of(b))
                .map(i32::from)
                .collect(),
            leased_shard_count: row.leased_shard_count,
            draining: row.draining,
            expire_time: Some(edge::timestamp(row.expires_at)),
            attributes: row.attributes,
        });
        Ok(Response::new(v1::ListExecutorsResponse { executors: executors.collect() }))
    }
}

/// Parses a run's id.
pub(crate) fn run_id(text: &str) -> Result<RunId, Status> {
    edge::uuid("run_id", text).map(RunId).map_err(|v| invalid_fields(&[v]))
}

impl Handlers {
    /// Returns a run as the contract shows it.
    pub(crate) async fn run(&self, run_id: RunId) -> Result<v1::Run, Status> {
        let store = |error| status(&CallError::Store(error));
        let view = self.store.find_run(run_id).await.map_err(store)?;
        let view = view.ok_or_else(|| status(&CallError::NoSuchRun(run_id)))?;
        let offered = if view.queued_browsers.is_empty() {
            Vec::new()
        } else {
            self.store.offered_browsers().await.map_err(store)?
        };
        Ok(convert::run(view, &offered))
    }

    async fn list_runs(
        &self,
        request: v1::ListRunsRequest,
    ) -> Result<v1::ListRunsResponse, Status> {
        let size = edge::page_size(request.page_size).map_err(|v| invalid_fields(&[v]))?;
        let wanted: Vec<v1::RunState> = request.states().collect();
        let states: Vec<&str> = RunState::ALL
            .into_iter()
            .filter(|state| wanted.contains(&wire_state(*state)))
            .map(RunState::name)
            .collect();
        let filter: Vec<&str> =
            std::iter::once(request.project.as_str()).chain(states.iter().copied()).collect();
        let key = page_key(&filter, &request.page_token, 1).map_err(|error| status(&error))?;
        let before = match key {
            Some(key) => run_id(&key[0])?,
            None => RunId(Uuid::max()),
        };
        let store = |error| status(&CallError::Store(error));
        let rows = self.store.list_runs(&request.project, &states, before, size + 1).await;
        let mut rows = rows.map_err(store)?;
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more);
        let next_page_token =
            next.map(|row| page_token(&filter, vec![row.run_id.to_string()])).unwrap_or_default();
        let offered = self.store.offered_browsers().await.map_err(store)?;
        let runs = rows.into_iter().map(|row| convert::run(row, &offered)).collect();
        Ok(v1::ListRunsResponse { runs, next_page_token })
    }

    async fn list_planned_tests(
        &self,
        request: v1::ListPlannedTestsRequest,
    ) -> Result<v1::ListPlannedTestsResponse, Status> {
        let run_id = run_id(&request.run_id)?;
        let size = edge::page_size(request.page_size).map_err(|v| invalid_fields(&[v]))?;
        let filter = [request.run_id.as_str()];
        let key = page_key(&filter, &request.page_token, 1).map_err(|error| status(&error))?;
        let after = key.map_or(Ok(-1), |key| key[0].parse::<i32>());
        let after = after.map_err(|_| status(&CallError::PageToken))?;
        let store = |error| status(&CallError::Store(error));
        let planned = self.store.list_planned_tests(run_id, after, size + 1).await;
        let mut tests = planned.map_err(store)?;
        if tests.is_empty() && self.store.find_run(run_id).await.map_err(store)?.is_none() {
            return Err(status(&CallError::NoSuchRun(run_id)));
        }
        let more = tests.len() > size;
        tests.truncate(size);
        let next = tests.last().filter(|_| more);
        let next_page_token =
            next.map(|t| page_token(&filter, vec![t.ordinal.to_string()])).unwrap_or_default();
        Ok(v1::ListPlannedTestsResponse { tests, next_page_token })
    }
}

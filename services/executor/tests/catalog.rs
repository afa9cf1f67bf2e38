//! The scheduler's catalog: gives out recordings and nothing else.

use crate::mesh::{Mesh, scripted};
use gauntlet_proto::v1::{self, scheduler_service_server::SchedulerService};
use gauntlet_rpc::Reason;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

macro_rules! not_here {
    ($($method:ident: $request:ident => $response:ident;)*) => {$(
        fn $method<'s, 'f>(&'s self, _: Request<v1::$request>)
            -> Pin<Box<dyn Future<Output = Result<Response<v1::$response>, Status>> + Send + 'f>>
        where 's: 'f, Self: 'f {
            Box::pin(async { Err(scripted(Reason::Internal)) })
        }
    )*};
}

impl SchedulerService for Mesh {
    type WatchRunStream = Pin<Box<dyn Stream<Item = Result<v1::WatchRunResponse, Status>> + Send>>;

    fn get_test_revision<'s, 'f>(
        &'s self,
        request: Request<v1::GetTestRevisionRequest>,
    ) -> Pin<
        Box<dyn Future<Output = Result<Response<v1::GetTestRevisionResponse>, Status>> + Send + 'f>,
    >
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let hash = request.into_inner().revision_hash;
            let content = self.set(|s| s.recordings.get(&hash).cloned());
            let content = content.ok_or_else(|| scripted(Reason::TestNotFound))?;
            Ok(Response::new(v1::GetTestRevisionResponse { content, file: "test.json".to_owned() }))
        })
    }

    fn watch_run<'s, 'f>(
        &'s self,
        _: Request<v1::WatchRunRequest>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Self::WatchRunStream>, Status>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async { Err(scripted(Reason::Internal)) })
    }

    not_here! {
        import_tests: ImportTestsRequest => ImportTestsResponse;
        list_tests: ListTestsRequest => ListTestsResponse;
        list_environments: ListEnvironmentsRequest => ListEnvironmentsResponse;
        put_environment: PutEnvironmentRequest => PutEnvironmentResponse;
        trigger_run: TriggerRunRequest => TriggerRunResponse;
        get_run: GetRunRequest => GetRunResponse;
        list_runs: ListRunsRequest => ListRunsResponse;
        list_planned_tests: ListPlannedTestsRequest => ListPlannedTestsResponse;
        abort_run: AbortRunRequest => AbortRunResponse;
        retry_run: RetryRunRequest => RetryRunResponse;
        list_executors: ListExecutorsRequest => ListExecutorsResponse;
    }
}

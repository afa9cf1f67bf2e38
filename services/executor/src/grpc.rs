//! `ExecutorService`: looking at an executor, and sending it home.
//!
//! Owns the translation to the wire; decides nothing.

use crate::app::Executor;
use gauntlet_proto::v1::{self, executor_service_server::ExecutorService};
use gauntlet_runtime::Lifecycle;
use std::sync::{Arc, atomic::Ordering};
use tonic::{Request, Response, Status};

/// The service of one executor.
#[derive(Debug)]
pub(crate) struct ExecutorGrpc {
    pub(crate) executor: Arc<Executor>,
    /// Set when the executor runs: draining it drains this.
    pub(crate) lifecycle: Arc<std::sync::OnceLock<Lifecycle>>,
}

impl ExecutorGrpc {
    fn is_draining(&self) -> bool {
        self.lifecycle.get().is_some_and(Lifecycle::is_draining)
    }
}

#[tonic::async_trait]
impl ExecutorService for ExecutorGrpc {
    async fn get_executor(
        &self,
        _request: Request<v1::GetExecutorRequest>,
    ) -> Result<Response<v1::GetExecutorResponse>, Status> {
        let Executor { config, slots, orphans_killed_total, .. } = self.executor.as_ref();
        let session = self.executor.session();
        let leases = session.iter().flat_map(|session| session.leases.all());
        let active_tests = leases.flat_map(|lease| {
            lease.running().into_iter().map(move |test| v1::ActiveTest {
                run_id: lease.key.run_id.to_string(),
                shard_index: lease.key.shard_index,
                ordinal: test.ordinal,
            })
        });
        Ok(Response::new(v1::GetExecutorResponse {
            session_id: session.as_ref().map(|session| session.id.to_string()).unwrap_or_default(),
            name: config.name.clone(),
            slots: i32::try_from(config.slots).unwrap_or(i32::MAX),
            used_slots: i32::try_from(slots.used()).unwrap_or(i32::MAX),
            draining: self.is_draining(),
            active_tests: active_tests.collect(),
            orphans_killed_total: i64::from(orphans_killed_total.load(Ordering::Relaxed)),
            attributes: self.executor.attributes.clone(),
        }))
    }

    async fn drain_executor(
        &self,
        _request: Request<v1::DrainExecutorRequest>,
    ) -> Result<Response<v1::DrainExecutorResponse>, Status> {
        tracing::info!("draining because somebody asked for it");
        self.lifecycle.get().inspect(|lifecycle| lifecycle.drain());
        Ok(Response::new(v1::DrainExecutorResponse {}))
    }
}

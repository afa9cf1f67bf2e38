//! The scheduler as a process or as a part of one: build, then run.

use crate::commit::Committer;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::finalize::Finalizations;
use crate::grpc::{Handlers, SERVICES};
use crate::migrations;
use crate::reconcile::Reconciler;
use crate::store::Store;
use crate::vault::Vault;
use crate::wake::Wake;
use gauntlet_bus::Bus;
use gauntlet_pg::{PgError, Pool, SchemaError, latest_version};
use gauntlet_rpc::{Bound, ServeError, Server, Standby};
use gauntlet_runtime::Lifecycle;
use std::net::SocketAddr;
use std::sync::Arc;

/// The schema in the database.
pub(crate) const SCHEMA: &str = "scheduler";

/// Why the scheduler could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database cannot be reached.
    #[error("the scheduler cannot reach its database")]
    Pg(#[source] PgError),
    /// The schema is not the one this program knows.
    #[error("the scheduler does not know this schema")]
    Schema(#[source] SchemaError),
    /// The address cannot be listened on.
    #[error("the scheduler cannot listen")]
    Bind(#[source] ServeError),
}

/// A scheduler that is built and listens, but runs no task yet besides its commit and dispatch loops.
pub struct App {
    bound: Bound,
    store: Store,
    committer: Committer,
    finalizations: Finalizations,
    wake: Arc<Wake>,
    lifecycle: Lifecycle,
}

impl App {
    /// Connects, checks the schema and binds. Tasks belong to `lifecycle`.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(config: &Config, lifecycle: &Lifecycle) -> Result<Self, BuildError> {
        let standby = Standby::start(config.listen, &SERVICES, lifecycle);
        let standby = standby.map_err(BuildError::Bind)?;
        let pool = Pool::connect(&config.pg, "gauntlet-scheduler", SCHEMA).await;
        let pool = pool.map_err(BuildError::Pg)?;
        let runner = migrations().map_err(BuildError::Schema)?;
        pool.check(latest_version(&runner)).await.map_err(BuildError::Schema)?;
        let store = Store::new(pool);
        let wake = Arc::new(Wake::new());
        let committer = Committer::start(
            store.clone(),
            wake.clone(),
            Bus::new(&config.redis, lifecycle),
            lifecycle,
        );
        let finalizations =
            Finalizations::new(store.clone(), committer.clone(), wake.clone(), lifecycle);
        let handlers = Handlers {
            store: store.clone(),
            committer: committer.clone(),
            dispatcher: Dispatcher::start(
                store.clone(),
                committer.clone(),
                wake.clone(),
                lifecycle,
            ),
            finalizations: finalizations.clone(),
            vault: Vault::new(config.secrets_key.clone()),
            wake: wake.clone(),
            lifecycle: lifecycle.clone(),
        };
        let server = SERVICES.into_iter().fold(Server::new(handlers.routes()), Server::service);
        let bound = server.relieve(standby).await.map_err(BuildError::Bind)?;
        let lifecycle = lifecycle.clone();
        Ok(Self { bound, store, committer, finalizations, wake, lifecycle })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.bound.addr()
    }

    /// Serves until the lifecycle drains and every call has ended.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn run(self) -> Result<(), ServeError> {
        let Self { bound, store, committer, finalizations, wake, lifecycle } = self;
        lifecycle.spawn("audit", gauntlet_audit::run(store.clone(), lifecycle.clone()));
        let reconciler = Reconciler { store, committer, finalizations, wake };
        lifecycle.spawn("reconcile", reconciler.run(lifecycle.clone()));
        bound.serve(lifecycle).await
    }
}

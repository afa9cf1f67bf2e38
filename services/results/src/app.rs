//! Results as a process or as a part of one: build, then run.

use crate::artifacts::{Artifacts, Bucket, Folder};
use crate::config::{Config, Place};
use crate::finalize::Finalizer;
use crate::follow::Sealer;
use crate::grpc::{Handlers, SERVICES};
use crate::store::{Store, StoreError};
use crate::sweep::Sweeper;
use crate::{migrations, partitions};
use gauntlet_core::ReplicaId;
use gauntlet_feed::Follower;
use gauntlet_pg::{PgError, Pool, SchemaError, latest_version};
use gauntlet_rpc::{Bound, EndpointError, Peer, ServeError, Server, Standby};
use gauntlet_runtime::{Clock, Lifecycle, ids};
use std::io;
use std::net::SocketAddr;

/// The schema in the database.
pub(crate) const SCHEMA: &str = "results";

/// Why results could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database cannot be reached.
    #[error("results cannot reach its database")]
    Pg(#[source] PgError),
    /// The schema is not the one this program knows.
    #[error("results does not know this schema")]
    Schema(#[source] SchemaError),
    /// The partitions of the coming days cannot be made.
    #[error("results cannot prepare its partitions")]
    Partitions(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The folder or bucket for artifacts cannot be used.
    #[error("results cannot use its store of artifacts")]
    Artifacts(#[source] io::Error),
    /// The scheduler's endpoint is malformed.
    #[error("results cannot use the scheduler's endpoint")]
    Endpoint(#[source] EndpointError),
    /// The address cannot be listened on.
    #[error("results cannot listen")]
    Bind(#[source] ServeError),
}

/// Results, built and listening, but not answering yet.
pub struct App {
    bound: Bound,
    store: Store,
    scheduler: Peer,
    sweeper: Sweeper,
    lifecycle: Lifecycle,
}

impl App {
    /// Connects, checks the schema, makes the partitions of the coming days and binds. Tasks belong to `lifecycle`.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(config: &Config, lifecycle: &Lifecycle) -> Result<Self, BuildError> {
        let standby = Standby::start(config.listen, &SERVICES, lifecycle);
        let standby = standby.map_err(BuildError::Bind)?;
        let pool = Pool::connect(&config.pg, "gauntlet-results", SCHEMA).await;
        let pool = pool.map_err(BuildError::Pg)?;
        let runner = migrations().map_err(BuildError::Schema)?;
        pool.check(latest_version(&runner)).await.map_err(BuildError::Schema)?;
        let store = Store::new(pool);
        let ensured: Result<(), StoreError> = store.ensure_partitions().await;
        ensured.map_err(|error| BuildError::Partitions(error.into()))?;
        let clock = Clock::system();
        let artifacts = match &config.artifacts.place {
            Place::Folder(folder) => Folder::open(folder, &clock).await.map(Artifacts::Folder),
            Place::Bucket(settings) => Bucket::open(settings).map(Artifacts::Bucket),
        };
        let artifacts = artifacts.map_err(BuildError::Artifacts)?;
        let keep = config.artifacts.keep;
        let sweeper =
            Sweeper { store: store.clone(), artifacts: artifacts.clone(), clock, keep, part: 0 };
        let scheduler = Peer::connect_lazy(&config.scheduler).map_err(BuildError::Endpoint)?;
        let handlers = Handlers::new(
            store.clone(),
            (artifacts, config.artifacts.run_bytes_max),
            scheduler.clone(),
            lifecycle.clone(),
        );
        let server = SERVICES.into_iter().fold(Server::new(handlers.routes()), Server::service);
        let bound = server.relieve(standby).await.map_err(BuildError::Bind)?;
        Ok(Self { bound, store, scheduler, sweeper, lifecycle: lifecycle.clone() })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.bound.addr()
    }

    /// Serves and finalizes until the lifecycle drains and every call has ended.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn run(self) -> Result<(), ServeError> {
        let Self { bound, store, scheduler, sweeper, lifecycle } = self;
        let replica = ReplicaId(ids::v4());
        let finalizer =
            Finalizer::run(store.clone(), scheduler.clone(), replica, lifecycle.clone());
        lifecycle.spawn("finalize", finalizer);
        let sealer = Sealer::new(store.clone(), scheduler.clone());
        let follower = Follower::new(sealer, scheduler, &lifecycle);
        lifecycle.spawn("follow", follower.run());
        lifecycle.spawn("audit", gauntlet_audit::run(store.clone(), lifecycle.clone()));
        lifecycle.spawn("sweep", sweeper.run(lifecycle.clone()));
        lifecycle.spawn("partitions", partitions::run(store, lifecycle.clone()));
        bound.serve(lifecycle).await
    }
}

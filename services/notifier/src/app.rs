//! The notifier as a process or as a part of one: build, then run.

use crate::config::Config;
use crate::grpc::Handlers;
use crate::guard::Guard;
use crate::migrations;
use crate::post::Poster;
use crate::send::Sender;
use crate::store::Store;
use gauntlet_feed::Follower;
use gauntlet_pg::{PgError, Pool, SchemaError, latest_version};
use gauntlet_proto::v1::notifier_service_server::NotifierServiceServer;
use gauntlet_rpc::{Bound, EndpointError, Peer, ServeError, Server, Standby, limited};
use gauntlet_runtime::Lifecycle;
use std::net::SocketAddr;
use tonic::service::Routes;

/// The schema in the database.
pub(crate) const SCHEMA: &str = "notifier";

/// Why the notifier could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database cannot be reached.
    #[error("the notifier cannot reach its database")]
    Pg(#[source] PgError),
    /// The schema is not the one this program knows.
    #[error("the notifier does not know this schema")]
    Schema(#[source] SchemaError),
    /// The scheduler's endpoint is malformed.
    #[error("the notifier cannot use the scheduler's endpoint")]
    Endpoint(#[source] EndpointError),
    /// The HTTP client cannot be made.
    #[error("the notifier cannot make its http client")]
    Http(#[source] reqwest::Error),
    /// The address cannot be listened on.
    #[error("the notifier cannot listen")]
    Bind(#[source] ServeError),
}

/// A notifier, built and listening, but not answering yet.
pub struct App {
    bound: Bound,
    follower: Follower<Store>,
    sender: Sender,
    lifecycle: Lifecycle,
}

impl App {
    /// Connects, checks the schema and binds. Tasks belong to `lifecycle`.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(config: &Config, lifecycle: &Lifecycle) -> Result<Self, BuildError> {
        let standby = Standby::start(config.listen, &["gauntlet.v1.NotifierService"], lifecycle);
        let standby = standby.map_err(BuildError::Bind)?;
        let pool = Pool::connect(&config.pg, "gauntlet-notifier", SCHEMA).await;
        let pool = pool.map_err(BuildError::Pg)?;
        let runner = migrations().map_err(BuildError::Schema)?;
        pool.check(latest_version(&runner)).await.map_err(BuildError::Schema)?;
        let store = Store::new(pool);
        let guard = Guard { allow_loopback: config.allow_loopback };
        let poster = Poster::new(guard, config.secret.clone()).map_err(BuildError::Http)?;
        let scheduler = Peer::connect_lazy(&config.scheduler).map_err(BuildError::Endpoint)?;
        let handlers = Handlers { store: store.clone() };
        let mut routes = Routes::builder();
        routes.add_service(limited!(NotifierServiceServer::new(handlers)));
        let server = Server::new(routes.routes()).service("gauntlet.v1.NotifierService");
        let bound = server.relieve(standby).await.map_err(BuildError::Bind)?;
        let sender = Sender::new(store.clone(), poster, config.retry_schedule.clone(), lifecycle);
        let follower = Follower::new(store, scheduler, lifecycle);
        Ok(Self { bound, follower, sender, lifecycle: lifecycle.clone() })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.bound.addr()
    }

    /// Serves, follows and sends until the lifecycle drains and every call has ended.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn run(self) -> Result<(), ServeError> {
        let Self { bound, follower, sender, lifecycle } = self;
        lifecycle.spawn("follow", follower.run());
        lifecycle.spawn("send", sender.run());
        bound.serve(lifecycle).await
    }
}

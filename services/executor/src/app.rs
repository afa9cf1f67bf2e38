//! Putting an executor together, running it, and stopping it.
//!
//! [`App::build`] binds and looks for browsers but runs nothing; [`App::run`] serves until the lifecycle drains: it claims
//! nothing more, lets running tests finish within the grace, hands back the rest, closes its session, and leaves no
//! browser. Several executors can run in one process: nothing here is global. A crash is described in `lib.rs`.

use crate::{
    beat,
    browsers::RealBrowsers,
    config::Config,
    disk::Disk,
    fault::Fault,
    grpc::ExecutorGrpc,
    peer::Peers,
    revisions::Revisions,
    run_test::TestRunner,
    session::{self, Session},
    sign_in::SignIns,
    slots::Slots,
};
use gauntlet_browser::Encoder;
use gauntlet_bus::{Bus, Signal};
use gauntlet_core::ids::SessionId;
use gauntlet_proto::v1::{self, executor_service_server::ExecutorServiceServer};
use gauntlet_rpc::{Bound, EndpointError, ServeError, Server, limited};
use gauntlet_runtime::{Clock, Exit, Lifecycle};
use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::sync::watch;

/// What differs between production and tests.
pub struct Deps {
    /// Starts browsers.
    pub runner: Arc<dyn TestRunner>,
    /// Hints; one per process, shared by all its services.
    pub bus: Bus,
    /// Wall-clock time of attempts.
    pub clock: Clock,
}

impl Deps {
    /// Returns real browsers, the system's clock and a bus of the configured Redis. `lifecycle` is that of the process.
    #[must_use]
    pub fn production(config: &Config, lifecycle: &Lifecycle) -> Self {
        Self {
            runner: Arc::new(RealBrowsers::new(config.browsers.clone(), config.egress.clone())),
            bus: Bus::new(&config.redis, lifecycle),
            clock: Clock::system(),
        }
    }
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("bus", &self.bus).finish_non_exhaustive()
    }
}

/// Why an executor could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A service's URL is malformed.
    #[error("another service cannot be addressed")]
    Endpoint {
        /// Which, and why.
        #[source]
        source: EndpointError,
    },
    /// Its own address cannot be served.
    #[error("executor cannot serve")]
    Serve {
        /// Why.
        #[source]
        source: ServeError,
    },
}

/// What all parts of one executor share.
pub(crate) struct Executor {
    pub(crate) config: Config,
    pub(crate) peers: Peers,
    pub(crate) runner: Arc<dyn TestRunner>,
    pub(crate) browsers: Vec<v1::Browser>,
    /// What sets it apart, for people.
    pub(crate) attributes: Vec<String>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) revisions: Revisions,
    pub(crate) disk: Disk,
    /// Makes videos, where there is ffmpeg.
    pub(crate) encoder: Option<Encoder>,
    pub(crate) sign_ins: SignIns,
    pub(crate) clock: Clock,
    pub(crate) fault: Fault,
    pub(crate) orphans_killed_total: AtomicU32,
    session: watch::Sender<Option<Arc<Session>>>,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Executor {
    /// Returns the present session; the last one while none is open.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.borrow().clone()
    }

    pub(crate) fn enter(&self, session: &Arc<Session>) {
        self.session.send_replace(Some(Arc::clone(session)));
    }
}

/// Watches the sessions of one executor.
#[derive(Clone, Debug)]
pub struct Sessions(watch::Receiver<Option<Arc<Session>>>);

impl Sessions {
    /// Returns the id of the present session, which the scheduler has opened; the last one while none is open.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.0.borrow().as_ref().map(|session| session.id)
    }
}

/// An executor that is bound and runs nothing yet.
#[derive(Debug)]
pub struct App {
    executor: Arc<Executor>,
    bus: Bus,
    bound: Bound,
    lifecycle: Arc<OnceLock<Lifecycle>>,
}

impl App {
    /// Binds the listener and looks for browsers.
    ///
    /// # Errors
    /// [`BuildError`]: a URL is malformed or the address cannot be listened on.
    pub async fn build(config: Config, deps: Deps) -> Result<Self, BuildError> {
        let browsers = deps.runner.browsers();
        if browsers.is_empty() {
            tracing::warn!(
                "no browser was found, so this executor gets no work; install chromium-headless-shell and chromium-driver"
            );
        }
        let attributes = deps.runner.attributes().await;
        let executor = Arc::new(Executor {
            peers: Peers::connect(&config).map_err(|source| BuildError::Endpoint { source })?,
            runner: deps.runner,
            browsers,
            attributes,
            slots: Slots::new(config.slots),
            revisions: Revisions::new(config.recording_cache_bytes_max),
            disk: Disk::new(config.spool_dir.clone(), config.spool_mib_max),
            encoder: encoder(&config),
            sign_ins: SignIns::default(),
            clock: deps.clock,
            fault: config.fault.clone(),
            orphans_killed_total: AtomicU32::new(0),
            session: watch::Sender::new(None),
            config,
        });
        let lifecycle = Arc::new(OnceLock::new());
        let service =
            ExecutorGrpc { executor: Arc::clone(&executor), lifecycle: Arc::clone(&lifecycle) };
        let mut routes = tonic::service::Routes::builder();
        routes.add_service(limited!(ExecutorServiceServer::new(service)));
        let bound = Server::new(routes.routes())
            .service("gauntlet.v1.ExecutorService")
            .bind(executor.config.listen)
            .map_err(|source| BuildError::Serve { source })?;
        executor.config.egress.ports.add(bound.addr().port());
        Ok(Self { executor, bus: deps.bus, bound, lifecycle })
    }

    /// Returns the address of `ExecutorService`.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.bound.addr()
    }

    /// Returns what tells the executor's own sessions apart from those of others with its name, such as one that crashed and
    /// has not been reaped.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions(self.executor.session.subscribe())
    }

    /// Runs until `lifecycle` drains, and stops within the grace. Several executors of one process get a child each, so
    /// that `DrainExecutor` drains only its own.
    pub async fn run(self, lifecycle: Lifecycle) -> Exit {
        let Self { executor, bus, bound, lifecycle: shared } = self;
        let _ = shared.set(lifecycle.clone());
        sweep(&executor).await;
        let hinted = Arc::clone(&executor);
        bus.subscribe(&lifecycle, move |signal| {
            let run_id = match signal {
                Signal::Abort(hint) => Some(hint.run_id),
                Signal::Resubscribed => None,
            };
            beat::hint(hinted.session(), run_id);
            std::future::ready(())
        });
        lifecycle.spawn("executor-grpc", bound.serve(lifecycle.clone()));
        lifecycle.spawn("executor-session", session::run(Arc::clone(&executor), lifecycle.clone()));
        let exit = lifecycle.run_to_end(executor.config.grace).await;
        // After a hard stop tasks were dropped, and their browsers with them; what was idle is left.
        executor.slots.kill_idle().await;
        exit
    }
}

/// Returns what makes videos; without it runs with video go to other executors.
fn encoder(config: &Config) -> Option<Encoder> {
    let found = Encoder::find(config.ffmpeg.as_deref(), &config.browsers.supervisor);
    let missing = |error: &_| tracing::warn!(%error, "this executor gets no runs that are filmed");
    found.inspect_err(missing).ok()
}

/// Clears what dead executors left, before the first browser starts.
async fn sweep(executor: &Arc<Executor>) {
    let cleared = Arc::clone(executor);
    if let Err(error) = tokio::task::spawn_blocking(move || cleared.disk.sweep()).await {
        tracing::error!(%error, "sweep of stale artifacts panicked");
    }
    let runner = Arc::clone(&executor.runner);
    match tokio::task::spawn_blocking(move || runner.sweep()).await {
        Ok(killed) => {
            executor.orphans_killed_total.store(killed, Ordering::Relaxed);
            let meter = opentelemetry::global::meter("gauntlet");
            let counter = meter.u64_counter("gauntlet.executor.orphans_killed").build();
            counter.add(killed.into(), &[]);
        }
        Err(error) => tracing::error!(%error, "sweep of stale browsers panicked"),
    }
}

//! `gauntlet up`: the whole mesh in one process, until a signal.
//!
//! Owns the order of start and stop and what is printed about it. Data outlives the process; after a kill -9 the next `up`
//! on the folder stops what was orphaned (see `gauntlet_embedded`) and goes on from its rows.

pub(crate) mod mesh;
pub(crate) mod serve;

use crate::cli::UpArgs;
use crate::demo;
use crate::endpoint::Endpoints;
use crate::failure::Failure;
use crate::{names, output};
use gauntlet_runtime::{Exit, Lifecycle};
use mesh::{EmbeddedMesh, Settings};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

const DEMO_PORT: u16 = 7431;
const DEMO_GRACE: Duration = Duration::from_secs(1);

/// Carries out `gauntlet up`.
pub(crate) async fn up(args: UpArgs) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let signals = Lifecycle::with_signals()
        .map_err(|error| Failure::infrastructure("cannot listen for signals", &error))?;
    let settings = Settings::for_up(&args);
    let mesh = tokio::select! {
        mesh = EmbeddedMesh::start(settings) => mesh?,
        () = signals.draining() => {
            return Err(Failure::Infrastructure("interrupted while starting".to_owned()));
        }
    };
    let site = Lifecycle::new();
    let served = serve(&args, &mesh, &site, &signals, begun).await;
    Endpoints::remove(mesh.data_dir());
    let exit = mesh.stop(&signals).await;
    // After the browsers: they keep connections open that they never use.
    site.shutdown(DEMO_GRACE).await;
    served.map(|()| exit)
}

/// Tells where everything is and waits for a signal, or for a service that fails.
async fn serve(
    args: &UpArgs,
    mesh: &EmbeddedMesh,
    site: &Lifecycle,
    signals: &Lifecycle,
    begun: Instant,
) -> Result<(), Failure> {
    let demo = match args.demo {
        true => Some(demo::start(demo_addr(args), site).await?),
        false => None,
    };
    let endpoints = Endpoints {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        gateway: mesh.endpoint().to_owned(),
        demo: demo.map(|addr| format!("http://{addr}")),
        services: mesh.services().clone(),
    };
    endpoints.write(mesh.data_dir())?;
    tell(args, mesh, &endpoints, begun);
    tokio::select! {
        () = signals.draining() => {
            output::note("draining; press Ctrl-C again to stop at once");
            Ok(())
        }
        () = mesh.failed() => Err(Failure::Infrastructure("a service failed; its log is above".to_owned())),
    }
}

fn demo_addr(args: &UpArgs) -> SocketAddr {
    let port = if args.ephemeral { 0 } else { DEMO_PORT };
    (Ipv4Addr::LOCALHOST, port).into()
}

fn tell(args: &UpArgs, mesh: &EmbeddedMesh, endpoints: &Endpoints, begun: Instant) {
    let keeps = if args.ephemeral { "removed when it stops" } else { "kept" };
    output::line(&format!("gateway    {}", endpoints.gateway));
    for (name, endpoint) in &endpoints.services {
        output::line(&format!("{name:<10} {endpoint}"));
    }
    if let Some(demo) = &endpoints.demo {
        output::line(&format!("demo       {demo}"));
    }
    output::line(&format!("data       {} ({keeps})", mesh.data_dir().display()));
    let seconds = begun.elapsed().as_secs_f64();
    output::line(&format!(
        "ready in {seconds:.1} s with {}; Ctrl-C drains and stops",
        names::counted(args.executors, "executor")
    ));
}

//! One service alone, and the migrations: what a cluster runs.
//!
//! Settings come from flags and `GAUNTLET_*` variables; a refused setting exits 2. The first signal drains, the second kills.

use crate::cli::{MigrateArgs, ServeCommand};
use crate::failure::Failure;
use crate::output;
use gauntlet_runtime::{Exit, Lifecycle};
use std::error::Error;
use std::time::Duration;

/// How long a service may take to finish what it holds.
const GRACE: Duration = Duration::from_secs(30);

/// Runs one service until a signal.
pub(crate) async fn serve(command: ServeCommand) -> Result<Exit, Failure> {
    let lifecycle = Lifecycle::with_signals()
        .map_err(|error| Failure::infrastructure("cannot listen for signals", &error))?;
    match command {
        ServeCommand::Scheduler(args) => {
            let config = args.config().map_err(|error| bad_config(&error))?;
            let app =
                built(&lifecycle, gauntlet_scheduler::App::build(&config, &lifecycle)).await?;
            app.map(|app| lifecycle.spawn("scheduler", app.run()));
        }
        ServeCommand::Results(args) => {
            let config = args.config().map_err(|error| bad_config(&error))?;
            let app = built(&lifecycle, gauntlet_results::App::build(&config, &lifecycle)).await?;
            app.map(|app| lifecycle.spawn("results", app.run()));
        }
        ServeCommand::Notifier(args) => {
            let config = args.config().map_err(|error| bad_config(&error))?;
            let app = built(&lifecycle, gauntlet_notifier::App::build(&config, &lifecycle)).await?;
            app.map(|app| lifecycle.spawn("notifier", app.run()));
        }
        ServeCommand::Gateway(args) => {
            let app = gauntlet_gateway::App::build(&args.config(), &lifecycle).await;
            let app = app.map_err(|error| cannot_start(&error))?;
            lifecycle.spawn("gateway", app.run());
        }
        ServeCommand::Executor(args) => return executor(*args, lifecycle).await,
    }
    Ok(lifecycle.run_to_end(GRACE).await)
}

/// Returns what was built, which may have to wait for Postgres; none when a signal came first.
async fn built<A, E: Error + 'static>(
    lifecycle: &Lifecycle,
    build: impl Future<Output = Result<A, E>>,
) -> Result<Option<A>, Failure> {
    tokio::select! {
        () = lifecycle.draining() => Ok(None),
        app = build => app.map(Some).map_err(|error| cannot_start(&error)),
    }
}

/// The executor brings its own grace.
async fn executor(args: gauntlet_executor::Args, lifecycle: Lifecycle) -> Result<Exit, Failure> {
    let config = args.config().map_err(|error| bad_config(&error))?;
    let deps = gauntlet_executor::Deps::production(&config, &lifecycle);
    let app = gauntlet_executor::App::build(config, deps).await;
    let app = app.map_err(|error| cannot_start(&error))?;
    Ok(app.run(lifecycle).await)
}

/// Carries out `gauntlet migrate`.
pub(crate) async fn migrate(args: &MigrateArgs) -> Result<Exit, Failure> {
    let url = match (&args.pg_url, &args.pg_url_file) {
        (Some(url), _) => url.clone(),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?,
        (None, None) => return Err(Failure::Usage("set --pg-url or --pg-url-file".to_owned())),
    };
    migrate_all(url.trim()).await?;
    output::note("the database is at this program's version");
    Ok(Exit::Clean)
}

/// Brings every service's schema to this program's version.
pub(crate) async fn migrate_all(pg_url: &str) -> Result<(), Failure> {
    let failed = |service: &str, error: &(dyn Error + 'static)| {
        Failure::infrastructure(&format!("cannot migrate the schema of {service}"), error)
    };
    gauntlet_scheduler::migrate(pg_url).await.map_err(|error| failed("scheduler", &error))?;
    gauntlet_results::migrate(pg_url).await.map_err(|error| failed("results", &error))?;
    gauntlet_notifier::migrate(pg_url).await.map_err(|error| failed("notifier", &error))?;
    Ok(())
}

fn bad_config(error: &(dyn Error + 'static)) -> Failure {
    Failure::Usage(gauntlet_runtime::error_chain(error))
}

fn cannot_start(error: &(dyn Error + 'static)) -> Failure {
    Failure::Infrastructure(gauntlet_runtime::error_chain(error))
}

//! `gauntlet run` and `gauntlet wait`: from recordings to a verdict.
//!
//! Order: check the recordings, find or start a mesh, import, trigger (idempotent), follow to the end, report. Nothing is
//! sent before everything was checked. If this process dies the run goes on where a mesh outlives it; an embedded mesh and
//! its browsers die with it.

mod ending;
mod progress;
pub(crate) mod watch;

use crate::cli::TargetArgs;
use crate::cli::WaitArgs;
use crate::cli::run::{ReportArgs, RunArgs};
use crate::client::Mesh;
use crate::commands::mesh_of;
use crate::demo;
use crate::failure::{EXIT_ABORTED, EXIT_INFRASTRUCTURE, Failure};
use crate::follow::follow;
use crate::import::{self, Loaded};
use crate::names;
use crate::report;
use crate::up::{self, mesh::EmbeddedMesh};
use crate::{endpoint, output};
use gauntlet_core::limits::LISTED_TESTS_MAX;
use gauntlet_proto::v1;
use gauntlet_runtime::{Exit, Lifecycle, ids};
use progress::Progress;
use std::path::PathBuf;
use std::time::Duration;

/// How long the demo site may take to close its connections.
const DEMO_GRACE: Duration = Duration::from_secs(1);

/// Carries out `gauntlet run`.
pub(crate) async fn run(mut args: RunArgs) -> Result<Exit, Failure> {
    let loaded = import::load(&args.paths)?;
    let sign_in = SignIn::load(args.sign_in.as_deref())?;
    if loaded.len() > LISTED_TESTS_MAX {
        return Err(Failure::Usage(format!(
            "{} recordings are too many to list in one run; at most {LISTED_TESTS_MAX}: import them with \
             --tag, then run by --tag",
            loaded.len()
        )));
    }
    let signals = signals()?;
    let target = &args.target;
    let found = endpoint::find(target.server.as_deref(), &target.data.data_dir).await?;
    let embedded = match &found {
        Some(_) => None,
        None => Some(start_embedded(&args, &signals).await?),
    };
    let mesh = match (&embedded, found) {
        (Some(embedded), _) => embedded.client()?,
        (None, Some(mesh)) => mesh,
        (None, None) => return Err(Failure::Infrastructure("no mesh".to_owned())),
    };
    let site = Lifecycle::new();
    let ended = match start_demo(&mut args, &site).await {
        Ok(()) => Box::pin(on_mesh(&args, &mesh, loaded, sign_in, &signals)).await,
        Err(failure) => Err(failure),
    };
    if let Some(embedded) = embedded {
        embedded.stop(&signals).await;
    }
    if args.demo {
        // After the browsers: they keep connections open that they never use.
        site.shutdown(DEMO_GRACE).await;
    }
    ended
}

/// Carries out `gauntlet wait`.
pub(crate) async fn wait(args: WaitArgs) -> Result<Exit, Failure> {
    let signals = signals()?;
    let mesh = mesh_of(&args.target).await?;
    let mut progress = Progress::start();
    tokio::select! {
        followed = follow(&mesh, &args.run_id, 0, |update| progress.tell(&update)) => followed?,
        () = signals.draining() => return Ok(Exit::Code(EXIT_INFRASTRUCTURE)),
    }
    progress.finish();
    finish(&mesh, &args.run_id, &args.report).await
}

/// Returns the signals of this process: the first drains, the second kills.
pub(crate) fn signals() -> Result<Lifecycle, Failure> {
    Lifecycle::with_signals()
        .map_err(|error| Failure::infrastructure("cannot listen for signals", &error))
}

async fn start_embedded(args: &RunArgs, signals: &Lifecycle) -> Result<EmbeddedMesh, Failure> {
    let hint = "start a mesh with `gauntlet up`, or name one with --server URL";
    if args.paths.is_empty() {
        return Err(Failure::Usage(format!("no recordings were named and no mesh runs; {hint}")));
    }
    if args.detach {
        return Err(Failure::Usage(format!(
            "--detach needs a mesh that outlives this command; {hint}"
        )));
    }
    output::note(&format!(
        "no mesh runs here: starting one with {}",
        names::counted(args.executors, "executor")
    ));
    let settings = up::mesh::Settings::for_run(args);
    tokio::select! {
        mesh = EmbeddedMesh::start(settings) => mesh,
        () = signals.draining() => Err(Failure::Infrastructure("interrupted while starting".to_owned())),
    }
}

async fn start_demo(args: &mut RunArgs, site: &Lifecycle) -> Result<(), Failure> {
    if args.demo {
        let addr = demo::start((std::net::Ipv4Addr::LOCALHOST, 0).into(), site).await?;
        args.options.base_url = Some(format!("http://{addr}"));
    }
    Ok(())
}

/// The test that signs in.
enum SignIn {
    Nobody,
    Stored(String),
    File(Vec<Loaded>),
}

impl SignIn {
    /// Reads it, if it is a file.
    fn load(wanted: Option<&str>) -> Result<Self, Failure> {
        let Some(wanted) = wanted else { return Ok(Self::Nobody) };
        let path = PathBuf::from(wanted);
        if !path.exists() {
            return Ok(Self::Stored(wanted.to_owned()));
        }
        let loaded = import::load(&[path])?;
        match loaded.iter().map(|one| one.flows.len()).sum() {
            1 => Ok(Self::File(loaded)),
            tests => Err(Failure::Usage(format!(
                "--sign-in {wanted} has {tests} tests; name one of one test"
            ))),
        }
    }

    async fn test_id(self, mesh: &Mesh, project: &str) -> Result<Option<String>, Failure> {
        match self {
            Self::Nobody => Ok(None),
            Self::Stored(test_id) => Ok(Some(test_id)),
            Self::File(loaded) => {
                let tests = import::send(mesh, loaded, project, &[], false).await?;
                Ok(tests.into_iter().next().map(|test| test.test_id))
            }
        }
    }
}

async fn on_mesh(
    args: &RunArgs,
    mesh: &Mesh,
    loaded: Vec<Loaded>,
    sign_in: SignIn,
    signals: &Lifecycle,
) -> Result<Exit, Failure> {
    let mut test_ids = args.test_ids.clone();
    if !loaded.is_empty() {
        let tests = import::send(mesh, loaded, &args.project, &[], false).await?;
        test_ids.extend(tests.into_iter().map(|test| test.test_id));
    }
    let sign_in = sign_in.test_id(mesh, &args.project).await?;
    let run = mesh.trigger_run(args.request(ids::v4().to_string(), test_ids, sign_in)).await?;
    if args.detach {
        output::line(&run.run_id);
        return Ok(Exit::Clean);
    }
    output::note(&format!(
        "run {}: {} in {}",
        run.run_id,
        names::counted(run.test_count, "test"),
        names::counted(run.shard_count, "shard")
    ));
    follow_and_report(mesh, &run, &args.report, signals).await
}

/// Follows a run that this command started, and reports it.
pub(crate) async fn follow_and_report(
    mesh: &Mesh,
    run: &v1::Run,
    args: &ReportArgs,
    signals: &Lifecycle,
) -> Result<Exit, Failure> {
    match follow_own(mesh, run, signals).await? {
        Some(exit) => Ok(exit),
        None => finish(mesh, &run.run_id, args).await,
    }
}

/// Follows a run that this command started. The first signal aborts it; the second leaves, with the exit returned.
async fn follow_own(
    mesh: &Mesh,
    run: &v1::Run,
    signals: &Lifecycle,
) -> Result<Option<Exit>, Failure> {
    let mut progress = Progress::start();
    let ended = {
        // What was before a retry is no news.
        let since = if run.generation > 1 { run.revision } else { 0 };
        let following = follow(mesh, &run.run_id, since, |update| progress.tell(&update));
        tokio::pin!(following);
        tokio::select! {
            ended = &mut following => Some(ended),
            () = signals.draining() => {
                output::note("aborting the run; press Ctrl-C again to leave at once");
                tokio::select! {
                    biased;
                    () = signals.killed() => None,
                    ended = abort_own(mesh, run, &mut following) => Some(ended),
                }
            }
        }
    };
    progress.finish();
    ended.map_or(Ok(Some(Exit::Code(EXIT_ABORTED))), |ended| ended.map(|()| None))
}

/// Aborts the run and follows it to its end.
async fn abort_own(
    mesh: &Mesh,
    run: &v1::Run,
    following: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    match mesh.abort_run(&run.run_id, run.generation, "interrupted at the command line").await {
        Err(failure @ Failure::Infrastructure(_)) => Err(failure),
        // Refused when the run ended by itself meanwhile; its own end is told then.
        Ok(_) | Err(Failure::Usage(_) | Failure::Import(_)) => following.await,
    }
}

/// Reports a finished run.
pub(crate) async fn finish(mesh: &Mesh, run_id: &str, args: &ReportArgs) -> Result<Exit, Failure> {
    let mut report = report::gather(mesh, run_id).await?;
    report::save_screenshots(mesh, &mut report, &args.report_dir).await;
    ending::write(&report, args)?;
    Ok(names::exit_of(report.run.state()))
}

/// Returns the mesh of a command that only reads.
pub(crate) async fn reading(target: &TargetArgs) -> Result<(Mesh, Lifecycle), Failure> {
    Ok((mesh_of(target).await?, signals()?))
}

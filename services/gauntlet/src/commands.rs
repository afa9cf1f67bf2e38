//! From a parsed command to its module, and the commands that are too small for one.

use crate::cli::{AbortArgs, Command, GetArgs, ImportArgs, ListArgs, TargetArgs};
use crate::client::Mesh;
use crate::failure::Failure;
use crate::report::document::{Document, ListedRun};
use crate::report::summary;
use crate::{
    artifacts, audit, demo, endpoint, environment, export, follow, import, names, output, report,
    retry, run, up,
};
use gauntlet_proto::v1;
use gauntlet_runtime::Exit;

/// Carries out a command.
pub(crate) async fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => Box::pin(run::run(*args)).await,
        Command::Retry(args) => Box::pin(retry::retry(*args)).await,
        Command::Up(args) => Box::pin(up::up(args)).await,
        Command::Import(args) => import(args).await,
        Command::Export(args) => export::export(&args),
        Command::Wait(args) => run::wait(args).await,
        Command::Watch(args) => run::watch::watch(&args.run_id, &args.target).await,
        Command::Get(args) => get(args).await,
        Command::List(args) => list(args).await,
        Command::Abort(args) => abort(args).await,
        Command::Environment(command) => environment::environment(command).await,
        Command::Artifacts(command) => artifacts::artifacts(command).await,
        Command::Audit(args) => audit::audit(args).await,
        Command::Demo(args) => demo::serve_alone(args.listen).await,
        Command::Serve(command) => Box::pin(up::serve::serve(*command)).await,
        Command::Migrate(args) => up::serve::migrate(&args).await,
    }
}

/// Returns the mesh that the arguments mean.
pub(crate) async fn mesh_of(target: &TargetArgs) -> Result<Mesh, Failure> {
    endpoint::require(target.server.as_deref(), &target.data.data_dir).await
}

async fn import(args: ImportArgs) -> Result<Exit, Failure> {
    let loaded = import::load(&args.paths)?;
    let count = loaded.len();
    if args.check {
        let tests: usize = loaded.iter().map(|one| one.flows.len()).sum();
        output::line(import::check::table(&loaded).trim_end());
        output::line(&format!("{count} recordings are valid and hold {tests} tests"));
        return Ok(Exit::Clean);
    }
    let mesh = mesh_of(&args.target).await?;
    let tests = import::send(&mesh, loaded, &args.project, &args.tags, args.draft).await?;
    for test in &tests {
        output::line(&format!(
            "{}  {}  {:?}  {} steps",
            test.test_id, test.file, test.name, test.step_count
        ));
    }
    output::note(&format!("imported {} tests into project {}", tests.len(), args.project));
    Ok(Exit::Clean)
}

async fn get(args: GetArgs) -> Result<Exit, Failure> {
    let mesh = mesh_of(&args.target).await?;
    let report = report::gather(&mesh, &args.run_id).await?;
    if args.json {
        output::line(Document::new(&report).render().trim_end());
        return Ok(Exit::Clean);
    }
    output::line(&summary::render(&report));
    if !report.run.waiting_reason.is_empty() {
        output::line(&format!("waiting: {}", report.run.waiting_reason));
    }
    if let Some(loss) = follow::last_loss(&mesh, &args.run_id, report.run.revision).await {
        output::line(&format!("last loss: {}", run::watch::describe(&loss)));
    }
    Ok(Exit::Clean)
}

async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let mesh = mesh_of(&args.target).await?;
    let states: Vec<_> = args.states.into_iter().map(v1::RunState::from).collect();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let runs = mesh.list_runs(&args.project, &states, limit).await?;
    if args.json {
        let listed: Vec<_> = runs.iter().map(ListedRun::new).collect();
        let text = serde_json::to_string_pretty(&serde_json::json!({ "runs": listed }));
        output::line(&text.unwrap_or_default());
        return Ok(Exit::Clean);
    }
    for run in &runs {
        output::line(&row(run));
    }
    if runs.is_empty() {
        output::note("no runs");
    }
    Ok(Exit::Clean)
}

fn row(run: &v1::Run) -> String {
    let created = report::document::time(run.create_time.as_ref()).unwrap_or_default();
    let counts = run.verdict.as_ref().and_then(|verdict| verdict.counts.as_ref());
    let result = counts.map(names::counts).unwrap_or_default();
    let created = created.split('.').next().unwrap_or_default().trim_end_matches('Z');
    format!(
        "{}  {:<10}  {created}  {:>5} tests  {:<12}  {result}",
        run.run_id,
        names::state(run.state()),
        run.test_count,
        run.project,
    )
    .trim_end()
    .to_owned()
}

async fn abort(args: AbortArgs) -> Result<Exit, Failure> {
    let mesh = mesh_of(&args.target).await?;
    // What is aborted is what the run is in now: the repetitions of the call name it, too.
    let generation = match args.generation {
        Some(generation) => generation,
        None => mesh.get_run(&args.run_id).await?.generation,
    };
    let run = mesh.abort_run(&args.run_id, generation, &args.reason).await?;
    output::line(&format!("{} {}", run.run_id, names::state(v1::RunState::Aborted)));
    if run.generation != generation {
        let state = names::state(run.state());
        output::note(&format!("its generation {} is {state}", run.generation));
    }
    Ok(Exit::Clean)
}

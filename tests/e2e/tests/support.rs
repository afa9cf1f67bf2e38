//! A mesh of separate processes, a site to test, and recordings of it.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use gauntlet_testkit::{
    GauntletProcess, TestDatabase, TestStore, free_port, migrations_of, wait_until,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for anything that is not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Every service as its own process, on fixed ports so that each can be killed and started again.
pub(crate) struct Mesh {
    processes: BTreeMap<&'static str, GauntletProcess>,
    commands: BTreeMap<&'static str, Vec<String>>,
    pub(crate) gateway: String,
    pub(crate) database: TestDatabase,
    pub(crate) folder: TempDir,
    _site: Site,
    pub(crate) site_url: String,
}

impl Mesh {
    /// Starts all services but no executor.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts all services but no executor; each of them, and every executor, gets these flags too.
    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        let store = TestStore::shared().await;
        let schema = migrations_of(&["scheduler", "results", "notifier"]);
        let database = TestDatabase::create("e2e", &schema, async |url: String| {
            let mut migrate = GauntletProcess::spawn(["migrate", "--pg-url", &url]);
            let status = migrate.wait(PATIENCE).await;
            anyhow::ensure!(status.success(), "{}", migrate.output());
            Ok(())
        })
        .await;
        let site = Site::start().await;
        let folder = tempfile::tempdir().unwrap();
        let mut commands = commands(&database, store, folder.path());
        for command in commands.values_mut() {
            command.extend(flags.iter().map(|flag| (*flag).to_owned()));
        }
        let gateway = format!("http://{}", value_of(&commands["gateway"], "--listen"));
        let site_url = site.url.clone();
        let processes = BTreeMap::new();
        let mut mesh =
            Self { processes, commands, gateway, database, folder, _site: site, site_url };
        for service in ["scheduler", "results", "notifier", "gateway"] {
            mesh.start_again(service);
        }
        mesh.until_serving().await;
        mesh
    }

    /// Starts a service, again if it was killed.
    pub(crate) fn start_again(&mut self, service: &'static str) {
        self.processes.insert(service, GauntletProcess::spawn(&self.commands[service]));
    }

    pub(crate) fn kill9(&mut self, service: &'static str) {
        self.processes.get_mut(service).expect("a running service").kill9();
    }

    pub(crate) fn process(&self, service: &str) -> &GauntletProcess {
        &self.processes[service]
    }

    /// Returns where a service listens.
    pub(crate) fn address_of(&self, service: &str) -> String {
        value_of(&self.commands[service], "--listen")
    }

    /// Starts an executor with one slot; `fault` is where it stops for ever.
    pub(crate) fn executor(&self, name: &str, fault: Option<(&str, &Path)>) -> GauntletProcess {
        let mut command = self.commands["executor"].clone();
        command.extend(["--name".into(), name.into(), "--listen".into(), "127.0.0.1:0".into()]);
        if let Some((point, file)) = fault {
            let file = file.display().to_string();
            command.extend(["--fault-point".into(), point.into(), "--fault-file".into(), file]);
        }
        GauntletProcess::spawn(command)
    }

    async fn until_serving(&mut self) {
        wait_until(PATIENCE, "a gateway that lists runs", async || {
            let mut list = self.cli(&["list", "--json"]);
            let status = list.wait(PATIENCE).await;
            if status.success() { Ok(()) } else { Err(list.output()) }
        })
        .await;
    }

    /// Runs the CLI against this mesh.
    pub(crate) fn cli(&self, args: &[&str]) -> GauntletProcess {
        let mut command: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        command.extend(["--server".to_owned(), self.gateway.clone()]);
        GauntletProcess::spawn(command)
    }

    /// Starts `gauntlet run` on recordings of the site; the document goes to the returned file.
    pub(crate) fn run(&self, recordings: &[Value], args: &[&str]) -> (GauntletProcess, PathBuf) {
        let folder = self.folder.path().join(format!("recordings-{}", recordings.len()));
        write_recordings(&folder, recordings);
        self.run_folder(&folder, args)
    }

    /// Starts `gauntlet run` on a folder of recordings. Whatever it writes is gone with the mesh.
    pub(crate) fn run_folder(&self, folder: &Path, args: &[&str]) -> (GauntletProcess, PathBuf) {
        let report = self.folder.path().join("report.json");
        let json = format!("--json={}", report.display());
        let (folder, reports) = (folder.display().to_string(), self.report_dir());
        let mut command = vec!["run", &folder, &json, "--report-dir", &reports];
        command.extend(args);
        (self.cli(&command), report)
    }

    /// Returns where screenshots go; the default would be the working folder.
    pub(crate) fn report_dir(&self) -> String {
        self.folder.path().join("reports").display().to_string()
    }

    /// Asks the database, whose rows are the truth.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        let (client, connection) =
            tokio_postgres::connect(self.database.url(), tokio_postgres::NoTls).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "ends with the client of this test")]
        tokio::spawn(connection);
        client.query_one(query, &[]).await.unwrap().get(0)
    }
}

fn value_of(command: &[String], flag: &str) -> String {
    let place = command.iter().position(|word| word == flag).expect("the flag is set");
    command[place + 1].clone()
}

fn commands(
    database: &TestDatabase,
    store: &TestStore,
    folder: &Path,
) -> BTreeMap<&'static str, Vec<String>> {
    let address = || format!("127.0.0.1:{}", free_port().unwrap());
    let [scheduler, results, notifier, gateway] = [(); 4].map(|()| address());
    let url = |address: &str| format!("http://{address}");
    let words = |text: &[&str]| text.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (pg, redis, prefix) = (database.url(), store.redis_url(), store.redis_prefix());
    let bus = ["--redis-url", redis, "--redis-prefix", &prefix];
    let artifacts = folder.join("artifacts").display().to_string();
    let secret = gauntlet_testkit::key_file(folder, "whsec_");
    let (to_scheduler, to_results) = (url(&scheduler), url(&results));
    let mut scheduler_command =
        words(&["serve", "scheduler", "--listen", &scheduler, "--pg-url", pg]);
    scheduler_command.extend(words(&bus));
    let mut executor = words(&[
        "serve",
        "executor",
        "--slots",
        "1",
        // The sites under test are on this machine.
        "--egress-loopback",
        "--scheduler",
        &to_scheduler,
        "--results",
        &to_results,
    ]);
    executor.extend(words(&bus));
    BTreeMap::from([
        ("scheduler", scheduler_command),
        ("executor", executor),
        (
            "results",
            words(&[
                "serve",
                "results",
                "--listen",
                &results,
                "--pg-url",
                pg,
                "--scheduler",
                &to_scheduler,
                "--artifacts-dir",
                &artifacts,
            ]),
        ),
        (
            "notifier",
            words(&[
                "serve",
                "notifier",
                "--listen",
                &notifier,
                "--pg-url",
                pg,
                "--scheduler",
                &to_scheduler,
                "--webhook-secret-file",
                &secret,
                "--allow-loopback-callbacks",
            ]),
        ),
        (
            "gateway",
            words(&[
                "serve",
                "gateway",
                "--listen",
                &gateway,
                "--scheduler",
                &to_scheduler,
                "--results",
                &to_results,
                "--notifier",
                &url(&notifier),
            ]),
        ),
    ])
}

/// A site under test on a free port.
pub(crate) struct Site {
    pub(crate) url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    /// Serves `/` (a heading and a counter), `/slow` (answers after a second), `/hang` (never answers) and `/healing` (a
    /// counter that does not count the first time).
    pub(crate) async fn start() -> Self {
        let page = "<!doctype html><title>Site</title><link rel=icon href='data:,'><h1 id=hello>Hello</h1>\
                    <button id=add onclick=\"n.textContent=+n.textContent+1\">Add</button><p id=n>0</p>";
        let healed = Arc::new(AtomicBool::new(false));
        let healing =
            async |healed: Arc<AtomicBool>, page: &'static str| match healed.swap(true, Relaxed) {
                true => Html(page),
                false => Html(
                    "<!doctype html><title>Not yet</title><button id=add>Add</button><p id=n>-</p>",
                ),
            };
        let app = Router::new()
            .route("/", get(move || async move { Html(page) }))
            .route("/healing", get(move || healing(healed.clone(), page)))
            .route("/hang", get(std::future::pending::<Html<&str>>))
            .route(
                "/slow",
                get(move || async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Html(page)
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "aborted when the site is dropped")]
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, task }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn write_recordings(folder: &Path, recordings: &[Value]) {
    std::fs::create_dir_all(folder).unwrap();
    for recording in recordings {
        let name = recording["title"].as_str().unwrap().replace(' ', "-");
        std::fs::write(folder.join(format!("{name}.json")), recording.to_string()).unwrap();
    }
}

/// A recording that opens a page, adds one and expects the counter to say so.
pub(crate) fn counter(title: &str, site: &str, page: &str, expected: &str) -> Value {
    json!({"title": title, "steps": [
        {"type": "navigate", "url": format!("{site}{page}")},
        {"type": "click", "selectors": ["#add"], "offsetX": 5, "offsetY": 5},
        {"type": "waitForExpression", "timeout": 1500,
         "expression": format!("document.querySelector('#n').textContent === '{expected}'")},
    ]})
}

/// `count` slow recordings that pass.
pub(crate) fn slow(count: usize, site: &str) -> Vec<Value> {
    (0..count).map(|n| counter(&format!("slow {n:02}"), site, "/slow", "1")).collect()
}

pub(crate) fn document(file: &Path) -> Value {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// Asserts that every test is listed once, in order, with this outcome.
pub(crate) fn assert_each_once(document: &Value, count: usize, outcome: &str) {
    let tests = document["tests"].as_array().unwrap();
    let ordinals: Vec<u64> = tests.iter().map(|test| test["ordinal"].as_u64().unwrap()).collect();
    assert_eq!(ordinals, (0..count as u64).collect::<Vec<_>>());
    for test in tests {
        assert_eq!(test["outcome"], outcome, "{test}");
    }
}

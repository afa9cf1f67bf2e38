//! Folders, one-line SQL and Redis, and an owner that can be killed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gauntlet_embedded::{EmbeddedConfig, EmbeddedStore, Pid, processes_where};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::{Client, NoTls};

/// A data folder in a temporary folder that every account may pass.
pub(crate) struct Folder {
    _parent: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let parent = temp_dir(0o755);
        let path = parent.path().join("data");
        Self { _parent: parent, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The servers that run on this folder.
    pub(crate) fn servers(&self) -> Vec<Pid> {
        let inside = format!("{}/", self.path.display());
        processes_where(|args| {
            let name = args[0].to_string_lossy();
            (name.ends_with("postgres") || name.ends_with("redis-server"))
                && args.iter().any(|arg| arg.to_string_lossy().starts_with(&inside))
        })
    }
}

/// Makes a temporary folder with this mode.
pub(crate) fn temp_dir(mode: u32) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(mode);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}

/// Runs statements, without reading rows.
pub(crate) async fn sql(url: &str, statements: &str) {
    connected(url, async |client| client.batch_execute(statements).await).await;
}

/// Returns the one integer that the query yields.
pub(crate) async fn value(url: &str, query: &str) -> i32 {
    connected(url, async |client| client.query_one(query, &[]).await).await.get(0)
}

async fn connected<T>(
    url: &str,
    work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
) -> T {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::select! {
        done = work(&client) => done.unwrap(),
        ended = connection => panic!("connection ended: {ended:?}"),
    }
}

/// Sends one inline command after the password and returns the reply to it.
pub(crate) async fn redis_command(store: &EmbeddedStore, command: &str) -> String {
    let url = store.redis_url();
    let password = url.split([':', '@']).nth(2).unwrap();
    let text = format!("AUTH {password}\r\n{command}\r\n");
    let reply = redis_raw(store.redis().port(), &text).await;
    reply.strip_prefix("+OK\r\n").unwrap().to_owned()
}

/// Sends text and returns what comes back until the server closes.
pub(crate) async fn redis_raw(port: u16, text: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("{text}QUIT\r\n").as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply.strip_suffix("+OK\r\n").unwrap_or(&reply).to_owned()
}

/// Polls until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Another process that started a store on a folder and waits to be killed.
pub(crate) struct Owner(Child);

/// The folder that the ignored test serves.
pub(crate) const OWNER_FOLDER: &str = "GAUNTLET_EMBEDDED_TEST_FOLDER";
/// Which [`Kind`] of store it starts.
pub(crate) const OWNER_KIND: &str = "GAUNTLET_EMBEDDED_TEST_KIND";

/// How the other process starts its store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Guarded,
    Unguarded,
    Ephemeral,
}

impl Kind {
    pub(crate) fn config(self, folder: impl Into<PathBuf>) -> EmbeddedConfig {
        EmbeddedConfig {
            ephemeral: self == Self::Ephemeral,
            stop_with_owner: self != Self::Unguarded,
            ..EmbeddedConfig::persistent(folder)
        }
    }

    pub(crate) fn from_name(name: &OsStr) -> Self {
        let kinds = [Self::Guarded, Self::Unguarded, Self::Ephemeral];
        kinds.into_iter().find(|kind| name == format!("{kind:?}").as_str()).unwrap()
    }
}

impl Owner {
    /// Starts an owner and waits until it says that it is ready.
    pub(crate) async fn start(folder: &Folder, kind: Kind) -> Self {
        let ready = folder.path().join("logs/ready");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "restarts::owner_for_other_tests"])
            .env(OWNER_FOLDER, folder.path())
            .env(OWNER_KIND, format!("{kind:?}"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let owner = Self(child);
        until("the owner has started its servers", || ready.exists()).await;
        owner
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill9(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

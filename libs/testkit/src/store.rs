//! One Postgres and one Redis for all test processes of a target folder.
//!
//! ```text
//! target/testkit/<uid>/start        exclusive lock while one process looks or starts
//!                      users        shared lock for the life of each test process
//!                      watchdog     exclusive lock for the life of the watchdog
//!                      watchdog.sh  its script
//!                      urls         the two URLs, mode 0600
//!                      data/        the ephemeral EmbeddedStore
//! ```
//! The first test process starts the servers and lets them go; the watchdog, a detached shell, waits
//! for an exclusive lock on `users`, which the kernel grants when the last test process is gone,
//! however it went, and then stops the servers. Should the watchdog be killed, the next test process
//! starts another one.
//!
//! `GAUNTLET_TEST_PG_URL` and `GAUNTLET_TEST_REDIS_URL`, given together, name servers to use instead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use gauntlet_embedded::{EmbeddedConfig, EmbeddedError, EmbeddedStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::client::connected;
use crate::target::target_dir;

#[cfg(test)]
mod tests;

const WATCHDOG: &str = include_str!("watchdog.sh");

/// The Postgres and the Redis that tests share.
#[derive(Debug)]
pub struct TestStore {
    postgres_url: String,
    redis_url: String,
    /// A shared lock: the servers stay while any process has one. Never read.
    _user: Option<File>,
}

impl TestStore {
    /// Returns the servers shared by all test processes; starts them if this process is the first.
    ///
    /// # Panics
    /// When they cannot be started, with the reason and what mends it.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<TestStore> = OnceCell::const_new();
        let found = SHARED.get_or_try_init(Self::find_or_start).await;
        found.unwrap_or_else(|error| panic!("no test servers: {error:#}"))
    }

    /// Returns the URL of a database to connect to for maintenance; tables go to a
    /// [`TestDatabase`](crate::TestDatabase).
    pub fn postgres_url(&self) -> &str {
        &self.postgres_url
    }

    /// Returns the URL of Redis. All tests share it: use [`Self::redis_prefix`].
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Returns a new random prefix for the keys and channels of one test.
    pub fn redis_prefix(&self) -> String {
        format!("test-{}:", random_id())
    }

    async fn find_or_start() -> anyhow::Result<Self> {
        let given = (given("GAUNTLET_TEST_PG_URL"), given("GAUNTLET_TEST_REDIS_URL"));
        match given {
            (Some(postgres_url), Some(redis_url)) => {
                return Ok(Self { postgres_url, redis_url, _user: None });
            }
            (None, None) => {}
            _ => anyhow::bail!(
                "set both of GAUNTLET_TEST_PG_URL and GAUNTLET_TEST_REDIS_URL, or none"
            ),
        }
        let uid = rustix::process::geteuid().as_raw();
        let beside = target_dir().join("testkit").join(uid.to_string());
        match Self::share(&beside).await {
            // Root with a target folder below /root: postgres cannot pass there.
            Err(error) if is_closed(&error) => Self::share(&private_temp(uid)?).await,
            other => other,
        }
    }

    /// Joins the servers of `dir` as a user, starting what is not running.
    async fn share(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let dir = fs::canonicalize(dir)?;
        // Blocks while a watchdog is stopping the servers.
        let user = lock(&dir.join("users"), Lock::Shared).await?;
        let _start = lock(&dir.join("start"), Lock::Exclusive).await?;
        let running = running_at(&dir.join("urls")).await;
        // Before the start, so that servers of a process killed midway have someone to stop them.
        ensure_watchdog(&dir, running.is_none())?;
        let (postgres_url, redis_url) = match running {
            Some(urls) => urls,
            None => start(&dir).await?,
        };
        Ok(Self { postgres_url, redis_url, _user: Some(user) })
    }
}

/// Returns random hex digits for names that must not meet.
#[expect(clippy::disallowed_methods, reason = "a test's names are not replayed")]
pub(crate) fn random_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[expect(clippy::disallowed_methods, reason = "a test binary has no clap to read it")]
fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_closed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EmbeddedError::NotTraversable { .. }))
}

/// Makes a folder in the temporary folder and checks that nobody else made it before us.
fn private_temp(uid: u32) -> anyhow::Result<PathBuf> {
    let name: String =
        target_dir().to_string_lossy().chars().map(|c| if c == '/' { '-' } else { c }).collect();
    let dir = std::env::temp_dir().join(format!("gauntlet-testkit-{uid}{name}"));
    DirBuilder::new().recursive(true).mode(0o711).create(&dir)?;
    anyhow::ensure!(fs::metadata(&dir)?.uid() == uid, "{} is not ours", dir.display());
    Ok(dir)
}

enum Lock {
    Shared,
    Exclusive,
}

/// Waits for a lock on a thread that may block; the lock lasts as long as the file.
async fn lock(path: &Path, kind: Lock) -> anyhow::Result<File> {
    let file = open_lock(path)?;
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        match kind {
            Lock::Shared => file.lock_shared(),
            Lock::Exclusive => file.lock(),
        }
        .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    })
    .await?
}

fn open_lock(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

/// Returns the URLs in `file` if both servers answer there.
async fn running_at(file: &Path) -> Option<(String, String)> {
    let text = fs::read_to_string(file).ok()?;
    let (postgres_url, redis_url) = text.trim().split_once('\n')?;
    let ask = async |client: &tokio_postgres::Client| Ok(client.batch_execute("SELECT 1").await?);
    connected(postgres_url, ask).await.ok()?;
    let redis_addr = redis_url.rsplit_once('@')?.1.trim_end_matches('/');
    TcpStream::connect(redis_addr).await.ok()?;
    Some((postgres_url.to_owned(), redis_url.to_owned()))
}

/// Starts both servers on an empty folder and lets them go.
async fn start(dir: &Path) -> anyhow::Result<(String, String)> {
    let config =
        EmbeddedConfig { stop_with_owner: false, ..EmbeddedConfig::ephemeral(dir.join("data")) };
    let store = EmbeddedStore::start(&config).await?;
    let detached = store.detach();
    let staged = dir.join("urls.new");
    // A leftover of a killed process would keep its mode.
    let _ = fs::remove_file(&staged);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    writeln!(file, "{}\n{}", detached.postgres_url, detached.redis_url)?;
    fs::rename(&staged, dir.join("urls"))?;
    Ok((detached.postgres_url, detached.redis_url))
}

/// Starts a watchdog if there is none, or if there is one that may be at its end.
fn ensure_watchdog(dir: &Path, starting: bool) -> anyhow::Result<()> {
    let lock = dir.join("watchdog");
    let present = open_lock(&lock)?.try_lock().is_err();
    if present && !starting {
        return Ok(());
    }
    let staged = dir.join("watchdog.sh.new");
    fs::write(&staged, WATCHDOG)?;
    fs::rename(&staged, dir.join("watchdog.sh"))?;
    Command::new("flock")
        .arg(&lock)
        .arg("sh")
        .arg(dir.join("watchdog.sh"))
        .env("DIR", dir)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Away from the terminal's Ctrl-C and from a runner that kills the group of a test.
        .process_group(0)
        .spawn()
        .context("cannot run flock; install it with `sudo apt-get install util-linux`")?;
    Ok(())
}

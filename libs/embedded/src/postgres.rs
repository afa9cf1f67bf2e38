//! Postgres: making the cluster, the command line of a start, and what "ready" means.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio_postgres::{Client, Config, NoTls};

use crate::account::Account;
use crate::error::EmbeddedError;
use crate::folder::{DataFolder, Log, make_private};
use crate::password::Password;
use crate::process::within;
use crate::programs::Programs;

/// The superuser and the database.
const NAME: &str = "gauntlet";
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const INITDB_LIMIT: Duration = Duration::from_secs(120);
/// Enough for every service of `gauntlet up` and for a test run on many cores.
const CONNECTIONS_MAX: u16 = 200;

/// Everything needed to start Postgres, once or again.
#[derive(Debug)]
pub(crate) struct PostgresLaunch {
    pub(crate) program: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) log: Log,
    pub(crate) account: Account,
    pub(crate) password: Password,
    pub(crate) ephemeral: bool,
}

impl PostgresLaunch {
    /// Returns the command that serves `data` on `port` of loopback.
    pub(crate) fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-D").arg(&self.data).current_dir(&self.data).env("LC_ALL", "C.UTF-8");
        let mut set = |name: &str, value: &str| {
            command.arg("-c").arg(format!("{name}={value}"));
        };
        set("listen_addresses", "127.0.0.1");
        set("port", &port.to_string());
        // No socket: its path would have to be short, and loopback with a password serves all.
        set("unix_socket_directories", "");
        set("max_connections", &CONNECTIONS_MAX.to_string());
        set("shared_buffers", "128MB");
        set("jit", "off");
        set("log_checkpoints", "off");
        if self.ephemeral {
            // Commits still reach the kernel one by one, and pages are still whole, so chaos tests
            // may kill the server; only a crash of the machine loses data.
            set("fsync", "off");
        }
        self.account.apply(&mut command);
        command
    }

    /// Returns the URL of the database.
    pub(crate) fn url(&self, port: u16) -> String {
        format!("postgres://{NAME}:{}@127.0.0.1:{port}/{NAME}", self.password.reveal())
    }

    /// Succeeds when the server takes our password; the error says what was seen instead.
    pub(crate) async fn probe(&self, port: u16) -> Result<(), String> {
        let work = async |_: &Client| Ok(());
        // A stranger on the port may accept and say nothing, which a connect timeout does not cover.
        let asked = tokio::time::timeout(PROBE_TIMEOUT, self.connected(port, work)).await;
        match asked {
            Err(_) => Err("no reply".to_owned()),
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => match error.as_db_error() {
                Some(db) => Err(db.message().to_owned()),
                None => Err(error.to_string()),
            },
        }
    }

    /// Creates our database if a crash or a first start left it absent.
    pub(crate) async fn ensure_database(&self, port: u16) -> Result<(), EmbeddedError> {
        let work = async |client: &Client| {
            let found =
                client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&NAME]).await?;
            match found {
                Some(_) => Ok(()),
                None => client.batch_execute("CREATE DATABASE gauntlet").await,
            }
        };
        self.connected(port, work).await.map_err(EmbeddedError::CreateDatabase)
    }

    /// Does `work` on one connection to the maintenance database, without a task of its own.
    async fn connected(
        &self,
        port: u16,
        work: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>,
    ) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = Config::new()
            .host("127.0.0.1")
            .port(port)
            .user(NAME)
            .password(self.password.reveal())
            .dbname("postgres")
            .connect_timeout(PROBE_TIMEOUT)
            .connect(NoTls)
            .await?;
        let work = work(&client);
        tokio::pin!(connection, work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                ended = &mut connection => ended?,
            }
        }
    }
}

/// Makes the cluster if there is none. A crash midway leaves `postgres.new`, which is thrown away.
pub(crate) async fn init(
    folder: &DataFolder,
    programs: &Programs,
    account: &Account,
    password: &Password,
    ephemeral: bool,
) -> Result<(), EmbeddedError> {
    if folder.postgres().join("PG_VERSION").exists() {
        return Ok(());
    }
    let staged = folder.postgres_staged();
    remove_staged(&staged).await?;
    make_private(&staged)?;
    account.give(&staged)?;
    // The account must read it, so it gets a copy of its own for the moment.
    let password_copy = folder.redis().join("initdb-password");
    password.write_to(&password_copy)?;
    account.give(&password_copy)?;
    let done = run_initdb(folder, programs, account, &password_copy, ephemeral).await;
    fs::remove_file(&password_copy).map_err(EmbeddedError::folder("remove", &password_copy))?;
    done?;
    fs::rename(&staged, folder.postgres())
        .map_err(EmbeddedError::folder("complete", folder.postgres()))
}

/// Throws away what a start left midway. An initdb whose owner was killed may still be writing there, and every file it
/// makes under our hands fails the removal: it is repeated until that initdb has ended.
async fn remove_staged(staged: &Path) -> Result<(), EmbeddedError> {
    let mut removed = Ok(());
    within(INITDB_LIMIT, || {
        removed = match fs::remove_dir_all(staged) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        !matches!(&removed, Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty)
    })
    .await;
    removed.map_err(EmbeddedError::folder("remove", staged))
}

async fn run_initdb(
    folder: &DataFolder,
    programs: &Programs,
    account: &Account,
    password_file: &Path,
    ephemeral: bool,
) -> Result<(), EmbeddedError> {
    let log = folder.log("initdb");
    let (out, from) = log.open()?;
    let err = out.try_clone().map_err(EmbeddedError::folder("open", &log.path))?;
    let mut command = Command::new(&programs.initdb);
    command
        .arg("-D")
        .arg(folder.postgres_staged())
        .args(["-U", NAME, "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"])
        .args(["--auth-host=scram-sha-256", "--auth-local=reject"])
        .arg(format!("--pwfile={}", password_file.display()))
        .current_dir(folder.postgres_staged())
        .env("LC_ALL", "C.UTF-8")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    if ephemeral {
        // The sync is a tenth of a second, and what it is for is the crash of the machine.
        command.arg("--no-sync");
    }
    account.apply(&mut command);
    let spawned = command.spawn();
    let mut initdb = KillOnDrop(spawned.map_err(|source| EmbeddedError::Spawn {
        program: programs.initdb.display().to_string(),
        source,
    })?);
    let mut ended = None;
    within(INITDB_LIMIT, || {
        ended = initdb.0.try_wait().transpose();
        ended.is_some()
    })
    .await;
    let status = match ended {
        Some(Ok(status)) if status.success() => return Ok(()),
        Some(Ok(status)) => status.to_string(),
        Some(Err(error)) => error.to_string(),
        None => format!("killed after {INITDB_LIMIT:?}"),
    };
    Err(EmbeddedError::InitFailed { status, tail: log.tail(from), log: log.path })
}

/// A start that is cancelled leaves no initdb behind, nor the servers that it starts to fill the cluster.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // All fail harmlessly on a process that was already waited for: its number is its own until then.
        if let Ok(None) = self.0.try_wait() {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

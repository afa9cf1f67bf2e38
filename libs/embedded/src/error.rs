//! Every way in which the embedded store refuses or fails, each with the command that mends it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the embedded store did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// A server program is not installed where we look.
    #[error(
        "{program} not found in {searched}; install it with `sudo apt-get install postgresql redis-server`"
    )]
    MissingProgram {
        /// The program looked for.
        program: &'static str,
        /// The folders looked through.
        searched: String,
    },
    /// Another process holds the folder.
    #[error(
        "{} is in use by process {holder}; stop it with `kill -INT {holder}`, or choose another data folder",
        folder.display()
    )]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The pid of the holder, as it wrote it into the lock file.
        holder: String,
    },
    /// The folder has other things in it, so its owner and mode are not ours to change.
    #[error(
        "{} is not empty and was not made by gauntlet; choose an empty or a new folder",
        folder.display()
    )]
    NotOurs {
        /// The folder that was asked for.
        folder: PathBuf,
    },
    /// The folder holds data that is meant to stay, and an ephemeral store would remove it.
    #[error("{} holds a persistent store; choose another folder for an ephemeral one", folder.display())]
    Persistent {
        /// The folder that was asked for.
        folder: PathBuf,
    },
    /// The data was written by a Postgres of another major version.
    #[error(
        "{} holds the data of postgres {data_major}, but only postgres {found} is installed; run \
         `sudo apt-get install postgresql-{data_major}`, or move the folder away to start empty",
        folder.display()
    )]
    WrongMajor {
        /// The Postgres data folder.
        folder: PathBuf,
        /// The major version that wrote it.
        data_major: String,
        /// The major versions found.
        found: String,
    },
    /// We are root and there is no unprivileged account to run the servers.
    #[error(
        "postgres does not run as root and neither user postgres nor user nobody exists; run \
         `sudo useradd --system postgres`"
    )]
    NoAccount,
    /// The unprivileged account cannot reach the data folder.
    #[error(
        "user {account} cannot pass {} on the way to {}; run `chmod o+x {}`, or choose a data folder \
         elsewhere, such as /var/lib/gauntlet",
        blocked_at.display(), folder.display(), blocked_at.display()
    )]
    NotTraversable {
        /// The data folder.
        folder: PathBuf,
        /// The first parent that is closed to the account.
        blocked_at: PathBuf,
        /// The account's name.
        account: String,
    },
    /// The data is there but the password for it is not.
    #[error("{} is missing; restore it, or move the data folder away to start empty", file.display())]
    PasswordMissing {
        /// The password file.
        file: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {what} {}", path.display())]
    Folder {
        /// The operation, as a verb.
        what: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Spawn {
        /// The program.
        program: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb failed ({status}); the end of {}:\n{tail}", log.display())]
    InitFailed {
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// A server ended while we waited for it to answer.
    #[error("{server} ended while starting ({status}); the end of {}:\n{tail}", log.display())]
    ExitedEarly {
        /// `postgres` or `redis`.
        server: &'static str,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// A server did not answer in time.
    #[error(
        "{server} did not answer within {waited:?} ({last}); the end of {}:\n{tail}",
        log.display()
    )]
    NotReady {
        /// `postgres` or `redis`.
        server: &'static str,
        /// How long we waited.
        waited: Duration,
        /// What the last probe saw.
        last: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// Each port that was free when we asked was taken when the server bound it.
    #[error("{server} found no free port on 127.0.0.1 in {tries} tries")]
    NoFreePort {
        /// `postgres` or `redis`.
        server: &'static str,
        /// How many ports were tried.
        tries: usize,
    },
    /// A server left behind by a killed owner does not go away.
    #[error("process {pid}, left behind on {}, does not end; run `kill -9 {pid}`", folder.display())]
    OrphanStuck {
        /// The process.
        pid: u32,
        /// The data folder it holds.
        folder: PathBuf,
    },
    /// `start_again` was called on a running server.
    #[error("{server} is still running as process {pid}")]
    StillRunning {
        /// `postgres` or `redis`.
        server: &'static str,
        /// The process.
        pid: u32,
    },
    /// The database could not be created.
    #[error("cannot create the database gauntlet")]
    CreateDatabase(#[source] tokio_postgres::Error),
}

impl EmbeddedError {
    /// Returns a closure that wraps an I/O error of doing `what` to `path`.
    pub(crate) fn folder(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Folder { what, path, source }
    }
}

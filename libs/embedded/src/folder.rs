//! The data folder: its layout, its lock, and who may pass through it.
//!
//! ```text
//! <data_dir>/gauntlet.lock   held with flock by the owner, its pid inside; also marks the folder as ours
//!            password        0600, the scram and requirepass password
//!            postgres/       the cluster; made as postgres.new and renamed when complete
//!            redis/          redis.conf and the append-only file
//!            logs/           initdb.log, postgres.log, redis.log
//! ```
//! The kernel drops the lock when its holder dies, so a crash never leaves a folder locked.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::EmbeddedError;

const LOCK_FILE: &str = "gauntlet.lock";
/// In the lock file of a folder that may be removed.
const EPHEMERAL_MARK: &str = "ephemeral";
/// A log larger than this is set aside at the next start.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of a log goes into an error.
const TAIL_LINES: usize = 15;

/// A data folder that this process holds.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    lock: File,
}

impl Drop for DataFolder {
    /// Unlocks by name: closing is not enough while a child that another thread just forked still
    /// has a copy of the handle.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::debug!(folder = %self.root.display(), %error, "folder not unlocked");
        }
    }
}

impl DataFolder {
    /// Makes the folder if it is absent and locks it.
    pub(crate) fn claim(path: &Path, ephemeral: bool) -> Result<Self, EmbeddedError> {
        DirBuilder::new()
            .recursive(true)
            .create(path)
            .map_err(EmbeddedError::folder("create", path))?;
        // The canonical path is what we look for on command lines after a crash.
        let root = fs::canonicalize(path).map_err(EmbeddedError::folder("resolve", path))?;
        let marked = root.join(LOCK_FILE).exists();
        if !marked {
            let mut entries = fs::read_dir(&root).map_err(EmbeddedError::folder("list", &root))?;
            if entries.next().is_some() {
                return Err(EmbeddedError::NotOurs { folder: root });
            }
        }
        let lock = lock(&root, ephemeral)?;
        Ok(Self { root, lock })
    }

    /// Makes the inner folders and lets `account` pass; checks that it can come this far.
    pub(crate) fn open_to(&self, account: &Account) -> Result<(), EmbeddedError> {
        set_mode(&self.root, 0o710)?;
        account.give_group(&self.root)?;
        account.check_reach(&self.postgres())?;
        make_private(&self.root.join("logs"))?;
        make_private(&self.redis())?;
        account.give(&self.redis())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    pub(crate) fn postgres_staged(&self) -> PathBuf {
        self.root.join("postgres.new")
    }

    pub(crate) fn redis(&self) -> PathBuf {
        self.root.join("redis")
    }

    pub(crate) fn redis_conf(&self) -> PathBuf {
        self.redis().join("redis.conf")
    }

    pub(crate) fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    pub(crate) fn log(&self, name: &str) -> Log {
        Log { path: self.root.join("logs").join(format!("{name}.log")) }
    }
}

/// Makes a folder with mode 0700, or gives an existing one that mode.
pub(crate) fn make_private(path: &Path) -> Result<(), EmbeddedError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(EmbeddedError::folder("create", path))?;
    set_mode(path, 0o700)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), EmbeddedError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(EmbeddedError::folder("change the mode of", path))
}

/// Takes the lock and writes into it who we are and whether the data may be removed.
fn lock(root: &Path, ephemeral: bool) -> Result<File, EmbeddedError> {
    let path = root.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(EmbeddedError::folder("open", &path))?;
    let locked = file.try_lock();
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(EmbeddedError::folder("read", &path))?;
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = text.lines().next().unwrap_or("unknown").to_owned();
            return Err(EmbeddedError::Locked { folder: root.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(EmbeddedError::folder("lock", path)(error)),
    }
    if ephemeral && !text.is_empty() && !text.contains(EPHEMERAL_MARK) {
        return Err(EmbeddedError::Persistent { folder: root.to_owned() });
    }
    let mark = if ephemeral { EPHEMERAL_MARK } else { "persistent" };
    write_over(&mut file, &format!("{}\n{mark}\n", std::process::id()))
        .map_err(EmbeddedError::folder("write", &path))?;
    Ok(file)
}

fn write_over(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

/// The log file of one program.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
}

impl Log {
    /// Opens the log for appending; also returns where it ends now, so that a tail stays with one start.
    pub(crate) fn open(&self) -> Result<(File, u64), EmbeddedError> {
        let open = || -> io::Result<(File, u64)> {
            if fs::metadata(&self.path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
                fs::rename(&self.path, self.path.with_extension("log.old"))?;
            }
            let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        open().map_err(EmbeddedError::folder("open", &self.path))
    }

    /// Returns what was written after `from`.
    pub(crate) fn since(&self, from: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            file.seek(io::SeekFrom::Start(from))?;
            let mut text = Vec::new();
            file.take(LOG_BYTES_MAX).read_to_end(&mut text)?;
            Ok(text)
        };
        read().map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Returns the last lines written after `from`.
    pub(crate) fn tail(&self, from: u64) -> String {
        let text = self.since(from);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

//! Servers that outlived a killed owner: found by their command line, stopped before a new start.
//!
//! Runs under the folder's lock, so whatever still runs on the folder has no owner. Pid files are not
//! believed: a stale one may name a stranger, and Redis or initdb may die before writing one.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::EmbeddedError;
use crate::folder::DataFolder;
use crate::process::{Pid, children_of, is_program_on, processes_where, signal, with_args, within};

/// How long killed processes may take to leave the process table.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Stops everything that still runs on `folder`, politely first.
pub(crate) async fn stop(folder: &DataFolder, grace: Duration) -> Result<(), EmbeddedError> {
    let (postgres, redis) = (folder.postgres(), folder.redis_conf());
    let staged = folder.postgres_staged();
    // initdb starts over anyway. Its bootstrap server names the folder too.
    for program in ["initdb", "postgres"] {
        stop_program(folder, program, &staged, Signal::KILL, grace).await?;
    }
    stop_program(folder, "postgres", &postgres, Signal::INT, grace).await?;
    stop_program(folder, "redis-server", &redis, Signal::TERM, grace).await?;
    remove_foreign_pid_file(&postgres)
}

async fn stop_program(
    folder: &DataFolder,
    program: &str,
    path: &Path,
    first: Signal,
    grace: Duration,
) -> Result<(), EmbeddedError> {
    let ours = |args: &[&OsStr]| is_program_on(args, program, path);
    let found = processes_where(ours);
    let ended = |pid: Pid| !with_args(pid, ours);
    for pid in found {
        tracing::info!(pid = pid.as_raw_pid(), program, "stopping a server left by a killed owner");
        signal(pid, first);
        if within(grace, || ended(pid)).await {
            continue;
        }
        tracing::warn!(pid = pid.as_raw_pid(), program, "the orphan does not stop, killing it");
        let children = children_of(pid);
        for one in std::iter::once(pid).chain(children) {
            signal(one, Signal::KILL);
        }
        if !within(KILL_LIMIT, || ended(pid)).await {
            let pid = pid.as_raw_pid().unsigned_abs();
            return Err(EmbeddedError::OrphanStuck { pid, folder: folder.root().to_owned() });
        }
    }
    Ok(())
}

/// Removes a `postmaster.pid` whose number has since been given to a process that is not ours:
/// Postgres would take that process for its predecessor and refuse to start.
fn remove_foreign_pid_file(data: &Path) -> Result<(), EmbeddedError> {
    let file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let pid = text.lines().next().and_then(|line| Pid::from_raw(line.trim().parse().ok()?));
    match pid {
        Some(pid) if with_args(pid, |_| true) => {
            fs::remove_file(&file).map_err(EmbeddedError::folder("remove", file))
        }
        _ => Ok(()),
    }
}

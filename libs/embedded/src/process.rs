//! Processes as `/proc` shows them: find by command line, signal, wait until gone.
//!
//! Every pid is checked against its command line again before each signal, because a pid is only a
//! number that the kernel gives out again.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

pub use rustix::process::Pid;
use rustix::process::{Signal, kill_process};

/// How often a condition on a process is looked at.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Returns the processes whose arguments satisfy `matches`; kernel threads and zombies have none.
pub fn processes_where(matches: impl Fn(&[&OsStr]) -> bool) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(|pid| with_args(*pid, |args| matches(args)))
        .collect()
}

/// Asks a question about the arguments of one process; false if it is gone.
pub(crate) fn with_args(pid: Pid, matches: impl Fn(&[&OsStr]) -> bool) -> bool {
    let Ok(raw) = fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())) else { return false };
    let args: Vec<&OsStr> =
        raw.split(|byte| *byte == 0).filter(|arg| !arg.is_empty()).map(OsStr::from_bytes).collect();
    !args.is_empty() && matches(&args)
}

/// Returns true if `args` is `program` run on exactly `path`.
pub(crate) fn is_program_on(args: &[&OsStr], program: &str, path: &Path) -> bool {
    let name = args.first().and_then(|first| Path::new(first).file_name());
    name == Some(OsStr::new(program)) && args.iter().skip(1).any(|arg| *arg == path.as_os_str())
}

/// Returns the direct children of a process.
pub(crate) fn children_of(parent: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(|pid| parent_of(*pid) == Some(parent.as_raw_pid()))
        .collect()
}

/// Reads the parent from `/proc/<pid>/stat`; the name before it may hold spaces and brackets.
fn parent_of(pid: Pid) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// Sends a signal; a process that is already gone is what the caller wanted anyway.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        tracing::debug!(pid = pid.as_raw_pid(), ?signal, %error, "signal not delivered");
    }
}

/// Returns true if the process exists and has not ended; a zombie has.
pub(crate) fn is_alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with('Z')))
        .unwrap_or(false)
}

/// Waits until `condition` holds; returns false if it does not within `limit`.
pub(crate) async fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ours_only_by_name_and_exact_path() {
        let args = |line: &'static str| line.split(' ').map(OsStr::new).collect::<Vec<_>>();
        let data = Path::new("/data/postgres");
        assert!(is_program_on(&args("/usr/bin/postgres -D /data/postgres"), "postgres", data));
        assert!(!is_program_on(&args("/usr/bin/postgres -D /data/postgres2"), "postgres", data));
        assert!(!is_program_on(&args("vim /data/postgres"), "postgres", data));
    }

    #[test]
    fn this_process_is_alive_and_has_arguments() {
        let me = rustix::process::getpid();
        assert!(is_alive(me));
        assert!(with_args(me, |args| !args.is_empty()));
    }
}

//! Processes by a marker on their command line, to find what a test left behind.

use gauntlet_embedded::{Pid, processes_where};

/// Returns the processes, this one excepted, that carry `marker` anywhere on their command line.
///
/// Use a marker that only the test knows, such as the path of its temporary folder.
pub fn processes_with_marker(marker: &str) -> Vec<Pid> {
    let me = rustix::process::getpid();
    let mut found =
        processes_where(|args| args.iter().any(|arg| arg.to_string_lossy().contains(marker)));
    found.retain(|pid| *pid != me);
    found
}

/// Kills one process; one that is gone already is fine.
pub fn kill9(pid: Pid) {
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

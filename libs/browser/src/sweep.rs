//! Profile folders: their names say whose they are, so that a new executor can clear what a dead one left (G8).

use std::{fs, io, path::Path, path::PathBuf, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

const PREFIX: &str = "gauntlet-";
const OWNER_FILE: &str = "owner";
/// Rounds of killing: who forks meanwhile is met in the next one.
const CLEAR_ROUNDS_MAX: u32 = 5;
const CLEAR_PAUSE: Duration = Duration::from_millis(20);

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepReport {
    /// Folders of dead owners that were removed.
    pub profiles_removed: u32,
    /// Processes of dead owners that were killed.
    pub processes_killed: u32,
}

/// Returns `marker` as it appears in command lines and folder names.
pub(crate) fn safe(marker: &str) -> String {
    marker.chars().take(64).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Returns what every process that runs for `marker` carries in its command line or its environment.
pub(crate) fn tag(marker: &str) -> String {
    format!("gauntlet-run-{}", safe(marker))
}

/// Makes an empty folder that says who owns it, so that [`sweep_stale`] removes it once that process is dead.
///
/// # Errors
/// When `parent` cannot be written to.
pub fn make_owned_folder(parent: &Path, marker: &str) -> io::Result<PathBuf> {
    let pid = std::process::id();
    let folder = tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-{pid}-", safe(marker)))
        .rand_bytes(6)
        .tempdir_in(parent)?;
    let started = started_at(pid).unwrap_or_default();
    fs::write(folder.path().join(OWNER_FILE), format!("{pid} {started}"))?;
    Ok(folder.keep())
}

/// Removes profile folders in `parent` whose owners are dead, and kills processes that still use them.
///
/// Call it once at start-up. Folders of living owners, and folders that are not ours, are left alone.
#[must_use]
pub fn sweep_stale(parent: &Path) -> SweepReport {
    let mut report = SweepReport::default();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let folder = entry.path();
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !ours || !folder.join(OWNER_FILE).is_file() || owner_lives(&folder) {
            continue;
        }
        let (killed, removed) = clear(&folder);
        report.processes_killed += killed;
        report.profiles_removed += u32::from(removed);
    }
    report
}

/// Kills every process that uses a profile folder, and removes it; returns how many, and whether it could.
pub(crate) fn clear(folder: &Path) -> (u32, bool) {
    let mut killed = 0;
    for _ in 0..CLEAR_ROUNDS_MAX {
        match kill_users_of(folder) {
            0 => break,
            some => killed += some,
        }
        // The dead ones still count until the kernel is done with them.
        std::thread::sleep(CLEAR_PAUSE);
    }
    (killed, fs::remove_dir_all(folder).is_ok())
}

fn owner_lives(folder: &Path) -> bool {
    let owner = fs::read_to_string(folder.join(OWNER_FILE)).unwrap_or_default();
    let mut words = owner.split(' ');
    let (Some(pid), started) = (words.next().and_then(|pid| pid.parse().ok()), words.next()) else {
        // Not written yet: somebody is just making it.
        return true;
    };
    started_at(pid).is_some_and(|now| started.is_none_or(|then| then.is_empty() || then == now))
}

/// Returns when a process started, in clock ticks since boot: a pid alone may have been reused.
fn started_at(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19).map(str::to_owned)
}

fn kill_users_of(folder: &Path) -> u32 {
    let Some(folder) = folder.to_str() else { return 0 };
    let mut killed = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid =
            entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        // Chromium's children write over their environment, those of others are not named on their command line.
        let uses = ["cmdline", "environ"].iter().any(|file| {
            let text = fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(folder)
        });
        if uses && kill_process(pid, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

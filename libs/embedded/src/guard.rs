//! The guard: a shell that stops the servers when we are killed and cannot do it ourselves.
//!
//! It holds the reading end of a pipe and we the other one, which the kernel closes however we end.
//! `PR_SET_PDEATHSIG` would be shorter, but it fires when the *thread* that forked ends, and an async
//! runtime ends threads at will. Without a guard nothing is lost: the next start finds the orphans.

use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::error::EmbeddedError;
use crate::process::Pid;

const SCRIPT: &str = include_str!("guard.sh");

/// A handle on the guard; a store that outlives its owner has an empty one.
#[derive(Debug, Default)]
pub(crate) struct Guard(Mutex<Option<Child>>);

impl Guard {
    /// Starts a guard of the servers in `root`.
    pub(crate) fn start(root: &Path, ephemeral: bool) -> Result<Self, EmbeddedError> {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "gauntlet-guard"])
            .arg(root)
            .arg(if ephemeral { "yes" } else { "no" })
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own group, so that a Ctrl-C or a kill of ours does not take it along.
            .process_group(0)
            .spawn()
            .map_err(|source| EmbeddedError::Spawn { program: "/bin/sh".to_owned(), source })?;
        Ok(Self(Mutex::new(Some(child))))
    }

    /// Tells the guard which process is `server` now, or that none is.
    pub(crate) fn watch(&self, server: &str, pid: Option<Pid>) {
        let pid = pid.map(|pid| pid.as_raw_pid().to_string()).unwrap_or_default();
        self.say(&format!("{server} {pid}\n"));
    }

    /// Ends the guard without it touching anything.
    pub(crate) fn dismiss(&self) {
        self.say("done\n");
        self.close();
    }

    /// Closes the pipe and collects the guard. It still does its work if it was not told "done".
    fn close(&self) {
        let child = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            drop(child.stdin.take());
            if let Err(error) = child.wait() {
                tracing::debug!(%error, "the guard was not reaped");
            }
        }
    }

    fn say(&self, line: &str) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stdin) = slot.as_mut().and_then(|child| child.stdin.as_mut()) else { return };
        if let Err(error) = stdin.write_all(line.as_bytes()) {
            tracing::warn!(%error, "the guard is gone; servers will outlive a kill of this process");
        }
    }
}

impl Drop for Guard {
    /// A start that failed midway: the guard removes an ephemeral folder.
    fn drop(&mut self) {
        self.close();
    }
}

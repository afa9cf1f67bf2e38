//! The real `gauntlet` binary as a child process, to be signalled, killed and read.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use gauntlet_embedded::Pid;
use rustix::process::{Signal, kill_process};

use crate::store::random_id;
use crate::target::{profile_dir, target_dir, workspace_dir};
use crate::wait::wait_until;

/// What, when newer than the binary, makes it stale.
const SOURCES: [&str; 3] = ["libs", "services", "proto"];
const SOURCE_EXTENSIONS: [&str; 5] = ["rs", "toml", "sql", "proto", "sh"];
/// How much of the output goes into a panic.
const TAIL_LINES: usize = 30;

/// A running `gauntlet`, in a process group of its own, killed on drop.
#[derive(Debug)]
pub struct GauntletProcess {
    child: Child,
    output: PathBuf,
}

impl GauntletProcess {
    /// Starts `gauntlet` with these arguments, building it first if it is missing or stale.
    ///
    /// # Panics
    /// When it cannot be built or started.
    pub fn spawn<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self::spawn_with(args, [])
    }

    /// Like [`Self::spawn`], with additional environment variables.
    ///
    /// # Panics
    /// When it cannot be built or started.
    pub fn spawn_with<'a, A: AsRef<OsStr>>(
        args: impl IntoIterator<Item = A>,
        env: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut command = Command::new(Self::binary());
        command.args(args).envs(env);
        Self::spawn_command(command)
    }

    /// Starts any command under the same controls, such as a helper that runs `gauntlet` itself.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_command(mut command: Command) -> Self {
        let output = target_dir().join("testkit/output");
        fs::create_dir_all(&output).expect("a folder for the output of gauntlet");
        let output = output.join(format!("{}.log", random_id()));
        let out = File::create(&output).expect("a file for the output of gauntlet");
        let err = out.try_clone().expect("a second handle on the output file");
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
        Self { child, output }
    }

    /// Returns the path of a `gauntlet` that is not older than its sources.
    ///
    /// # Panics
    /// When cargo cannot build it, with cargo's output.
    pub fn binary() -> &'static Path {
        static BINARY: OnceLock<PathBuf> = OnceLock::new();
        BINARY.get_or_init(find_or_build)
    }

    /// Returns the process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns standard output and standard error so far, interleaved.
    pub fn output(&self) -> String {
        fs::read(&self.output)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until the output contains `text` and returns the output.
    ///
    /// # Panics
    /// After `within`, or at once if the process ends first; both print the end of the output.
    pub async fn wait_for_output(&mut self, text: &str, within: Duration) -> String {
        let what = format!("gauntlet prints {text:?}");
        let probe = async || {
            let output = self.output();
            if output.contains(text) {
                return Ok(output);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("gauntlet ended ({status}) before it printed {text:?}:\n{}", tail(&output));
            }
            Err(Tail(tail(&output)))
        };
        wait_until(within, &what, probe).await
    }

    /// Waits until the process ends and returns its status.
    ///
    /// # Panics
    /// After `within`, with the end of its output.
    pub async fn wait(&mut self, within: Duration) -> ExitStatus {
        let probe = async || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => Err(Tail(tail(&self.output()))),
        };
        wait_until(within, "gauntlet ends", probe).await
    }

    /// Returns true if the process has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn sigint(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGTERM, as Kubernetes does.
    pub fn sigterm(&self) {
        self.signal(Signal::TERM);
    }

    /// Freezes the process.
    pub fn sigstop(&self) {
        self.signal(Signal::STOP);
    }

    /// Thaws the process.
    pub fn sigcont(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the process, and only it, as the OOM killer does; its children are orphaned.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, signal: Signal) {
        // Not yet waited for, so the pid is still ours, at worst a zombie.
        let _ = kill_process(self.pid(), signal);
    }
}

impl Drop for GauntletProcess {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.output.display(), tail(&self.output()));
        } else {
            let _ = fs::remove_file(&self.output);
        }
    }
}

/// Prints as the text itself: a log is unreadable with its newlines escaped.
struct Tail(String);

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the output:\n{}", self.0)
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn find_or_build() -> PathBuf {
    let profile = profile_dir();
    let binary = profile.join("gauntlet");
    let built = fs::metadata(&binary).and_then(|meta| meta.modified()).ok();
    let newest = SOURCES.iter().filter_map(|dir| newest_in(&workspace_dir().join(dir))).max();
    if built.is_some() && built >= newest {
        return binary;
    }
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    // The whole workspace, or features are unified differently and the dependencies built again.
    cargo.args(["build", "--workspace", "--bin", "gauntlet", "--target-dir"]).arg(target_dir());
    match profile.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => {}
        Some(name) => {
            cargo.args(["--profile", name]);
        }
    }
    let output = cargo.current_dir(workspace_dir()).output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo cannot build gauntlet:\n{}", tail(&text));
    binary
}

/// Returns when the newest source below `dir` was changed; tests are not part of the binary.
fn newest_in(dir: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let newest = entries.filter_map(|entry| {
        let (path, kind) = (entry.path(), entry.file_type().ok()?);
        if kind.is_dir() {
            return if path.ends_with("tests") { None } else { newest_in(&path) };
        }
        let extension = path.extension()?.to_str()?;
        SOURCE_EXTENSIONS.contains(&extension).then(|| entry.metadata().ok()?.modified().ok())?
    });
    newest.max()
}

//! Settings: what may be given by flags and environment, and what is made of it.
//!
//! The only reader of the environment in this service. Every problem is reported at once.

use crate::fault::{Fault, FaultPoint};
use clap::Args as ClapArgs;
use egress::EgressArgs;
use gauntlet_browser::Grid;
use gauntlet_bus::{RedisArgs, RedisConfig};
use gauntlet_core::limits::EXECUTOR_SLOTS_MAX;
use gauntlet_proto::v1;
use gauntlet_rpc::ServerArgs;
use grid::GridArgs;
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

mod egress;
mod grid;

pub use egress::EgressConfig;

/// Longest name of an executor, in characters.
const NAME_LENGTH_MAX: usize = 128;

/// Settings as given; flatten it into a program's arguments.
#[derive(ClapArgs, Clone, Debug)]
pub struct Args {
    /// Name of the executor, for people.
    #[arg(long, env = "GAUNTLET_EXECUTOR_NAME", default_value = "executor")]
    pub name: String,
    /// Tests to run at once; 1 to 64. A headless shell wants half a core.
    #[arg(long, env = "GAUNTLET_EXECUTOR_SLOTS", default_value_t = 2)]
    pub slots: u32,
    /// Where the scheduler is.
    #[arg(long, env = "GAUNTLET_EXECUTOR_SCHEDULER", default_value = "http://127.0.0.1:7001")]
    pub scheduler: String,
    /// Where results is.
    #[arg(long, env = "GAUNTLET_EXECUTOR_RESULTS", default_value = "http://127.0.0.1:7002")]
    pub results: String,
    /// How long a drain may take, in seconds; running tests get nine tenths of it to finish.
    #[arg(long, env = "GAUNTLET_EXECUTOR_GRACE_SECONDS", default_value_t = 30)]
    pub grace_seconds: u64,
    /// Folder for browser profiles; the system's folder for temporary files when not set.
    #[arg(long, env = "GAUNTLET_EXECUTOR_BROWSER_DIR")]
    pub browser_dir: Option<PathBuf>,
    /// Folder whose files tests may give to pages; none when not set.
    #[arg(long, env = "GAUNTLET_EXECUTOR_FILES_DIR")]
    pub files_dir: Option<PathBuf>,
    /// Full Chromium, instead of looking for it.
    #[arg(long, env = "GAUNTLET_EXECUTOR_CHROMIUM")]
    pub chromium: Option<PathBuf>,
    /// The headless shell, instead of looking for it.
    #[arg(long, env = "GAUNTLET_EXECUTOR_HEADLESS_SHELL")]
    pub headless_shell: Option<PathBuf>,
    /// Chromium's driver, instead of looking for it.
    #[arg(long, env = "GAUNTLET_EXECUTOR_CHROMEDRIVER")]
    pub chromedriver: Option<PathBuf>,
    /// Firefox, instead of looking for it.
    #[arg(long, env = "GAUNTLET_EXECUTOR_FIREFOX")]
    pub firefox: Option<PathBuf>,
    /// Firefox's driver, instead of looking for it.
    #[arg(long, env = "GAUNTLET_EXECUTOR_GECKODRIVER")]
    pub geckodriver: Option<PathBuf>,
    /// WebKit's small browser, instead of looking for it.
    #[arg(long, env = "GAUNTLET_EXECUTOR_WEBKIT")]
    pub webkit: Option<PathBuf>,
    /// WebKit's driver, instead of looking for it.
    #[arg(long, env = "GAUNTLET_EXECUTOR_WEBKITDRIVER")]
    pub webkitdriver: Option<PathBuf>,
    /// Maker of videos, instead of looking for it; without one, runs with video go to other executors.
    #[arg(long, env = "GAUNTLET_EXECUTOR_FFMPEG")]
    pub ffmpeg: Option<PathBuf>,
    /// Folder for artifacts on their way to results; the folder for browser profiles when not set.
    #[arg(long, env = "GAUNTLET_EXECUTOR_SPOOL_DIR")]
    pub spool_dir: Option<PathBuf>,
    /// Artifacts kept there while results is away, in MiB; what comes on top is given up.
    #[arg(long, env = "GAUNTLET_EXECUTOR_SPOOL_MIB", default_value_t = 1024)]
    pub spool_mib: u32,
    /// A remote endpoint of browsers (Selenium Grid, Moon).
    #[command(flatten)]
    pub grid: GridArgs,
    /// Whom pages may reach.
    #[command(flatten)]
    pub egress: EgressArgs,
    /// Command that supervises a browser, one word each time it is given; this program's `supervise` when not set.
    #[arg(
        long,
        env = "GAUNTLET_EXECUTOR_SUPERVISOR",
        allow_hyphen_values = true,
        value_delimiter = ' '
    )]
    pub supervisor: Vec<OsString>,
    /// Recordings kept in memory, in MiB.
    #[arg(long, env = "GAUNTLET_EXECUTOR_RECORDING_CACHE_MIB", default_value_t = 64)]
    pub recording_cache_mib: u32,
    /// Address to serve.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Where to stop for ever (see `fault.rs`).
    #[arg(long, hide = true, value_enum, requires = "fault_file")]
    pub fault_point: Option<FaultPoint>,
    /// What to write there.
    #[arg(long, hide = true, requires = "fault_point")]
    pub fault_file: Option<PathBuf>,
}

/// Validated settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the executor, for people.
    pub name: String,
    /// Tests to run at once.
    pub slots: u32,
    /// URL of the scheduler.
    pub scheduler: String,
    /// URL of results.
    pub results: String,
    /// Address to serve; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long a drain may take.
    pub grace: Duration,
    /// Where and which browsers.
    pub browsers: BrowserPaths,
    /// Whom their pages may reach.
    pub egress: EgressConfig,
    /// Folder whose files tests may give to pages.
    pub files_dir: Option<PathBuf>,
    /// Bytes of recordings kept in memory.
    pub recording_cache_bytes_max: usize,
    /// Maker of videos, instead of looking for it.
    pub ffmpeg: Option<PathBuf>,
    /// Folder for artifacts on their way to results.
    pub spool_dir: PathBuf,
    /// MiB of artifacts kept there.
    pub spool_mib_max: u32,
    /// Redis, or none.
    pub redis: RedisConfig,
    /// Where to stop for ever, if anywhere.
    pub fault: Fault,
}

/// Where and which browsers.
#[derive(Debug, Clone, Default)]
pub struct BrowserPaths {
    /// Folder for profiles; none is the system's folder for temporary files.
    pub folder: Option<PathBuf>,
    /// Full Chromium, instead of looking for it.
    pub chromium: Option<PathBuf>,
    /// The headless shell, instead of looking for it.
    pub headless_shell: Option<PathBuf>,
    /// Chromium's driver, instead of looking for it.
    pub chromedriver: Option<PathBuf>,
    /// Firefox, instead of looking for it.
    pub firefox: Option<PathBuf>,
    /// Firefox's driver, instead of looking for it.
    pub geckodriver: Option<PathBuf>,
    /// `WebKit`'s small browser, instead of looking for it.
    pub webkit: Option<PathBuf>,
    /// `WebKit`'s driver, instead of looking for it.
    pub webkitdriver: Option<PathBuf>,
    /// Where sessions come from instead of from browsers of this machine.
    pub grid: Option<Arc<Grid>>,
    /// Browsers that the grid has.
    pub grid_browsers: Vec<v1::Browser>,
    /// Command that supervises a browser.
    pub supervisor: Vec<OsString>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("bad configuration: {}", problems.join("; "))]
pub struct ConfigError {
    /// The problems, in the order of the settings.
    pub problems: Vec<String>,
}

impl Args {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem.
    pub fn config(self) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        if self.name.is_empty() || self.name.chars().count() > NAME_LENGTH_MAX {
            problems.push(format!("--name must have 1 to {NAME_LENGTH_MAX} characters"));
        }
        if !(1..=EXECUTOR_SLOTS_MAX).contains(&self.slots) {
            problems.push(format!("--slots must be 1 to {EXECUTOR_SLOTS_MAX}"));
        }
        if self.grace_seconds == 0 {
            problems.push("--grace-seconds must be at least 1".to_owned());
        }
        let supervisor =
            if self.supervisor.is_empty() { default_supervisor() } else { Ok(self.supervisor) };
        let supervisor = supervisor.unwrap_or_else(|error| {
            problems.push(format!("--supervisor is needed, this program cannot be found: {error}"));
            Vec::new()
        });
        let redis = self.redis.config().unwrap_or_else(|error| {
            problems.push(gauntlet_runtime::error_chain(&error));
            RedisConfig::off()
        });
        let grid = self.grid.grid(self.slots).unwrap_or_else(|mut wrong| {
            problems.append(&mut wrong);
            None
        });
        let egress = self.egress.config([&self.scheduler, &self.results], redis.address());
        let egress = egress.unwrap_or_else(|mut wrong| {
            problems.append(&mut wrong);
            EgressConfig::default()
        });
        if let Some(ffmpeg) = self.ffmpeg.as_ref().filter(|ffmpeg| !ffmpeg.is_file()) {
            problems.push(format!("--ffmpeg {} is no file", ffmpeg.display()));
        }
        let spool_dir = self.spool_dir.or_else(|| self.browser_dir.clone());
        if let Some(folder) = self.files_dir.as_deref().filter(|folder| !folder.is_dir()) {
            problems.push(format!("--files-dir {} is no folder", folder.display()));
        }
        let fault =
            self.fault_point.zip(self.fault_file).map(|(point, file)| Fault::at(point, file));
        let config = Config {
            name: self.name,
            slots: self.slots,
            scheduler: self.scheduler,
            results: self.results,
            listen: self.server.listen,
            grace: Duration::from_secs(self.grace_seconds),
            browsers: BrowserPaths {
                folder: self.browser_dir,
                chromium: self.chromium,
                headless_shell: self.headless_shell,
                chromedriver: self.chromedriver,
                firefox: self.firefox,
                geckodriver: self.geckodriver,
                webkit: self.webkit,
                webkitdriver: self.webkitdriver,
                grid,
                grid_browsers: self.grid.browsers.iter().map(|browser| (*browser).into()).collect(),
                supervisor,
            },
            egress,
            files_dir: self.files_dir,
            recording_cache_bytes_max: self.recording_cache_mib as usize * 1024 * 1024,
            ffmpeg: self.ffmpeg,
            spool_dir: spool_dir.unwrap_or_else(std::env::temp_dir),
            spool_mib_max: self.spool_mib,
            redis,
            fault: fault.unwrap_or_default(),
        };
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }
}

fn default_supervisor() -> std::io::Result<Vec<OsString>> {
    Ok(vec![std::env::current_exe()?.into(), "supervise".into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let args = Program::parse_from([
            "x",
            "--slots",
            "65",
            "--name",
            "",
            "--redis-prefix",
            "a b",
            "--ffmpeg",
            "/",
            "--files-dir",
            "/nowhere",
        ]);
        assert_eq!(args.args.config().unwrap_err().problems.len(), 5);
    }

    #[test]
    fn the_supervisor_is_this_program_unless_given() {
        let config = Program::parse_from(["x"]).args.config().unwrap();
        assert_eq!(config.browsers.supervisor[1..], ["supervise"]);
        let config = Program::parse_from(["x", "--supervisor", "/bin/sup", "--supervisor", "-v"]);
        assert_eq!(config.args.config().unwrap().browsers.supervisor, ["/bin/sup", "-v"]);
    }
}

//! Finds the browser and its driver: on `PATH`, then where Debian puts them.

use std::path::{Path, PathBuf};

use crate::{BrowserConfig, BrowserKind, LaunchError};

/// The two programs a browser needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The browser itself.
    pub browser: PathBuf,
    /// Its driver.
    pub driver: PathBuf,
}

impl Programs {
    /// Finds the programs that `config` asks for.
    ///
    /// # Errors
    /// [`LaunchError::ProgramMissing`] names the Debian package that mends it.
    pub fn find(config: &BrowserConfig) -> Result<Self, LaunchError> {
        let (program, package, places): (_, _, &[&str]) = match config.kind {
            BrowserKind::HeadlessShell => (
                "chromium-headless-shell",
                "chromium-headless-shell",
                // The real program first: the one in /usr/bin is a shell script around it.
                &["/usr/lib/chromium/chromium-headless-shell", "/usr/bin/chromium-headless-shell"],
            ),
            BrowserKind::Chromium | BrowserKind::ChromiumHeaded => {
                ("chromium", "chromium", &["/usr/bin/chromium", "/usr/lib/chromium/chromium"])
            }
        };
        let browser = find(config.browser_program.as_deref(), program, package, places)?;
        let driver = find(
            config.driver_program.as_deref(),
            "chromedriver",
            "chromium-driver",
            &["/usr/bin/chromedriver", "/usr/lib/chromium/chromedriver"],
        )?;
        Ok(Self { browser, driver })
    }
}

fn find(
    chosen: Option<&Path>,
    program: &'static str,
    package: &'static str,
    places: &[&str],
) -> Result<PathBuf, LaunchError> {
    let missing = LaunchError::ProgramMissing { program, package };
    if let Some(path) = chosen {
        return if path.is_file() { Ok(path.to_owned()) } else { Err(missing) };
    }
    let usual = places.iter().map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).map(|folder| folder.join(program)).collect();
    usual.chain(on_path).find(|candidate| candidate.is_file()).ok_or(missing)
}

/// Tells whether Chromium's sandbox can be on: it refuses to run as root (G9).
#[must_use]
pub fn sandbox_possible() -> bool {
    !rustix::process::geteuid().is_root()
}

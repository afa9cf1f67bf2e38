//! Finds the browser and its driver: on `PATH`, then where Debian puts them.

use std::path::{Path, PathBuf};

use crate::{BrowserConfig, BrowserKind, LaunchError, kind::Engine};

/// The programs a browser needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The browser itself.
    pub browser: PathBuf,
    /// Its driver.
    pub driver: PathBuf,
    /// The X server of its screen, if it gets one of its own.
    pub screen: Option<PathBuf>,
}

/// What to look for: the program, what brings it, and where Debian puts it.
struct Wanted(&'static str, &'static str, &'static [&'static str]);

impl Programs {
    /// Finds the programs that `config` asks for.
    ///
    /// # Errors
    /// [`LaunchError::ProgramMissing`] names the package that mends it.
    pub fn find(config: &BrowserConfig) -> Result<Self, LaunchError> {
        let (browser, driver) = wanted(config.kind);
        let has_display = std::env::var_os("DISPLAY").is_some_and(|display| !display.is_empty());
        let screen = Wanted("Xvfb", "xvfb", &["/usr/bin/Xvfb"]);
        let screen =
            config.kind.wants_screen(has_display).then(|| find(None, &screen)).transpose()?;
        Ok(Self {
            browser: find(config.browser_program.as_deref(), &browser)?,
            driver: find(config.driver_program.as_deref(), &driver)?,
            screen,
        })
    }
}

fn wanted(kind: BrowserKind) -> (Wanted, Wanted) {
    let driver = match kind.engine() {
        Engine::Chromium => Wanted(
            "chromedriver",
            "chromium-driver",
            &["/usr/bin/chromedriver", "/usr/lib/chromium/chromedriver"],
        ),
        Engine::Firefox => Wanted("geckodriver", "geckodriver (of cargo)", &[]),
        Engine::WebKit => {
            Wanted("WebKitWebDriver", "webkit2gtk-driver", &["/usr/bin/WebKitWebDriver"])
        }
    };
    let browser = match kind {
        BrowserKind::HeadlessShell => Wanted(
            "chromium-headless-shell",
            "chromium-headless-shell",
            // The real program first: the one in /usr/bin is a shell script around it.
            &["/usr/lib/chromium/chromium-headless-shell", "/usr/bin/chromium-headless-shell"],
        ),
        BrowserKind::Chromium | BrowserKind::ChromiumHeaded => {
            Wanted("chromium", "chromium", &["/usr/bin/chromium", "/usr/lib/chromium/chromium"])
        }
        BrowserKind::Firefox | BrowserKind::FirefoxHeaded => Wanted(
            "firefox",
            "firefox-esr",
            &["/usr/lib/firefox-esr/firefox-esr", "/usr/bin/firefox-esr", "/usr/bin/firefox"],
        ),
        BrowserKind::WebKit => Wanted(
            "MiniBrowser",
            "webkit2gtk-driver",
            &[
                "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
                "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
                "/usr/libexec/webkit2gtk-4.1/MiniBrowser",
            ],
        ),
    };
    (browser, driver)
}

fn find(chosen: Option<&Path>, wanted: &Wanted) -> Result<PathBuf, LaunchError> {
    let Wanted(program, package, places) = *wanted;
    let missing = LaunchError::ProgramMissing { program, package };
    if let Some(path) = chosen {
        return if path.is_file() { Ok(path.to_owned()) } else { Err(missing) };
    }
    let usual = places.iter().map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(program));
    // Where cargo puts what it installs, which a service's own PATH often leaves out.
    let home = std::env::home_dir().map(|home| home.join(".cargo/bin").join(program));
    let mut candidates = usual.chain(on_path).chain(home);
    candidates.find(|candidate| candidate.is_file()).ok_or(missing)
}

/// Finds what makes videos.
pub(crate) fn ffmpeg(chosen: Option<&Path>) -> Result<PathBuf, LaunchError> {
    find(chosen, &Wanted("ffmpeg", "ffmpeg", &["/usr/bin/ffmpeg"]))
}

/// Tells whether Chromium's sandbox can be on: it refuses to run as root (G9).
#[must_use]
pub fn sandbox_possible() -> bool {
    !rustix::process::geteuid().is_root()
}

//! What a caller may choose: which browser, where its files live, and how one test is run.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use gauntlet_core::flow::Viewport;

use crate::{BrowserKind, Capture, Egress, Grid, StorageState};

/// How a browser is started.
#[derive(Debug, Clone)]
pub struct BrowserConfig {
    /// Which browser.
    pub kind: BrowserKind,
    /// Command prefix that ends in [`crate::supervise_main`], e.g. `["/proc/self/exe", "supervise"]`.
    pub supervisor: Vec<OsString>,
    /// Appears in every command line of the driver and the browser; usually the run id. Other characters than letters,
    /// digits and `-` become `-`.
    pub marker: String,
    /// Where profile folders are made.
    pub temp_dir: PathBuf,
    /// The browser program, instead of looking for it.
    pub browser_program: Option<PathBuf>,
    /// The driver program, instead of looking for it.
    pub driver_program: Option<PathBuf>,
    /// How long driver and browser may take to start.
    pub launch_timeout: Duration,
    /// Whether Chromium's sandbox is on; the default is on unless we are root.
    pub sandbox: bool,
    /// Whom its pages may reach; the default is for pages that may be on this machine. A grid has its own way out.
    pub egress: Egress,
    /// More flags of Chromium.
    pub extra_args: Vec<String>,
    /// Tests after which a browser is replaced: what leaks in it goes with it.
    pub tests_max: u32,
    /// Memory above which a browser is replaced, in bytes of proportional set size, driver included.
    pub memory_bytes_max: u64,
    /// A remote endpoint that gives sessions of this kind, instead of programs of this machine.
    pub grid: Option<Arc<Grid>>,
}

impl BrowserConfig {
    /// Returns the defaults: headless shell, sandbox unless root, 30 s to start.
    #[must_use]
    pub fn new(supervisor: Vec<OsString>, marker: impl Into<String>) -> Self {
        Self {
            kind: BrowserKind::default(),
            supervisor,
            marker: marker.into(),
            temp_dir: std::env::temp_dir(),
            browser_program: None,
            driver_program: None,
            launch_timeout: Duration::from_secs(30),
            sandbox: crate::programs::sandbox_possible(),
            egress: Egress::embedded(),
            extra_args: Vec::new(),
            tests_max: 500,
            memory_bytes_max: 2 << 30,
            grid: None,
        }
    }
}

/// What happens to `alert`, `confirm`, `prompt` and `beforeunload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DialogPolicy {
    /// Accepts; a prompt gets its default text.
    #[default]
    Accept,
    /// Dismisses.
    Dismiss,
    /// Dismisses, and fails the step during which it opened.
    Fail,
}

/// What pages are made to believe about the place they are in. What a browser cannot pretend fails the test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Emulation {
    /// Language and region, such as `de-DE`.
    pub locale: Option<String>,
    /// IANA name of a time zone, such as `Asia/Tokyo`.
    pub timezone: Option<String>,
    /// Where the device is; pages still need the permission `geolocation` to know.
    pub geolocation: Option<Geolocation>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// How good the network is; none leaves it as it is.
    pub network: Option<Network>,
    /// Permissions that the sites of the test have, by the names of the W3C, such as `geolocation`.
    pub permissions: Vec<String>,
}

/// A place on earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geolocation {
    /// In degrees.
    pub latitude: f64,
    /// In degrees.
    pub longitude: f64,
    /// In metres.
    pub accuracy: f64,
}

/// How good a network is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Network {
    /// There is none.
    Offline,
    /// It is limited.
    Slow {
        /// Bytes per second.
        download: f64,
        /// Bytes per second.
        upload: f64,
        /// Of each request, in milliseconds.
        latency_ms: f64,
    },
}

impl Network {
    /// The `slow3g` condition.
    pub const SLOW_3G: Self =
        Self::Slow { download: 50_000.0, upload: 50_000.0, latency_ms: 400.0 };
}

/// What keeps the tests of one browser apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Isolation {
    /// Each has a user context of its own.
    #[default]
    Context,
    /// They share a user context that is cleared between them, and replaced where it is not seen to be clear.
    Reset,
}

/// How one test is run.
#[derive(Debug, Clone)]
pub struct TestOptions {
    /// Bound of the whole test.
    pub timeout: Duration,
    /// What to do with dialogs.
    pub dialogs: DialogPolicy,
    /// The screen before any `setViewport`.
    pub viewport: Viewport,
    /// What else the pages are made to believe.
    pub emulation: Emulation,
    /// What keeps it apart from the tests before and after it.
    pub isolation: Isolation,
    /// How much of a recording's pauses is waited again; 0 is none, 1 all of it.
    pub pace: f64,
    /// Whether the outcome has what sites have stored, if the test passes.
    pub keep_state: bool,
    /// What sites have stored before the test begins.
    pub state: Option<Arc<StorageState>>,
    /// Whether console and network are written down.
    pub logs: bool,
    /// Whether an asserted navigation must also match its recorded URL and title, where they are not empty.
    pub strict_asserted_events: bool,
    /// Whether to take a screenshot when a step fails, and the source of the page.
    pub screenshot_on_failure: bool,
    /// What else is kept of the test, and where; `None` is nothing.
    pub capture: Option<Capture>,
    /// The folder whose files a test may give to a page; `None` refuses every file.
    pub files_dir: Option<PathBuf>,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(300),
            dialogs: DialogPolicy::default(),
            viewport: Viewport {
                width: 1280,
                height: 720,
                device_scale_factor: 1.0,
                is_mobile: false,
                has_touch: false,
                is_landscape: false,
            },
            emulation: Emulation::default(),
            isolation: Isolation::default(),
            pace: 0.0,
            keep_state: false,
            state: None,
            logs: false,
            strict_asserted_events: false,
            screenshot_on_failure: true,
            capture: None,
            files_dir: None,
        }
    }
}

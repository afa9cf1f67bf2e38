//! Why a step failed, and whose fault that is. The only place where a class is attributed.

/// Why a test did not pass (D5). Declared once; stored and shown by [`FailureClass::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// Something was there but did not become ready in time.
    Timeout,
    /// A page did not load, or a navigation that was asserted did not happen.
    Navigation,
    /// No selector alternative found an element.
    ElementNotFound,
    /// The page was there and said something else than expected.
    Assertion,
    /// The browser or its driver did not start.
    BrowserLaunch,
    /// The browser or a tab died.
    BrowserCrash,
    /// The driver died or stopped answering.
    DriverLost,
    /// The executor died or lost its lease.
    ExecutorLost,
    /// Credentials were refused by a service we depend on.
    Auth,
    /// A service we depend on asked us to slow down.
    RateLimit,
    /// The site under test could not be reached at all.
    TargetUnreachable,
    /// The egress policy does not let the page's host be reached.
    EgressDenied,
    /// A provider (for example of a language model) failed.
    Provider,
    /// The recording could not be read.
    ImportError,
    /// Nothing above fits.
    Unknown,
}

/// Who has to act on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribution {
    /// The site under test.
    App,
    /// The recording.
    Test,
    /// Us, or what we run on.
    Infra,
}

impl FailureClass {
    /// Every class, in declaration order.
    pub const ALL: [Self; 15] = [
        Self::Timeout,
        Self::Navigation,
        Self::ElementNotFound,
        Self::Assertion,
        Self::BrowserLaunch,
        Self::BrowserCrash,
        Self::DriverLost,
        Self::ExecutorLost,
        Self::Auth,
        Self::RateLimit,
        Self::TargetUnreachable,
        Self::EgressDenied,
        Self::Provider,
        Self::ImportError,
        Self::Unknown,
    ];

    /// Returns who has to act.
    #[must_use]
    pub fn attribution(self) -> Attribution {
        match self {
            Self::Timeout
            | Self::Navigation
            | Self::ElementNotFound
            | Self::Assertion
            | Self::TargetUnreachable => Attribution::App,
            // Whoever wrote the test, or its environment, named the host.
            Self::ImportError | Self::EgressDenied => Attribution::Test,
            Self::BrowserLaunch
            | Self::BrowserCrash
            | Self::DriverLost
            | Self::ExecutorLost
            | Self::Auth
            | Self::RateLimit
            | Self::Provider
            | Self::Unknown => Attribution::Infra,
        }
    }

    /// Returns the stable name used in the store, the API and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Navigation => "navigation",
            Self::ElementNotFound => "element_not_found",
            Self::Assertion => "assertion",
            Self::BrowserLaunch => "browser_launch",
            Self::BrowserCrash => "browser_crash",
            Self::DriverLost => "driver_lost",
            Self::ExecutorLost => "executor_lost",
            Self::Auth => "auth",
            Self::RateLimit => "rate_limit",
            Self::TargetUnreachable => "target_unreachable",
            Self::EgressDenied => "egress_denied",
            Self::Provider => "provider",
            Self::ImportError => "import_error",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the class with this stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

impl std::fmt::Display for FailureClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

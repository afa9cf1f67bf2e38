//! Why a browser did not start, and why a command to a running one failed.

use std::{io, time::Duration};

use fantoccini::error::{CmdError, ErrorStatus};
use gauntlet_core::flow::FailureClass;
use serde_json::Value;

/// Longest text kept from a page or a driver, in characters.
pub(crate) const TEXT_MAX: usize = 500;

/// Cuts a text to [`TEXT_MAX`].
pub(crate) fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(TEXT_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// What browsers say when the site is not there at all: Chromium, Firefox, `WebKit`.
const UNREACHABLE: [&str; 19] = [
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_CONNECTION_CLOSED",
    "ERR_CONNECTION_TIMED_OUT",
    "ERR_NAME_NOT_RESOLVED",
    "ERR_ADDRESS_UNREACHABLE",
    "ERR_SSL_PROTOCOL_ERROR",
    "ERR_EMPTY_RESPONSE",
    // Our proxy could not, or would not, connect to it.
    "ERR_SOCKS_CONNECTION",
    "NS_ERROR_CONNECTION_REFUSED",
    "NS_ERROR_NET_RESET",
    "NS_ERROR_NET_TIMEOUT",
    "NS_ERROR_NET_INTERRUPT",
    "NS_ERROR_NET_EMPTY_RESPONSE",
    "NS_ERROR_UNKNOWN_HOST",
    "SSL_ERROR_",
    "Could not connect to",
    "Error resolving",
    "Connection terminated unexpectedly",
];

/// Tells whether what a browser says about a page that did not load means that the site is not there.
pub(crate) fn tells_unreachable(why: &str) -> bool {
    UNREACHABLE.iter().any(|sign| why.contains(sign))
}

/// Why a browser did not start. Its class is [`FailureClass::BrowserLaunch`].
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A program is not installed.
    #[error("{program} was not found; install the Debian package {package} or set its path")]
    ProgramMissing {
        /// What was looked for.
        program: &'static str,
        /// The package that mends it.
        package: &'static str,
    },
    /// No supervisor command was configured.
    #[error("no supervisor command is configured")]
    SupervisorMissing,
    /// The profile folder could not be made.
    #[error("the profile folder could not be made in {folder}")]
    Profile {
        /// Where.
        folder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The supervisor did not start.
    #[error("the supervisor {program} did not start")]
    Supervisor {
        /// Which program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The proxy of its connections has no port.
    #[error("the browser's way out could not be opened")]
    Egress {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The driver did not announce its port.
    #[error("the driver did not start: {detail}")]
    Driver {
        /// What it said instead.
        detail: String,
    },
    /// The driver refused a session, so the browser did not start.
    #[error("the browser did not start: {detail}")]
    Session {
        /// What the driver said.
        detail: String,
    },
    /// The remote endpoint cannot be used as it is configured.
    #[error("the remote endpoint cannot be used: {detail}")]
    Endpoint {
        /// What is wrong.
        detail: String,
    },
    /// The remote endpoint has failed too often to be asked again so soon.
    #[error("{endpoint} failed {failures} times in a row and is left alone for {after:?}")]
    Broken {
        /// Which endpoint.
        endpoint: String,
        /// How often.
        failures: u32,
        /// For how long.
        after: Duration,
    },
    /// Nothing happened in time.
    #[error("{what} took longer than {after:?}")]
    TooSlow {
        /// What.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    #[error("command {command} did not answer within {after:?}")]
    Hung { command: &'static str, after: Duration },
    #[error("the driver was lost during {command}: {reason}")]
    Lost { command: &'static str, reason: String },
    #[error("the browser crashed during {command}: {reason}")]
    Crashed { command: &'static str, reason: String },
    #[error("this browser cannot do {what}")]
    Unsupported { what: String },
    #[error("{command}: {message}")]
    Remote { command: &'static str, status: Option<&'static str>, message: String },
}

impl DriverError {
    /// Sorts what fantoccini reports into ours.
    pub(crate) fn from_cmd(command: &'static str, error: &CmdError) -> Self {
        let dead = [
            "tab crashed",
            "disconnected",
            "not reachable",
            "browser has closed",
            // What geckodriver says when Firefox went while it was answering.
            "Failed to decode response from marionette",
        ];
        let CmdError::Standard(remote) = error else {
            return match error {
                // `WebKitWebDriver` says it in words of its own.
                CmdError::NotW3C(answer)
                    if answer.as_str().is_some_and(|text| dead.contains(&text)) =>
                {
                    Self::Crashed { command, reason: cut(&answer.to_string()) }
                }
                CmdError::Failed(_)
                | CmdError::FailedC(_)
                | CmdError::Lost(_)
                | CmdError::NotJson(_) => Self::Lost { command, reason: cut(&error.to_string()) },
                _ => Self::Remote { command, status: None, message: cut(&error.to_string()) },
            };
        };
        let first = remote.message.lines().next().unwrap_or_default();
        if remote.error == ErrorStatus::InvalidSessionId
            || dead.iter().any(|sign| first.contains(sign))
        {
            return Self::Crashed { command, reason: cut(first) };
        }
        Self::Remote { command, status: Some(remote.error.description()), message: cut(first) }
    }

    /// Tells whether it is no use to try again.
    pub(crate) fn is_fatal(&self) -> bool {
        !matches!(self, Self::Remote { .. })
    }

    /// Sorts an error that `BiDi` reports.
    pub(crate) fn from_bidi(command: &'static str, answer: &Value) -> Self {
        let text = |field: &str| answer[field].as_str().unwrap_or_default();
        match text("error") {
            "unknown command" | "unsupported operation" => {
                Self::Unsupported { what: command.to_owned() }
            }
            _ => Self::Remote { command, status: None, message: cut(text("message")) },
        }
    }

    /// A command that a dialog is in the way of.
    pub(crate) fn open_dialog(command: &'static str) -> Self {
        let status = ErrorStatus::UnexpectedAlertOpen.description();
        Self::Remote { command, status: Some(status), message: "a dialog is open".to_owned() }
    }

    pub(crate) fn status(&self) -> Option<&'static str> {
        match self {
            Self::Remote { status, .. } => *status,
            _ => None,
        }
    }

    /// Tells whether a dialog is in the way.
    pub(crate) fn is_open_dialog(&self) -> bool {
        self.status() == Some(ErrorStatus::UnexpectedAlertOpen.description())
    }

    pub(crate) fn class(&self) -> FailureClass {
        match self {
            Self::Hung { .. } => FailureClass::Timeout,
            Self::Lost { .. } => FailureClass::DriverLost,
            Self::Crashed { .. } => FailureClass::BrowserCrash,
            Self::Remote { .. } | Self::Unsupported { .. } => FailureClass::Unknown,
        }
    }
}

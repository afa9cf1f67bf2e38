//! Values of flags: choices, durations and `KEY=VALUE` pairs.

use clap::ValueEnum;
use gauntlet_proto::v1;
use std::time::Duration;

/// Browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Browser {
    /// Chromium; the headless shell where it is installed.
    Chromium,
    /// Full Chromium, also when headless.
    ChromiumFull,
    /// Firefox.
    Firefox,
    /// `WebKit`.
    Webkit,
}

impl From<Browser> for v1::Browser {
    fn from(browser: Browser) -> Self {
        match browser {
            Browser::Chromium => Self::Chromium,
            Browser::ChromiumFull => Self::ChromiumFull,
            Browser::Firefox => Self::Firefox,
            Browser::Webkit => Self::Webkit,
        }
    }
}

/// What an infrastructure failure of a shard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnInfraFailure {
    /// The shard's tests are errored, the others go on.
    Continue,
    /// The run ends as ERRORED.
    StopRun,
}

impl From<OnInfraFailure> for v1::OnInfraFailure {
    fn from(choice: OnInfraFailure) -> Self {
        match choice {
            OnInfraFailure::Continue => Self::Continue,
            OnInfraFailure::StopRun => Self::StopRun,
        }
    }
}

/// What keeps tests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolation {
    /// A browser context of its own for each.
    Context,
    /// One context, cleared between tests and replaced where that fails. Chromium only.
    Reset,
}

impl From<Isolation> for v1::Isolation {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::Context => Self::Context,
            Isolation::Reset => Self::Reset,
        }
    }
}

/// What happens to dialogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialogs {
    /// Accept them.
    Accept,
    /// Dismiss them.
    Dismiss,
    /// Fail the step that was running.
    Fail,
}

impl From<Dialogs> for v1::DialogPolicy {
    fn from(choice: Dialogs) -> Self {
        match choice {
            Dialogs::Accept => Self::Accept,
            Dialogs::Dismiss => Self::Dismiss,
            Dialogs::Fail => Self::Fail,
        }
    }
}

/// States of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Waiting for an executor.
    Queued,
    /// Running.
    Running,
    /// Computing the verdict.
    Finalizing,
    /// Passed.
    Passed,
    /// Failed.
    Failed,
    /// Ended by an infrastructure error.
    Errored,
    /// Aborted.
    Aborted,
}

impl From<State> for v1::RunState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Finalizing => Self::Finalizing,
            State::Passed => Self::Passed,
            State::Failed => Self::Failed,
            State::Errored => Self::Errored,
            State::Aborted => Self::Aborted,
        }
    }
}

/// Parses `90s`, `1m 30s`, `2 min`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "must be a duration such as 30s or 2m".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "must not be negative".to_owned())
}

/// Parses `KEY=VALUE`; the value may hold more equals signs, or be empty.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert!(duration("30").is_err() && duration("-3s").is_err());
    }

    #[test]
    fn a_pair_is_split_at_its_first_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }
}

//! The one model of a test's steps: every imported format becomes a [`Flow`], and the browser runs nothing else.
//!
//! A flow is a flat list of steps; loops and branches are marker steps whose jumps [`Cursor`] follows. Owns the step kinds,
//! how a step finds its page, frame and element, rebasing onto another environment ([`Flow::rebase`]), variables
//! ([`Scope`]), what a failed step means ([`AfterFailure`]) and what each browser can do ([`support`]).
//! It knows no file format (see `gauntlet-recordings`) and no browser (see `gauntlet-browser`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use check::{Check, Comparison, DialogKind, Subject};
pub use class::{Attribution, FailureClass};
pub use control::{
    Control, ControlError, ControlFailure, Cursor, LOOP_EVALUATIONS_DEFAULT, MOVES_MAX, Next,
};
pub use keyboard::{KEYPAD, Key, KeyName};
pub use keys::special_key;
pub use kind::StepKind;
pub use parts::{
    Button, Click, DialogAction, DialogTime, FrameChoice, Modifier, Operator, OptionBy, Origin,
    Point, Pointer, PointerAction, Script, ScriptKind, SelectMode, SelectOption, Source, Type,
    Viewport, WaitForElement,
};
pub use quantity::{NotANumber, Quantity};
pub use rewrite::origin_of;
pub use scope::{Code, Scope};
pub use selectors::{Chain, Selector, Selectors};
pub use support::{Belief, Engine, Support, belief, film, resets, screen, support, tells_logs};
pub use value::Value;

mod check;
mod class;
mod code;
mod control;
mod debug;
mod keyboard;
mod keys;
mod kind;
mod parts;
mod quantity;
mod rewrite;
mod scope;
mod selectors;
mod support;
mod texts;
mod value;

/// How long a step may take when neither the step nor its flow says so.
pub const STEP_TIMEOUT_DEFAULT: Duration = Duration::from_millis(5_000);
/// How long a step waits for the window it opens when it does not say so.
pub const WINDOW_TIMEOUT_DEFAULT: Duration = Duration::from_millis(2_000);

/// One test: a title and the steps a user would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Human name of the test; never empty of meaning, may be any text.
    pub title: String,
    /// Timeout of each step that has none of its own; already defaulted to [`STEP_TIMEOUT_DEFAULT`].
    pub timeout: Duration,
    /// Where relative URLs start, and what an environment's base URL replaces.
    pub base_url: Option<String>,
    /// Pause after every step.
    pub delay: Duration,
    /// Variables and their values at the start. `null` has no value of its own: the run must give one.
    pub variables: BTreeMap<String, Value>,
    /// Names of variables whose values must never be shown.
    pub secrets: BTreeSet<String>,
    /// Whether dialogs stay open even where no step answers any, so that a step that meets one fails.
    pub hold_dialogs: bool,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Flow {
    /// Makes a flow with the default timeout, no pauses and no variables.
    #[must_use]
    pub fn new(title: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            title: title.into(),
            timeout: STEP_TIMEOUT_DEFAULT,
            base_url: None,
            delay: Duration::ZERO,
            variables: BTreeMap::new(),
            secrets: BTreeSet::new(),
            hold_dialogs: false,
            steps,
        }
    }

    /// Returns how long `step` may take: its own timeout, otherwise the flow's.
    #[must_use]
    pub fn timeout_of(&self, step: &Step) -> Duration {
        step.timeout.as_ref().and_then(Quantity::milliseconds).unwrap_or(self.timeout)
    }

    /// Tells whether dialogs stay open until a step answers them: always, or because the test answers some itself.
    #[must_use]
    pub fn holds_dialogs(&self) -> bool {
        self.hold_dialogs
            || self.steps.iter().any(|step| match &step.kind {
                StepKind::Dialog { .. } => true,
                StepKind::Check(check) => matches!(check.subject, Subject::Dialog(_)),
                _ => false,
            })
    }

    /// Returns the variables that have no value yet, so that the run must give them one.
    #[must_use]
    pub fn missing_variables(&self) -> Vec<&str> {
        let missing = self.variables.iter().filter(|(_, value)| value.is_null());
        missing.map(|(name, _)| name.as_str()).collect()
    }
}

/// One step of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What to do.
    pub kind: StepKind,
    /// Timeout of this step only, in milliseconds.
    pub timeout: Option<Quantity>,
    /// How long the person waited before this step while it was recorded. A run chooses how much of it is waited again; it is
    /// no part of the step's timeout.
    pub recorded_pause: Duration,
    /// The page the step acts on.
    pub target: Target,
    /// Child-frame indices from the target's main frame; empty means the main frame itself.
    pub frame: Vec<u16>,
    /// A navigation the step must start.
    pub navigation: Option<AssertedNavigation>,
    /// Where the step stands in its source, or a remark, e.g. `login › 3 click`.
    pub label: Option<String>,
    /// The step's failure fails the test, but the test goes on.
    pub soft: bool,
    /// The step's failure is recorded and does not fail the test.
    pub optional: bool,
    /// The step's values are secrets: they are never shown.
    pub sensitive: bool,
    /// The step opens a window, which is waited for.
    pub opens_window: Option<OpensWindow>,
}

impl Step {
    /// Makes a step on the main page and frame, with the flow's timeout and nothing special about it.
    #[must_use]
    pub fn new(kind: StepKind) -> Self {
        Self {
            kind,
            timeout: None,
            recorded_pause: Duration::ZERO,
            target: Target::Main,
            frame: Vec::new(),
            navigation: None,
            label: None,
            soft: false,
            optional: false,
            sensitive: false,
            opens_window: None,
        }
    }

    /// Returns the step's type as Gauntlet's flows spell it, e.g. `waitForElement`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.kind.type_name()
    }

    /// Returns the step's selector alternatives, if the step looks for an element.
    #[must_use]
    pub fn selectors(&self) -> Option<&Selectors> {
        self.kind.selectors()
    }

    /// Returns what the step's failure means for the test.
    ///
    /// Only what the page did can be forgiven: when the browser or driver failed, the test cannot go on.
    #[must_use]
    pub fn after_failure(&self, class: FailureClass) -> AfterFailure {
        match class.attribution() {
            Attribution::Infra => AfterFailure::Stop,
            Attribution::App | Attribution::Test if self.optional => AfterFailure::Forgive,
            Attribution::App | Attribution::Test if self.soft => AfterFailure::FailLater,
            Attribution::App | Attribution::Test => AfterFailure::Stop,
        }
    }
}

/// What a step's failure means for the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// The test ends here and has failed.
    Stop,
    /// The test goes on, and has failed.
    FailLater,
    /// The test goes on as if nothing had happened; the failure is recorded.
    Forgive,
}

/// The page a step acts on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Target {
    /// The first page of the test.
    #[default]
    Main,
    /// The page (or out-of-process frame) whose URL equals this one; the step waits for it.
    Url(String),
    /// The page and frame that `selectWindow` and `selectFrame` chose last; at the start the first page's main frame.
    /// Loading a URL returns to the page's main frame.
    Current,
}

/// A navigation that a step must start, and where it must end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssertedNavigation {
    /// The URL that it must end at, if any.
    pub url: Option<String>,
    /// The title that the page must have then, if any.
    pub title: Option<String>,
    /// Whether URL and title are only what a recorder saw; they are checked only if the run asks for that.
    pub recorded: bool,
}

/// A window that a step opens. None in time is the step's failure.
#[derive(Debug, Clone, PartialEq)]
pub struct OpensWindow {
    /// The variable that gets the window's handle, if any.
    pub variable: Option<String>,
    /// How long to wait for the window.
    pub timeout: Duration,
}

#[cfg(test)]
mod tests;

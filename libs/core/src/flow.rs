//! The one model of a test's steps: every imported format becomes a [`Flow`], and the browser runs nothing else.
//!
//! Owns the step kinds, how a step finds its page, frame and element, rebasing onto another environment
//! ([`Flow::rebase`]), variables ([`Flow::substitute`]) and why a step failed ([`FailureClass`]).
//! It knows no file format (see `gauntlet-recordings`) and no browser (see `gauntlet-browser`).

use std::time::Duration;

pub use class::{Attribution, FailureClass};
pub use rewrite::origin_of;

mod class;
mod rewrite;

/// How long a step may take when neither the step nor its flow says so.
pub const STEP_TIMEOUT_DEFAULT: Duration = Duration::from_millis(5_000);

/// One test: a title and the steps a user would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Human name of the test; never empty of meaning, may be any text.
    pub title: String,
    /// Timeout of each step that has none of its own; already defaulted to [`STEP_TIMEOUT_DEFAULT`].
    pub timeout: Duration,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Flow {
    /// Returns how long `step` may take: its own timeout, otherwise the flow's.
    #[must_use]
    pub fn timeout_of(&self, step: &Step) -> Duration {
        step.timeout.unwrap_or(self.timeout)
    }
}

/// One step of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What to do.
    pub kind: StepKind,
    /// Timeout of this step only.
    pub timeout: Option<Duration>,
    /// The page the step acts on.
    pub target: Target,
    /// Child-frame indices from the target's main frame; empty means the main frame itself.
    pub frame: Vec<u16>,
    /// A navigation the step must start.
    pub navigation: Option<AssertedNavigation>,
}

impl Step {
    /// Makes a step on the main page and frame, with the flow's timeout and no asserted navigation.
    #[must_use]
    pub fn new(kind: StepKind) -> Self {
        Self { kind, timeout: None, target: Target::Main, frame: Vec::new(), navigation: None }
    }

    /// Returns the step's type as recordings spell it, e.g. `waitForElement`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.kind.type_name()
    }

    /// Returns the step's selector alternatives, if the step looks for an element.
    #[must_use]
    pub fn selectors(&self) -> Option<&Selectors> {
        self.kind.selectors()
    }
}

/// The page a step acts on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Target {
    /// The first page of the test.
    #[default]
    Main,
    /// The page (or out-of-process frame) whose URL equals this one; the step waits for it.
    Url(String),
}

/// A navigation that a step must start. `url` and `title` are checked only in strict mode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssertedNavigation {
    /// The URL seen while recording, if any.
    pub url: Option<String>,
    /// The title seen while recording, if any.
    pub title: Option<String>,
}

/// Alternative ways to find one element, best first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectors(pub Vec<Chain>);

/// One alternative: each part is searched inside the element (or its shadow root) that the part before it found. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(pub Vec<Selector>);

/// One way to look for an element below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A CSS selector.
    Css(String),
    /// An accessible name (exact, spaces collapsed) and/or role.
    Aria {
        /// Accessible name; `None` matches any.
        name: Option<String>,
        /// ARIA role; `None` matches any.
        role: Option<String>,
    },
    /// The smallest element whose text includes this one.
    Text(String),
    /// An XPath expression.
    XPath(String),
    /// A CSS selector that looks through every open shadow root.
    Pierce(String),
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Css(css) => f.write_str(css),
            Self::Text(text) => write!(f, "text/{text}"),
            Self::XPath(path) => write!(f, "xpath/{path}"),
            Self::Pierce(css) => write!(f, "pierce/{css}"),
            Self::Aria { name, role } => {
                write!(f, "aria/{}", name.as_deref().unwrap_or(""))?;
                role.as_ref().map_or(Ok(()), |role| write!(f, "[role=\"{role}\"]"))
            }
        }
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" >> ")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Selectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, chain) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{chain}")?;
        }
        Ok(())
    }
}

/// What a step does. Values may be added as formats are added.
#[derive(Clone, PartialEq)]
pub enum StepKind {
    /// Loads a URL in the target.
    Navigate {
        /// Absolute URL.
        url: String,
    },
    /// Sets the size and kind of the screen.
    SetViewport(Viewport),
    /// Presses and releases a pointer button on an element.
    Click(Click),
    /// Clicks twice at the same point.
    DoubleClick(Click),
    /// Moves the pointer over an element.
    Hover {
        /// The element.
        selectors: Selectors,
    },
    /// Fills in a form control.
    Change {
        /// The control.
        selectors: Selectors,
        /// The text or option value. It may be a secret: never log it.
        value: String,
    },
    /// Presses a key and keeps it down.
    KeyDown {
        /// Puppeteer's key name, e.g. `Enter`, `Shift`, `a`.
        key: String,
    },
    /// Releases a key.
    KeyUp {
        /// Puppeteer's key name.
        key: String,
    },
    /// Scrolls the window or an element to a position.
    Scroll {
        /// The element; `None` is the window.
        selectors: Option<Selectors>,
        /// Pixels from the left; `None` is 0.
        x: Option<f64>,
        /// Pixels from the top; `None` is 0.
        y: Option<f64>,
    },
    /// Closes the target page.
    Close,
    /// Throttles the network; zero in both directions means offline.
    EmulateNetworkConditions {
        /// Bytes per second.
        download: f64,
        /// Bytes per second.
        upload: f64,
        /// Milliseconds.
        latency_ms: f64,
    },
    /// Waits until as many elements exist as asked for.
    WaitForElement(WaitForElement),
    /// Waits until a JavaScript expression (or the promise it returns) is truthy.
    WaitForExpression {
        /// The expression.
        expression: String,
    },
    /// A step for someone else's plug-in: recorded, and does nothing here, as in the reference runner.
    Custom {
        /// Its name.
        name: String,
    },
}

impl std::fmt::Debug for StepKind {
    /// Names the step without its values: `Change` may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name())?;
        self.selectors().map_or(Ok(()), |selectors| write!(f, "({selectors})"))
    }
}

impl StepKind {
    /// Returns the type as recordings spell it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Navigate { .. } => "navigate",
            Self::SetViewport(_) => "setViewport",
            Self::Click(_) => "click",
            Self::DoubleClick(_) => "doubleClick",
            Self::Hover { .. } => "hover",
            Self::Change { .. } => "change",
            Self::KeyDown { .. } => "keyDown",
            Self::KeyUp { .. } => "keyUp",
            Self::Scroll { .. } => "scroll",
            Self::Close => "close",
            Self::EmulateNetworkConditions { .. } => "emulateNetworkConditions",
            Self::WaitForElement(_) => "waitForElement",
            Self::WaitForExpression { .. } => "waitForExpression",
            Self::Custom { .. } => "customStep",
        }
    }

    /// Returns the selector alternatives, if the step looks for an element.
    #[must_use]
    pub fn selectors(&self) -> Option<&Selectors> {
        match self {
            Self::Click(click) | Self::DoubleClick(click) => Some(&click.selectors),
            Self::Hover { selectors } | Self::Change { selectors, .. } => Some(selectors),
            Self::Scroll { selectors, .. } => selectors.as_ref(),
            Self::WaitForElement(wait) => Some(&wait.selectors),
            Self::Navigate { .. }
            | Self::SetViewport(_)
            | Self::KeyDown { .. }
            | Self::KeyUp { .. }
            | Self::Close
            | Self::EmulateNetworkConditions { .. }
            | Self::WaitForExpression { .. }
            | Self::Custom { .. } => None,
        }
    }
}

/// The screen a page believes it is on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// Device pixels per CSS pixel.
    pub device_scale_factor: f64,
    /// Whether the `viewport` meta tag counts and scrollbars overlay.
    pub is_mobile: bool,
    /// Whether touch events exist.
    pub has_touch: bool,
    /// Whether the screen lies on its side.
    pub is_landscape: bool,
}

/// Where and how to click.
#[derive(Debug, Clone, PartialEq)]
pub struct Click {
    /// The element.
    pub selectors: Selectors,
    /// CSS pixels from the element's left edge.
    pub offset_x: f64,
    /// CSS pixels from the element's top edge.
    pub offset_y: f64,
    /// Which button.
    pub button: Button,
    /// Time between press and release; `None` is the runner's default.
    pub duration: Option<Duration>,
}

/// A pointer button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Button {
    /// Usually the left one.
    #[default]
    Primary,
    /// Usually the middle one.
    Auxiliary,
    /// Usually the right one.
    Secondary,
    /// Browser back.
    Back,
    /// Browser forward.
    Forward,
}

/// How many elements must exist, and what every one of them must look like.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitForElement {
    /// The elements; the first alternative that finds any is counted.
    pub selectors: Selectors,
    /// How to compare the number found with `count`.
    pub operator: Operator,
    /// The number asked for.
    pub count: u32,
    /// What was said about visibility, if anything. `Some(false)` inverts the whole condition (as the reference runner
    /// does); `Some(true)`, said explicitly, also counts visible elements only.
    pub visible: Option<bool>,
    /// Attributes (name, exact value) that every counted element must have.
    pub attributes: Vec<(String, String)>,
    /// A JSON object, as text, that every counted element's properties must match deeply.
    pub properties: Option<String>,
}

/// A comparison of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operator {
    /// At least.
    #[default]
    AtLeast,
    /// Exactly.
    Exactly,
    /// At most.
    AtMost,
}

impl Operator {
    /// Returns the operator as recordings spell it.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::Exactly => "==",
            Self::AtMost => "<=",
        }
    }

    /// Tells whether `found` satisfies the comparison with `wanted`.
    #[must_use]
    pub fn holds(self, found: u32, wanted: u32) -> bool {
        match self {
            Self::AtLeast => found >= wanted,
            Self::Exactly => found == wanted,
            Self::AtMost => found <= wanted,
        }
    }
}

#[cfg(test)]
mod tests;

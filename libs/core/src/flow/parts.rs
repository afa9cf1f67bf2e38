//! What steps are made of: points, keys, options, dialogs, scripts.

use std::time::Duration;

use super::{Quantity, Selectors};

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
    /// Where on the element.
    pub point: Point,
    /// Which button.
    pub button: Button,
    /// Keys held down during the click.
    pub modifiers: Vec<Modifier>,
    /// Time between press and release; `None` is the runner's default.
    pub duration: Option<Duration>,
    /// Whether one that is wholly transparent is waited for until it is not; a person may click what nobody can see.
    pub opaque: bool,
}

/// A place on an element, in CSS pixels from its origin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// Where the pixels are counted from.
    pub origin: Origin,
    /// Pixels to the right.
    pub x: Quantity,
    /// Pixels down.
    pub y: Quantity,
}

impl Point {
    /// Makes a point counted from the element's top left corner.
    #[must_use]
    pub fn from_top_left(x: f64, y: f64) -> Self {
        Self { origin: Origin::TopLeft, x: x.into(), y: y.into() }
    }
}

/// Where the pixels of a [`Point`] are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// The middle of the element's visible part.
    #[default]
    Center,
    /// The element's top left corner.
    TopLeft,
}

/// A key that is held down while something else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Modifier {
    /// Alt.
    Alt,
    /// Control.
    Control,
    /// Command, or the Windows key.
    Meta,
    /// Shift.
    Shift,
}

/// One movement of the pointer on an element.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointer {
    /// What it does.
    pub action: PointerAction,
    /// The element.
    pub selectors: Selectors,
    /// Where on the element.
    pub point: Point,
}

/// What the pointer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PointerAction {
    /// Moves to the point.
    #[default]
    Move,
    /// Moves to the point and presses the primary button.
    Down,
    /// Moves to the point and releases the primary button.
    Up,
    /// Moves from the element to the nearest place beside it.
    Out,
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

/// Choosing among the options of a `<select>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectOption {
    /// The `<select>`.
    pub selectors: Selectors,
    /// What happens to the options that are selected already.
    pub mode: SelectMode,
    /// Ways to find the option, best first; the first that finds one counts. Never empty.
    pub option: Vec<OptionBy>,
}

/// What choosing an option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelectMode {
    /// Selects the option; of a multiple select the others stay as a click leaves them.
    #[default]
    Set,
    /// Clicks the option: in a multiple select this takes away one that is selected.
    Click,
    /// Selects the option too.
    Add,
    /// Takes the option out of the selection; the select must be a multiple one.
    Remove,
}

/// One way to find an option below a `<select>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionBy {
    /// Its text is exactly this one.
    Label(String),
    /// Its text with spaces collapsed, no-break ones too, is this one.
    MostlyLabel(String),
    /// Its `value` attribute is exactly this one.
    Value(String),
    /// Its `id`.
    Id(String),
    /// Its place among its siblings, from 1, as in `:nth-child(n)`.
    NthChild(String),
}

/// Typing with real keys. [`crate::flow::Scope::fill`] leaves `${KEY_ENTER}` and its like alone.
#[derive(Clone, PartialEq)]
pub struct Type {
    /// The element.
    pub selectors: Selectors,
    /// What to type; a path for a file chooser. It may be a secret: never log it.
    pub text: String,
    /// Whether the element is emptied first.
    pub clear: bool,
    /// Whether `${KEY_ENTER}` and its like are keys, and not text.
    pub keys: bool,
    /// Pause between two keys.
    pub delay: Option<Duration>,
}

/// The frame that the steps after this one act in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameChoice {
    /// The page's main frame.
    Top,
    /// The frame around the current one.
    Parent,
    /// A child frame by index, from 0.
    Index(String),
    /// The frame that an element holds.
    Element(Selectors),
}

/// What to do with a dialog.
#[derive(Clone, PartialEq, Eq)]
pub enum DialogAction {
    /// Presses OK.
    Accept,
    /// Presses Cancel.
    Dismiss,
    /// Writes this answer into the prompt and presses OK.
    Answer(String),
}

/// Which dialog is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DialogTime {
    /// The one that is open now; none is the step's failure.
    #[default]
    Now,
    /// The next one that opens.
    Next,
}

/// Code that runs in the page.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    /// The code.
    pub code: String,
    /// What kind of code.
    pub kind: ScriptKind,
    /// The variable that gets the result.
    pub store: Option<String>,
}

/// What kind of code a [`Script`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptKind {
    /// The body of a function; its result is what it returns, a promise is awaited.
    #[default]
    Body,
    /// An expression that is a promise; its result is what the promise comes to, an error of it included.
    Promise,
}

/// Where the value of a variable comes from.
#[derive(Clone, PartialEq)]
pub enum Source {
    /// A text.
    Text(String),
    /// JSON, as text.
    Json(String),
    /// The shown text of an element.
    ElementText(Selectors),
    /// The `value` of an element.
    ElementValue(Selectors),
    /// An attribute of an element.
    Attribute {
        /// The element.
        selectors: Selectors,
        /// The attribute.
        name: String,
    },
    /// How many elements there are now.
    Count(Selectors),
    /// The page's title.
    Title,
    /// The page's URL.
    Url,
    /// The handle of the current window, for `selectWindow`.
    Window,
}

impl Source {
    /// Returns the element looked at, if it is one.
    #[must_use]
    pub fn selectors(&self) -> Option<&Selectors> {
        match self {
            Self::ElementText(selectors)
            | Self::ElementValue(selectors)
            | Self::Attribute { selectors, .. }
            | Self::Count(selectors) => Some(selectors),
            Self::Text(_) | Self::Json(_) | Self::Title | Self::Url | Self::Window => None,
        }
    }
}

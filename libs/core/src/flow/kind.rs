//! What a step does.

use super::{
    Check, Click, Control, DialogAction, DialogTime, FrameChoice, KeyName, Modifier, Pointer,
    Quantity, Script, SelectOption, Selectors, Source, Type, Viewport, WaitForElement,
};

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
        /// Which one.
        key: KeyName,
    },
    /// Releases a key.
    KeyUp {
        /// Which one.
        key: KeyName,
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
    /// Sets the outer size of the browser's window.
    ResizeWindow {
        /// CSS pixels.
        width: Quantity,
        /// CSS pixels.
        height: Quantity,
    },
    /// Moves, presses or releases the pointer on an element.
    Pointer(Pointer),
    /// Drags one element onto another.
    DragTo {
        /// What is dragged.
        selectors: Selectors,
        /// Where it is dropped.
        onto: Selectors,
    },
    /// Switches a checkbox or radio button, if it is not as wanted already.
    SetChecked {
        /// The control.
        selectors: Selectors,
        /// Whether it shall be on.
        checked: bool,
    },
    /// Chooses among the options of a `<select>`.
    SelectOption(SelectOption),
    /// Types with real keys.
    Type(Type),
    /// Replaces the text of an element whose content is editable.
    SetContent {
        /// The element.
        selectors: Selectors,
        /// The text.
        text: String,
    },
    /// Submits the form that an element is or belongs to.
    Submit {
        /// The element.
        selectors: Selectors,
    },
    /// Presses and releases one key.
    Press {
        /// The element that gets the focus first, if any.
        selectors: Option<Selectors>,
        /// Which one.
        key: KeyName,
        /// Keys held down meanwhile.
        modifiers: Vec<Modifier>,
    },
    /// Makes a window the current one.
    SelectWindow {
        /// Its handle, usually a variable: `${popup}`.
        handle: String,
    },
    /// Makes a frame of the current window the current one.
    SelectFrame(FrameChoice),
    /// Claims something about the page.
    Check(Check),
    /// Answers a dialog.
    Dialog {
        /// How.
        action: DialogAction,
        /// Which one.
        time: DialogTime,
    },
    /// Runs code in the page.
    Script(Script),
    /// Gives a variable a value.
    Store {
        /// The variable.
        variable: String,
        /// The value.
        source: Source,
    },
    /// Waits.
    Pause {
        /// Milliseconds.
        milliseconds: Quantity,
    },
    /// Writes a text into the test's log.
    Echo {
        /// The text.
        text: String,
    },
    /// Marks a branch or a loop; [`super::Cursor`] follows it, the browser only decides its condition.
    Control(Control),
}

impl std::fmt::Debug for StepKind {
    /// Names the step without its values, which may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name())?;
        self.selectors().map_or(Ok(()), |selectors| write!(f, "({selectors})"))
    }
}

impl StepKind {
    /// Returns the type as Gauntlet's flows spell it; `DevTools` recordings have the same names.
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
            Self::ResizeWindow { .. } => "resizeWindow",
            Self::Pointer(_) => "pointer",
            Self::DragTo { .. } => "dragTo",
            Self::SetChecked { .. } => "setChecked",
            Self::SelectOption(_) => "selectOption",
            Self::Type(_) => "type",
            Self::SetContent { .. } => "setContent",
            Self::Submit { .. } => "submit",
            Self::Press { .. } => "press",
            Self::SelectWindow { .. } => "selectWindow",
            Self::SelectFrame(_) => "selectFrame",
            Self::Check(_) => "check",
            Self::Dialog { .. } => "dialog",
            Self::Script(_) => "script",
            Self::Store { .. } => "store",
            Self::Pause { .. } => "pause",
            Self::Echo { .. } => "echo",
            Self::Control(control) => control.type_name(),
        }
    }

    /// Returns the selector alternatives, if the step looks for an element.
    #[must_use]
    pub fn selectors(&self) -> Option<&Selectors> {
        match self {
            Self::Click(click) | Self::DoubleClick(click) => Some(&click.selectors),
            Self::Hover { selectors }
            | Self::Change { selectors, .. }
            | Self::DragTo { selectors, .. }
            | Self::SetChecked { selectors, .. }
            | Self::SetContent { selectors, .. }
            | Self::Submit { selectors }
            | Self::SelectFrame(FrameChoice::Element(selectors)) => Some(selectors),
            Self::Scroll { selectors, .. } | Self::Press { selectors, .. } => selectors.as_ref(),
            Self::WaitForElement(wait) => Some(&wait.selectors),
            Self::Pointer(pointer) => Some(&pointer.selectors),
            Self::SelectOption(select) => Some(&select.selectors),
            Self::Type(typing) => Some(&typing.selectors),
            Self::Check(check) => check.subject.selectors(),
            Self::Store { source, .. } => source.selectors(),
            Self::Navigate { .. }
            | Self::SetViewport(_)
            | Self::KeyDown { .. }
            | Self::KeyUp { .. }
            | Self::Close
            | Self::EmulateNetworkConditions { .. }
            | Self::WaitForExpression { .. }
            | Self::Custom { .. }
            | Self::ResizeWindow { .. }
            | Self::SelectWindow { .. }
            | Self::SelectFrame(_)
            | Self::Dialog { .. }
            | Self::Script(_)
            | Self::Pause { .. }
            | Self::Echo { .. }
            | Self::Control(_) => None,
        }
    }

    /// Returns the variable that the step gives a value, if any. The window a step opens is not counted: it is no text.
    #[must_use]
    pub fn assigns(&self) -> Option<&str> {
        match self {
            Self::Store { variable, .. } => Some(variable),
            Self::Script(script) => script.store.as_deref(),
            Self::Control(Control::ForEach { item, .. }) => Some(item),
            _ => None,
        }
    }
}

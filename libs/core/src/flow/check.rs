//! What a test claims about a page: a subject, what it is compared with, and whether to wait for it.

use super::Selectors;

/// One claim. It fails with `assertion` when it does not hold, and as any other step when its element is missing.
#[derive(Clone, PartialEq)]
pub struct Check {
    /// What is looked at.
    pub subject: Subject,
    /// What it must be.
    pub comparison: Comparison,
    /// Whether the claim is that the comparison does *not* hold.
    pub negated: bool,
    /// Whether to look again until the claim holds or time is up; otherwise the first look, once the element is there, counts.
    pub wait: bool,
}

/// What a [`Check`] looks at.
#[derive(Clone, PartialEq)]
pub enum Subject {
    /// The shown text of an element.
    Text(Selectors),
    /// The `value` of a form control; of a `<select>` that of the selected option.
    Value(Selectors),
    /// The label of the selected option of a `<select>`.
    SelectedLabel(Selectors),
    /// An attribute of an element.
    Attribute {
        /// The element.
        selectors: Selectors,
        /// The attribute.
        name: String,
    },
    /// Whether a checkbox, radio button or option is on.
    Checked(Selectors),
    /// Whether an element is neither disabled nor read-only.
    Editable(Selectors),
    /// Whether there is such an element.
    Present(Selectors),
    /// Whether there is such an element and it can be seen.
    Visible(Selectors),
    /// The page's title.
    Title,
    /// The page's URL.
    Url,
    /// The text of the open dialog; none open is a failure.
    Dialog(DialogKind),
    /// The value of a variable, as text.
    Variable(String),
    /// The value of a JavaScript expression.
    Expression(String),
}

impl Subject {
    /// Returns the element looked at, if it is one.
    #[must_use]
    pub fn selectors(&self) -> Option<&Selectors> {
        match self {
            Self::Text(selectors)
            | Self::Value(selectors)
            | Self::SelectedLabel(selectors)
            | Self::Attribute { selectors, .. }
            | Self::Checked(selectors)
            | Self::Editable(selectors)
            | Self::Present(selectors)
            | Self::Visible(selectors) => Some(selectors),
            Self::Title | Self::Url | Self::Dialog(_) | Self::Variable(_) | Self::Expression(_) => {
                None
            }
        }
    }

    /// Tells whether the subject is a text to compare; otherwise it is true or false by itself ([`Comparison::Holds`]).
    /// An expression may be either.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !matches!(
            self,
            Self::Checked(_)
                | Self::Editable(_)
                | Self::Present(_)
                | Self::Visible(_)
                | Self::Expression(_)
        )
    }

    /// Names the subject for reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Value(_) => "value",
            Self::SelectedLabel(_) => "selectedLabel",
            Self::Attribute { .. } => "attribute",
            Self::Checked(_) => "checked",
            Self::Editable(_) => "editable",
            Self::Present(_) => "present",
            Self::Visible(_) => "visible",
            Self::Title => "title",
            Self::Url => "url",
            Self::Dialog(_) => "dialog",
            Self::Variable(_) => "variable",
            Self::Expression(_) => "expression",
        }
    }
}

/// Which kind of dialog is meant. The kinds are told apart only where the browser does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DialogKind {
    /// `alert`.
    #[default]
    Alert,
    /// `confirm`.
    Confirm,
    /// `prompt`.
    Prompt,
}

/// What a subject must be.
#[derive(Clone, PartialEq, Eq)]
pub enum Comparison {
    /// True; for subjects that are true or false, and for the truthiness of an expression.
    Holds,
    /// Exactly this text.
    Equals(String),
    /// This text, both without spaces around and with no-break spaces as spaces.
    EqualsTrimmed(String),
    /// A text that includes this one.
    Contains(String),
}

impl Comparison {
    /// Returns the text compared with, if any.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        match self {
            Self::Holds => None,
            Self::Equals(text) | Self::EqualsTrimmed(text) | Self::Contains(text) => Some(text),
        }
    }

    /// Tells whether a text is as asked for; never for [`Comparison::Holds`].
    #[must_use]
    pub fn matches(&self, found: &str) -> bool {
        let trimmed = |text: &str| text.replace('\u{a0}', " ").trim().to_owned();
        match self {
            Self::Holds => false,
            Self::Equals(text) => found == text,
            Self::EqualsTrimmed(text) => trimmed(found) == trimmed(text),
            Self::Contains(text) => found.contains(text.as_str()),
        }
    }
}

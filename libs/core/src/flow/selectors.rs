//! How a step finds its element: alternatives, best first, each a chain of parts.

/// Alternative ways to find one element, best first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectors(pub Vec<Chain>);

/// One alternative: each part is searched inside the element (or its shadow root) that the part before it found. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The parts, outermost first.
    pub parts: Vec<Selector>,
    /// Whether the alternative counts only where it finds exactly one element.
    pub unique: bool,
}

impl Chain {
    /// Makes an alternative of one part that may find more than one element.
    #[must_use]
    pub fn of(part: Selector) -> Self {
        Self { parts: vec![part], unique: false }
    }
}

impl From<Selector> for Selectors {
    fn from(part: Selector) -> Self {
        Self(vec![Chain::of(part)])
    }
}

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
    /// A link whose shown text, trimmed, is this one.
    LinkText(String),
    /// A link whose shown text includes this one.
    PartialLinkText(String),
    /// Elements of a CSS selector whose text, with spaces collapsed and without regard to case, includes another.
    HasText {
        /// The CSS selector.
        css: String,
        /// The text.
        text: String,
    },
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Css(css) => f.write_str(css),
            Self::Text(text) => write!(f, "text/{text}"),
            Self::XPath(path) => write!(f, "xpath/{path}"),
            Self::Pierce(css) => write!(f, "pierce/{css}"),
            Self::LinkText(text) => write!(f, "link/{text}"),
            Self::PartialLinkText(text) => write!(f, "partial-link/{text}"),
            Self::HasText { css, text } => write!(f, "{css}:has-text({text:?})"),
            Self::Aria { name, role } => {
                write!(f, "aria/{}", name.as_deref().unwrap_or(""))?;
                role.as_ref().map_or(Ok(()), |role| write!(f, "[role=\"{role}\"]"))
            }
        }
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
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

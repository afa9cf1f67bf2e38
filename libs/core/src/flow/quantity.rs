//! A number that a recording may give as a variable.

use std::time::Duration;

/// A number, or a text with variables that will be one when the step is performed ([`super::Scope::resolve`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity {
    /// The number.
    Number(f64),
    /// A text with variables in it.
    Text(String),
}

/// A text that should have been a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a number")]
pub struct NotANumber {
    /// The text, with its variables replaced.
    pub text: String,
}

impl Default for Quantity {
    fn default() -> Self {
        Self::Number(0.0)
    }
}

impl From<f64> for Quantity {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Duration> for Quantity {
    /// Counts in milliseconds.
    fn from(duration: Duration) -> Self {
        Self::Number(duration.as_secs_f64() * 1_000.0)
    }
}

impl Quantity {
    /// Reads a number; a text with variables is kept for later.
    ///
    /// # Errors
    /// [`NotANumber`] when the text has no variables and is no number.
    pub fn parse(text: &str) -> Result<Self, NotANumber> {
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self::Number(number)),
            _ if text.contains("${") => Ok(Self::Text(text.to_owned())),
            _ => Err(NotANumber { text: text.to_owned() }),
        }
    }

    /// Returns the number, if it is known already.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// Returns the number as milliseconds, if it is known already; a negative one is zero.
    #[must_use]
    pub fn milliseconds(&self) -> Option<Duration> {
        let seconds = self.number()? / 1_000.0;
        Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
    }
}

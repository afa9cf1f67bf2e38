//! The value of a variable: what JSON can say, read the way JavaScript reads it.

use std::{collections::BTreeMap, fmt};

/// A typed value. Numbers are JavaScript's.
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Tells whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Returns what a loop goes over: the items of a list, the characters of a text, and nothing for any other value but
    /// `null`, which cannot be gone over (`None`).
    #[must_use]
    pub fn items(&self) -> Option<Vec<Value>> {
        match self {
            Self::Null => None,
            Self::List(items) => Some(items.clone()),
            Self::Text(text) => Some(text.chars().map(|c| Self::Text(c.to_string())).collect()),
            Self::Bool(_) | Self::Number(_) | Self::Map(_) => Some(Vec::new()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Value {
    /// Writes the value as JavaScript's `String(value)` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            // Without this, zero below zero would be "-0".
            Self::Number(number) if *number == 0.0 => f.write_str("0"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    if !item.is_null() {
                        write!(f, "{item}")?;
                    }
                }
                Ok(())
            }
            Self::Map(_) => f.write_str("[object Object]"),
        }
    }
}

impl fmt::Debug for Value {
    /// Names the type only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool(…)",
            Self::Number(_) => "Number(…)",
            Self::Text(_) => "Text(…)",
            Self::List(_) => "List(…)",
            Self::Map(_) => "Map(…)",
        })
    }
}

//! The variables of one running test: typed values, replaced in texts, handed to code, and kept out of sight when secret.
//!
//! Invariants: replacing goes once from left to right, so that a value is never expanded again; a name without a value stays
//! as it is (so do `${KEY_ENTER}` and its like); code never gets a value pasted into it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flow, NotANumber, Quantity, Step, StepKind, Value, rewrite::absolute, texts};

/// What stands for a secret in everything that people see.
const REDACTED: &str = "•••";
/// Where recordings say that a value comes from outside; the run gives it as any other variable.
const ENVIRONMENT: &str = "env:";

/// The variables of one running test.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    values: BTreeMap<String, Value>,
    secrets: BTreeSet<String>,
    base_url: Option<String>,
}

/// Code, and the values of the variables it speaks of.
#[derive(Debug, Clone, PartialEq)]
pub struct Code {
    /// The code; a variable stands in it as `arguments[0]`, `arguments[1]`, …
    pub code: String,
    /// The arguments.
    pub arguments: Vec<Value>,
}

impl Scope {
    /// Starts with the flow's variables that have a value.
    #[must_use]
    pub fn new(flow: &Flow) -> Self {
        let values = flow.variables.iter().filter(|(_, value)| !value.is_null());
        Self {
            values: values.map(|(name, value)| (name.clone(), value.clone())).collect(),
            secrets: flow.secrets.clone(),
            base_url: flow.base_url.clone(),
        }
    }

    /// Returns a variable's value, if it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name.strip_prefix(ENVIRONMENT).unwrap_or(name))
    }

    /// Gives a variable a value; `secret` says that it came from a sensitive step, and is never forgotten.
    pub fn set(&mut self, name: &str, value: Value, secret: bool) {
        if secret {
            self.secrets.insert(name.to_owned());
        }
        self.values.insert(name.to_owned(), value);
    }

    /// Tells whether a variable's value must never be shown.
    #[must_use]
    pub fn is_secret(&self, name: &str) -> bool {
        self.secrets.contains(name)
    }

    /// Returns the number that a quantity stands for now.
    pub(super) fn number(&self, quantity: &Quantity) -> Result<f64, NotANumber> {
        let mut quantity = quantity.clone();
        texts::number(&mut quantity, &|text| *text = self.fill(text))?;
        Ok(quantity.number().unwrap_or_default())
    }

    /// Replaces the variables in a text; `${nbsp}` is a no-break space.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        split(text, |piece| {
            match piece {
                Piece::Plain(plain) => filled.push_str(plain),
                Piece::Name(name) => match self.get(name) {
                    Some(value) => filled.push_str(&value.to_string()),
                    None if name == "nbsp" => filled.push('\u{a0}'),
                    None => return false,
                },
            }
            true
        });
        filled
    }

    /// Returns the step with its variables replaced in everything but code, its numbers known and its URL absolute.
    ///
    /// # Errors
    /// [`NotANumber`] when a text that stands for a number is none.
    pub fn resolve(&self, step: &Step) -> Result<Step, NotANumber> {
        let mut step = step.clone();
        texts::each_text(&mut step, &|text: &mut String| {
            if text.contains("${") {
                *text = self.fill(text);
            }
        })?;
        if let (StepKind::Navigate { url }, Some(base)) = (&mut step.kind, &self.base_url) {
            *url = absolute(&self.fill(base), url);
        }
        Ok(step)
    }

    /// Replaces the values of secret variables in a text that people will see.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut values: Vec<String> = self
            .secrets
            .iter()
            .filter_map(|name| self.values.get(name))
            .map(ToString::to_string)
            .filter(|value| !value.is_empty())
            .collect();
        // A secret that is part of another must not break it up.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), REDACTED))
    }
}

/// A piece of a text.
enum Piece<'t> {
    /// As it stands.
    Plain(&'t str),
    /// What stands between `${` and `}`.
    Name(&'t str),
}

/// Cuts a text at its placeholders, from left to right. A name for which `take` returns false is plain text, in which
/// the next placeholder may begin.
fn split<'t>(text: &'t str, mut take: impl FnMut(Piece<'t>) -> bool) {
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if start > 0 {
            take(Piece::Plain(&rest[..start]));
        }
        rest = &rest[start..];
        let end = rest.find('}').filter(|end| take(Piece::Name(&rest[2..*end])));
        let taken = end.map_or(2, |end| end + 1);
        if end.is_none() {
            take(Piece::Plain(&rest[..taken]));
        }
        rest = &rest[taken..];
    }
    if !rest.is_empty() {
        take(Piece::Plain(rest));
    }
}

#[cfg(test)]
mod tests;

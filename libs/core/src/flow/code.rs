//! Variables in code: a value is handed over as an argument, wherever its name stands.
//!
//! In plain code `${name}` becomes `arguments[0]`; within a quoted string the string is taken apart, so that the value is part
//! of the text; within a template literal the placeholder keeps its form. Strings are told by their quotes alone: where that
//! is wrong (a quote in a regular expression), the code does not compile, but no value ever becomes code.

use super::{Code, Scope, Value};

/// Where in the code we are.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Plain,
    /// A string with this quote; where it began in what is written, and whether a value was put into it.
    Text {
        quote: char,
        start: usize,
        taken_apart: bool,
    },
    Template,
    LineComment,
    BlockComment,
}

impl Scope {
    /// Turns the variables in code into arguments.
    #[must_use]
    pub fn code(&self, code: &str) -> Code {
        let mut out = String::with_capacity(code.len());
        let mut names: Vec<&str> = Vec::new();
        let mut within = Within::Plain;
        let mut rest = code;
        while let Some(c) = rest.chars().next() {
            if let Some((name, after)) =
                placeholder(rest).filter(|(name, _)| self.get(name).is_some())
            {
                let known = names.iter().position(|known| *known == name);
                let index = known.unwrap_or(names.len());
                if known.is_none() {
                    names.push(name);
                }
                match &mut within {
                    Within::Text { quote, taken_apart, .. } => {
                        *taken_apart = true;
                        out.push_str(&format!("{quote}+String(arguments[{index}])+{quote}"));
                    }
                    Within::Template => out.push_str(&format!("${{arguments[{index}]}}")),
                    Within::Plain | Within::LineComment | Within::BlockComment => {
                        out.push_str(&format!("arguments[{index}]"));
                    }
                }
                rest = after;
                continue;
            }
            let escaped = c == '\\' && matches!(within, Within::Text { .. } | Within::Template);
            let taken = if escaped {
                1 + rest[1..].chars().next().map_or(0, char::len_utf8)
            } else {
                c.len_utf8()
            };
            let start = out.len();
            out.push_str(&rest[..taken]);
            if !escaped {
                within = step(within, rest, start, &mut out);
            }
            rest = &rest[taken..];
        }
        let arguments: Vec<Value> =
            names.iter().filter_map(|name| self.get(name).cloned()).collect();
        Code { code: out, arguments }
    }
}

/// Returns the name in a placeholder that the code begins with, and what comes after it.
fn placeholder(code: &str) -> Option<(&str, &str)> {
    code.strip_prefix("${")?.split_once('}')
}

/// Returns where we are after the first character of `rest`, which was written at `start`.
fn step(within: Within, rest: &str, start: usize, out: &mut String) -> Within {
    match within {
        Within::Plain if rest.starts_with("//") => Within::LineComment,
        Within::Plain if rest.starts_with("/*") => Within::BlockComment,
        Within::Plain => match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => Within::Text { quote, start, taken_apart: false },
            Some('`') => Within::Template,
            _ => Within::Plain,
        },
        Within::Text { quote, start, taken_apart } if rest.starts_with(quote) => {
            if taken_apart {
                // Together it is still one value, whatever is done with it.
                out.insert(start, '(');
                out.push(')');
            }
            Within::Plain
        }
        // A string that is not closed on its line is none.
        Within::Text { .. } | Within::LineComment if rest.starts_with('\n') => Within::Plain,
        Within::Template if rest.starts_with('`') => Within::Plain,
        Within::BlockComment if rest.starts_with('/') && out.ends_with("*/") => Within::Plain,
        unchanged => unchanged,
    }
}

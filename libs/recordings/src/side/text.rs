//! Texts of commands: trimmed, with backslashes read, and their variables left for the run.

use std::collections::BTreeMap;

use gauntlet_core::flow::special_key;

/// Reads a text as the runner does before it looks at it.
pub(super) fn literal(text: &str) -> String {
    text.trim().replace("\\\\", "\\").replace("\\r", "\r").replace("\\n", "\n")
}

/// Returns the whole number that a text begins with, as `parseInt` does.
pub(super) fn leading_integer(text: &str) -> Option<f64> {
    let text = text.trim();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].chars().take_while(char::is_ascii_digit).count();
    text[..sign + digits].parse().ok().filter(|_: &f64| digits > 0)
}

/// Returns the pieces of a text between separators that do not stand within a variable.
pub(super) fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => inside = true,
            '}' => inside = false,
            c if c == separator && !inside => {
                pieces.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// Returns the first `${KEY_…}` of a text that names no key.
pub(super) fn unknown_key(text: &str) -> Option<&str> {
    text.split("${KEY_").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).find(
        |name| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && special_key(name).is_none()
        },
    )
}

/// Replaces variables whose values are known while importing.
pub(super) fn with_constants(text: &str, constants: &BTreeMap<String, String>) -> String {
    constants
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

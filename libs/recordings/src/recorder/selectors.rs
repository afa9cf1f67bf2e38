//! Selectors: alternatives, chains through shadow roots, and the five kinds by prefix.

use gauntlet_core::flow::{Chain, Selector, Selectors};
use serde_json::Value;

use crate::fields::{Fields, type_of};

/// Reads the required `selectors`.
pub(super) fn selectors(fields: &mut Fields<'_>) -> Option<Selectors> {
    let alternatives = fields.array_required("selectors")?;
    if alternatives.is_empty() {
        fields.wrong("selectors", "must not be empty");
        return None;
    }
    let chains: Vec<_> = alternatives
        .iter()
        .enumerate()
        .filter_map(|(index, alternative)| chain(index, alternative, fields))
        .collect();
    (chains.len() == alternatives.len()).then_some(Selectors(chains))
}

/// Reads `selectors` of a step that also works without.
pub(super) fn optional_selectors(fields: &mut Fields<'_>) -> Option<Selectors> {
    fields.get("selectors").and_then(|_| selectors(fields))
}

fn chain(index: usize, alternative: &Value, fields: &mut Fields<'_>) -> Option<Chain> {
    let path = format!("selectors[{index}]");
    let parts = match alternative {
        Value::String(_) => std::slice::from_ref(alternative),
        Value::Array(parts) => parts.as_slice(),
        _ => {
            fields.wrong(
                &path,
                format!("must be a string or an array of strings, not {}", type_of(alternative)),
            );
            return None;
        }
    };
    if parts.is_empty() {
        fields.wrong(&path, "must not be empty");
        return None;
    }
    let mut chain = Vec::with_capacity(parts.len());
    for (part_index, part) in parts.iter().enumerate() {
        let path =
            if alternative.is_string() { path.clone() } else { format!("{path}[{part_index}]") };
        match part.as_str().map(selector) {
            Some(Ok(part)) => chain.push(part),
            Some(Err(message)) => fields.wrong(&path, message),
            None => fields.wrong(&path, format!("must be a string, not {}", type_of(part))),
        }
    }
    (chain.len() == parts.len()).then_some(Chain { parts: chain, unique: false })
}

/// Reads one selector by its prefix.
pub(crate) fn selector(text: &str) -> Result<Selector, &'static str> {
    let (make, rest): (fn(String) -> Selector, _) = if let Some(rest) = text.strip_prefix("aria/") {
        return aria(rest);
    } else if let Some(rest) = text.strip_prefix("text/") {
        (Selector::Text, rest)
    } else if let Some(rest) = text.strip_prefix("xpath/") {
        (Selector::XPath, rest)
    } else if let Some(rest) = text.strip_prefix("pierce/") {
        (Selector::Pierce, rest)
    } else {
        // The reference keeps a `css/` prefix and then finds nothing; we take it as what was meant.
        (Selector::Css, text.strip_prefix("css/").unwrap_or(text))
    };
    if rest.trim().is_empty() { Err("must not be empty") } else { Ok(make(rest.to_owned())) }
}

/// Reads `NAME[role="button"]`: the attributes `name` and `role`, and what is left over as the name.
fn aria(text: &str) -> Result<Selector, &'static str> {
    let (mut name, mut role) = (None, None);
    let mut left = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let Some((attribute, value, length)) = attribute(&rest[start..]) else {
            left.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
            continue;
        };
        match attribute {
            "name" => name = Some(collapse(value)),
            "role" => role = Some(collapse(value)),
            _ => return Err("the only aria attributes are `name` and `role`"),
        }
        left.push_str(&rest[..start]);
        rest = &rest[start + length..];
    }
    left.push_str(rest);
    let left = collapse(&left);
    if !left.is_empty() && name.is_none() {
        name = Some(left);
    }
    match (&name, &role) {
        (None, None) => Err("must name an accessible name or a role"),
        _ => Ok(Selector::Aria { name, role }),
    }
}

/// Reads `[name="value"]` at the start of `text`; returns its name, value and length in bytes.
fn attribute(text: &str) -> Option<(&str, &str, usize)> {
    let inner = text.strip_prefix('[')?;
    let equals = inner.find('=')?;
    let name = inner[..equals].trim();
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let value = inner[equals + 1..].trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let value = &value[1..];
    let end = value.find(quote)?;
    let after = value[end + 1..].trim_start().strip_prefix(']')?;
    Some((name, &value[..end], text.len() - after.len()))
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

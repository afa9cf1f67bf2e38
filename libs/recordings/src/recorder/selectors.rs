//! Selectors: alternatives, chains through shadow roots, and the five kinds by prefix or by Puppeteer's own syntax.

use gauntlet_core::flow::{Chain, Selector, Selectors};
use serde_json::Value;

use super::deep;
use crate::fields::{Fields, type_of};

const PREFIXES: [&str; 4] = ["aria", "text", "xpath", "pierce"];

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
    let (mut chain, mut is_whole) = (Vec::with_capacity(parts.len()), true);
    for (part_index, part) in parts.iter().enumerate() {
        let path =
            if alternative.is_string() { path.clone() } else { format!("{path}[{part_index}]") };
        let wrong = match part.as_str().map(|text| link(text, parts.len() == 1)) {
            Some(Ok(links)) => {
                chain.extend(links);
                continue;
            }
            Some(Err(message)) => message.to_owned(),
            None => format!("must be a string, not {}", type_of(part)),
        };
        fields.wrong(&path, wrong);
        is_whole = false;
    }
    is_whole.then_some(Chain { parts: chain, unique: false })
}

/// Reads a link of a chain, which may be a chain itself. Puppeteer takes `=` for the `/` of a prefix, but not within a chain.
fn link(text: &str, alone: bool) -> Result<Vec<Selector>, &'static str> {
    let has_prefix = |separator| {
        text.split_once(separator).filter(|(prefix, _)| PREFIXES.contains(prefix)).is_some()
    };
    if has_prefix('/') || text.starts_with("css/") {
        return Ok(vec![selector(text)?]);
    }
    if alone && has_prefix('=') {
        return Ok(vec![selector(&text.replacen('=', "/", 1))?]);
    }
    deep::parts(text)
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
    not_empty(rest).map(make)
}

pub(super) fn not_empty(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) }
}

/// Reads `NAME[role="button"]`: the attributes `name` and `role`, and what is left over as the name.
pub(super) fn aria(text: &str) -> Result<Selector, &'static str> {
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

//! YAML in and out. Out is a small, plain subset: block lists and mappings, and texts that are quoted unless no reader of
//! any version of YAML can take them for something else.

use serde_json::{Map, Value};
use serde_saphyr::{DuplicateKeyPolicy, budget, options};

use crate::error::ImportErrors;

/// Tests of one file.
const DOCUMENTS_MAX: usize = 1_000;
/// Fields that come first, and after all others; the rest is in alphabetical order.
const FIRST: [&str; 5] = ["gauntlet", "title", "baseUrl", "timeout", "delay"];
const LAST: [&str; 11] = [
    "label",
    "timeout",
    "soft",
    "optional",
    "sensitive",
    "opensWindow",
    "navigation",
    "target",
    "frame",
    "secrets",
    "steps",
];

/// Reads every document of a stream; `None` (noted) if it is no YAML, or too much of it.
pub(super) fn read(text: &str, errors: &mut ImportErrors) -> Option<Vec<Value>> {
    let options = options! {
        budget: budget! { max_documents: DOCUMENTS_MAX, max_depth: 64 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_multiple_with_options(text, options) {
        Ok(documents) => Some(documents),
        Err(error) => {
            errors.file_problem(format!("malformed YAML: {error}"));
            None
        }
    }
}

/// Writes one document.
pub(super) fn emit(document: &Value) -> String {
    let mut out = String::new();
    block(document, 0, &mut out);
    out
}

/// Writes a value as lines, indented by `depth` levels; the first line's indentation is there already.
fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (name, value)) in ordered(map).into_iter().enumerate() {
                if index > 0 {
                    indent(depth, out);
                }
                out.push_str(&scalar(name));
                out.push(':');
                // The longest key that YAML reads without a mark before it has 1024 characters; ours are far from it.
                nested(value, depth, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    indent(depth, out);
                }
                out.push_str("- ");
                block(item, depth + 1, out);
            }
        }
        Value::Object(_) => out.push_str("{}\n"),
        Value::Array(_) => out.push_str("[]\n"),
        Value::String(text) => {
            out.push_str(&text_block(text, depth).unwrap_or_else(|| scalar(text)));
            out.push('\n');
        }
        other => out.push_str(&format!("{other}\n")),
    }
}

/// Writes a value after a key.
fn nested(value: &Value, depth: usize, out: &mut String) {
    let lines = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if lines {
        out.push('\n');
        indent(depth + 1, out);
        block(value, depth + 1, out);
    } else {
        out.push(' ');
        block(value, depth + 1, out);
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn ordered(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let head = map.contains_key("gauntlet");
    let rank = |name: &str| {
        let first = FIRST.iter().position(|first| head && *first == name);
        let last = LAST.iter().position(|last| *last == name).map(|at| FIRST.len() + 1 + at);
        first.or(last).unwrap_or(FIRST.len())
    };
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_by_key(|(name, _)| rank(name));
    fields
}

/// Writes a text on one line.
fn scalar(text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = begins
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| matches!(c, ' '..='~' | '›'))
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// Writes a text in double quotes; what cannot be seen is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if shows(c) => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Tells whether a character may stand in a YAML file as it is, and is no line break for anybody.
fn shows(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Writes a text of several lines as lines, if nothing in it could be read differently.
fn text_block(text: &str, depth: usize) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let fits = body.contains('\n')
        && body.chars().all(|c| c == '\n' || shows(c))
        && body.lines().all(|line| !line.ends_with(' '))
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n');
    if !fits {
        return None;
    }
    let mut out = String::from(if text.ends_with('\n') { "|" } else { "|-" });
    for line in body.lines() {
        out.push('\n');
        if !line.is_empty() {
            indent(depth.max(1), &mut out);
            out.push_str(line);
        }
    }
    Some(out)
}

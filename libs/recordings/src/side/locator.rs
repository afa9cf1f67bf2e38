//! Locators: how commands name elements and options.

use gauntlet_core::flow::{Chain, OptionBy, Selector, Selectors};
use serde_json::Value;

use super::text::literal;
use crate::fields::Fields;

/// Reads one locator.
pub(super) fn locator(text: &str) -> Result<Selector, &'static str> {
    let text = literal(text);
    if text.starts_with("//") {
        return Ok(Selector::XPath(text));
    }
    let (strategy, value) = text.split_once('=').unwrap_or((&text, ""));
    if text.is_empty() {
        return Err("a locator is required and missing");
    }
    if strategy.starts_with("${") {
        return Err("a variable can stand for what is looked for, not for the way of looking: \
                    write the strategy before it, as in css=${variable}");
    }
    let value = value.to_owned();
    match strategy {
        _ if value.is_empty() => Err("a locator is a strategy, `=`, and what to look for"),
        "id" => Ok(Selector::Css(attribute("id", &value))),
        "name" => Ok(Selector::Css(attribute("name", &value))),
        "link" | "linkText" => Ok(Selector::LinkText(value)),
        "partialLinkText" => Ok(Selector::PartialLinkText(value)),
        "css" => Ok(Selector::Css(value)),
        "xpath" => Ok(Selector::XPath(value)),
        _ => Err(
            "unknown strategy; known are id, name, link, linkText, partialLinkText, css, xpath, \
                  or a bare xpath that begins with //",
        ),
    }
}

/// Writes a CSS selector for an attribute's exact value.
fn attribute(name: &str, value: &str) -> String {
    format!("*[{name}=\"{}\"]", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads the locator of a field, alone.
pub(super) fn only(fields: &mut Fields<'_>, field: &str) -> Option<Selectors> {
    let text = fields.string(field).unwrap_or_default();
    match locator(&text) {
        Ok(selector) => Some(selector.into()),
        Err(message) => {
            fields.wrong(field, message);
            None
        }
    }
}

/// Reads the locator of a field and then its fallbacks in the runner's order. A fallback that cannot be read is passed over:
/// nothing can be found by it.
pub(super) fn with_fallbacks(
    fields: &mut Fields<'_>,
    field: &str,
    fallbacks: &[&str],
) -> Option<Selectors> {
    let mut all = only(fields, field)?;
    for list in fallbacks {
        for pair in fields.array(list).unwrap_or_default() {
            let text = pair.as_array().and_then(|pair| pair.first()).and_then(Value::as_str);
            if let Some(Ok(selector)) = text.map(locator) {
                let chain = Chain::of(selector);
                if !all.0.contains(&chain) {
                    all.0.push(chain);
                }
            }
        }
    }
    Some(all)
}

/// Reads how an option is named.
pub(super) fn option(text: &str) -> Result<OptionBy, &'static str> {
    let text = literal(text);
    let (strategy, value) = text.split_once('=').unwrap_or((&text, ""));
    if value.is_empty() {
        return if strategy.is_empty() {
            Err("an option is required and missing")
        } else {
            Ok(label(strategy))
        };
    }
    match strategy {
        "label" => Ok(label(value)),
        "value" => Ok(OptionBy::Value(value.to_owned())),
        "id" => Ok(OptionBy::Id(value.to_owned())),
        "index" => Ok(OptionBy::NthChild(value.to_owned())),
        _ => Err("unknown way to name an option; known are label, value, id, index"),
    }
}

fn label(text: &str) -> OptionBy {
    match text.strip_prefix("mostly-equals:") {
        Some(text) => OptionBy::MostlyLabel(text.to_owned()),
        None => OptionBy::Label(text.to_owned()),
    }
}

//! How an action finds its element: selectors with confidence first, then the older single record, then what is left.

use gauntlet_core::flow::{Chain, Selector, Selectors};
use serde_json::{Map, Value};

use crate::fields::Fields;

/// From this confidence on, a selector must find exactly one element.
const UNIQUE_CONFIDENCE: f64 = 80.0;
/// The older record's strategies in the order that it is given when it does not say.
const ORDER: [&str; 10] = [
    "id",
    "dataTestId",
    "ariaLabel",
    "name",
    "css",
    "text",
    "xpath",
    "textContains",
    "position",
    "xpathAbsolute",
];

/// Reads the alternatives of an action; none is an error.
pub(super) fn selectors(fields: &mut Fields<'_>) -> Option<Selectors> {
    let tag = fields.string("tagName").filter(|tag| is_name(tag)).unwrap_or_else(|| "*".to_owned());
    let mut all: Vec<Chain> = Vec::new();
    let mut add = |chain: Option<Chain>| {
        if let Some(chain) =
            chain.filter(|chain| !all.iter().any(|known| known.parts == chain.parts))
        {
            all.push(chain);
        }
    };
    let record = fields.object("selector").unwrap_or_default();
    add(fields.object("contentSignature").and_then(|signature| content(&signature, &record)));
    let mut ranked = fields.array("selectors").unwrap_or_default();
    ranked.sort_by(|a, b| priority(a).total_cmp(&priority(b)));
    for selector in &ranked {
        let strategy = selector["strategy"].as_str().unwrap_or_default();
        let chain = selector["value"].as_str().and_then(|value| by(strategy, value, &tag));
        let unique = selector["confidence"].as_f64().is_some_and(|sure| sure >= UNIQUE_CONFIDENCE);
        add(chain.map(|chain| Chain { unique, ..chain }));
    }
    let order: Vec<&str> = record
        .get("priority")
        .and_then(Value::as_array)
        .map_or_else(|| ORDER.to_vec(), |names| names.iter().filter_map(Value::as_str).collect());
    for name in order.into_iter().chain(ORDER) {
        add(old(name, &record, &tag));
    }
    let mut more = fields.array("alternativeSelectors").unwrap_or_default();
    more.sort_by(|a, b| priority(a).total_cmp(&priority(b)));
    for alternative in more.iter().filter_map(Value::as_object) {
        for (name, value) in alternative {
            add(value.as_str().and_then(|value| by(name, value, &tag)));
        }
    }
    if all.is_empty() {
        fields.wrong("selector", "names no way to find the element");
        return None;
    }
    Some(Selectors(all))
}

/// Reads the frame that an action happened in.
pub(super) fn frame(fields: &mut Fields<'_>) -> Option<Selector> {
    let of = |name: &str, value: String| format!("iframe[{name}={}]", quoted(&value));
    fields
        .string("frameSelector")
        .or_else(|| fields.string("frameId").map(|id| of("id", id)))
        .or_else(|| fields.string("frameUrl").map(|url| of("src", url)))
        .filter(|css| !css.trim().is_empty())
        .map(Selector::Css)
}

/// Reads the alternatives of a `selector` object that stands alone.
pub(super) fn of_record(record: &Map<String, Value>) -> Option<Selectors> {
    let chains: Vec<_> = ORDER.iter().filter_map(|name| old(name, record, "*")).collect();
    (!chains.is_empty()).then_some(Selectors(chains))
}

fn priority(selector: &Value) -> f64 {
    selector["priority"].as_f64().unwrap_or(f64::MAX)
}

fn is_name(tag: &str) -> bool {
    !tag.is_empty() && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Reads one strategy of the older record.
fn old(name: &str, record: &Map<String, Value>, tag: &str) -> Option<Chain> {
    if name == "position" {
        let position = record.get(name)?;
        let index = position["index"].as_u64()?;
        let css = format!("{} > :nth-child({})", position["parent"].as_str()?, index + 1);
        return Some(Chain::of(Selector::Css(css)));
    }
    by(name, record.get(name)?.as_str()?, tag)
}

/// Reads a strategy and its value; one that is not known finds nothing and is passed over.
fn by(strategy: &str, value: &str, tag: &str) -> Option<Chain> {
    let value = value.trim();
    if value.is_empty() {
        return None;
    }
    let attribute = |name: &str| Selector::Css(format!("[{name}={}]", quoted(value)));
    let selector = match strategy {
        "id" => attribute("id"),
        "dataTestId" | "data-testid" | "dataAttribute" if value.starts_with('[') => {
            Selector::Css(value.to_owned())
        }
        "dataTestId" | "data-testid" => attribute("data-testid"),
        "ariaLabel" | "aria-label" => attribute("aria-label"),
        "name" => attribute("name"),
        "css" | "css-semantic" | "position" => return css(value),
        "xpath" | "xpathAbsolute" => Selector::XPath(value.to_owned()),
        "text" | "text-content" => exact_text(value, tag),
        "textContains" => Selector::HasText { css: tag.to_owned(), text: value.to_owned() },
        "href-pattern" => pattern("a", "href", value),
        "src-pattern" => pattern("img", "src", value),
        _ => return None,
    };
    Some(Chain::of(selector))
}

fn pattern(tag: &str, name: &str, value: &str) -> Selector {
    let whole = value.starts_with(tag) && value.contains('[');
    Selector::Css(if whole {
        value.to_owned()
    } else {
        format!("{tag}[{name}*={}]", quoted(value))
    })
}

/// Writes a text as CSS writes strings.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' | '\r' | '\u{c}' => out.push_str(&format!("\\{:x} ", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The element itself has this text, with spaces collapsed.
fn exact_text(text: &str, tag: &str) -> Selector {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let quote = if !text.contains('"') {
        '"'
    } else if !text.contains('\'') {
        '\''
    } else {
        return Selector::HasText { css: tag.to_owned(), text };
    };
    Selector::XPath(format!("//{tag}[normalize-space(.)={quote}{text}{quote}]"))
}

/// Reads CSS, and Playwright's `:has-text("…")` in it as a part of its own. Other extensions of Playwright find nothing here.
pub(super) fn css(text: &str) -> Option<Chain> {
    const MARK: &str = ":has-text(";
    if text.contains(">>") {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let before = rest[..at].trim_start();
        let (said, after) = string_and_bracket(&rest[at + MARK.len()..])?;
        // What follows without a space still speaks of the same element.
        let end = after.find([' ', '>', '+', '~']).unwrap_or(after.len());
        let css = within(&format!("{before}{}", &after[..end]), parts.is_empty());
        parts.push(Selector::HasText { css, text: said });
        rest = &after[end..];
    }
    if !rest.trim().is_empty() {
        parts.push(Selector::Css(within(rest.trim(), parts.is_empty())));
    }
    (!parts.is_empty()).then_some(Chain { parts, unique: false })
}

/// A later part is looked for below the one before it, so that a combinator starts there.
fn within(css: &str, is_first: bool) -> String {
    let css = if css.is_empty() { "*" } else { css };
    if !is_first && css.starts_with(['>', '+', '~']) {
        format!(":scope {css}")
    } else {
        css.to_owned()
    }
}

/// Reads `"text")` or `'text')`; returns the text and what comes after.
fn string_and_bracket(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut said = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            said.extend(chars.next().map(|(_, c)| c));
        } else if c == quote {
            let after = text[at + 1..].trim_start().strip_prefix(')')?;
            return Some((said, after));
        } else {
            said.push(c);
        }
    }
    None
}

/// Reads what the item of a list says about itself: the element of the same kind, in the item with the same heading.
fn content(signature: &Map<String, Value>, record: &Map<String, Value>) -> Option<Chain> {
    let list = signature.get("listContainer")?;
    let print = signature.get("contentFingerprint")?;
    let said = ["heading", "subheading"].iter().find_map(|name| print.get(name)?.as_str())?.trim();
    let item = list["itemSelector"].as_str().filter(|css| !css.trim().is_empty())?;
    let own = record.get("css")?.as_str()?.rsplit(" > ").next()?;
    if said.is_empty()
        || own.trim().is_empty()
        || own.contains(":has-text(")
        || item.contains(":has-text(")
    {
        return None;
    }
    let item = Selector::HasText { css: item.to_owned(), text: said.to_owned() };
    Some(Chain { parts: vec![item, Selector::Css(own.to_owned())], unique: true })
}

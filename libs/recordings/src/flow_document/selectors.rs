//! Selectors. A text is one part by its prefix, as in `DevTools` recordings; a list is alternatives, a list within it a chain.

use gauntlet_core::flow::{Chain, Selector, Selectors};
use serde_json::{Map, Value, json};

use super::form::{Form, Place, Record, schema_of};
use crate::recorder;

/// Every prefix that says how to look; a CSS selector that begins with one is written with its own.
const PREFIXES: [&str; 7] =
    ["css/", "aria/", "text/", "xpath/", "pierce/", "link/", "partial-link/"];

impl Form for Selectors {
    const DEFINITION: Option<&'static str> = Some("selectors");

    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        if value.is_string() {
            return Selector::read(value, place).map(Into::into);
        }
        let chains = Vec::read(value, place)?;
        if chains.is_empty() {
            place.wrong("must not be empty");
            return None;
        }
        Some(Self(chains))
    }

    fn write(&self) -> Value {
        match self.0.as_slice() {
            [Chain { parts, unique: false }]
                if parts.len() == 1 && parts[0].write().is_string() =>
            {
                parts[0].write()
            }
            chains => chains.iter().map(Form::write).collect(),
        }
    }

    fn schema(definitions: &mut Map<String, Value>) -> Value {
        let list =
            json!({ "type": "array", "minItems": 1, "items": schema_of::<Chain>(definitions) });
        json!({ "anyOf": [{ "type": "string" }, list] })
    }
}

impl Form for Chain {
    const DEFINITION: Option<&'static str> = Some("alternative");

    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        match value {
            Value::Object(object) if object.contains_key("parts") => {
                let mut record = Record::reading(object, place.within(""));
                let chain = described(&mut record, None);
                record.finish();
                chain
            }
            Value::Array(_) => {
                let parts = Vec::read(value, place)?;
                if parts.is_empty() {
                    place.wrong("must not be empty");
                    return None;
                }
                Some(Self { parts, unique: false })
            }
            one => Selector::read(one, place).map(Self::of),
        }
    }

    fn write(&self) -> Value {
        if self.unique {
            let mut record = Record::writing();
            described(&mut record, Some(self));
            return record.written();
        }
        match self.parts.as_slice() {
            [part] => part.write(),
            parts => parts.iter().map(Form::write).collect(),
        }
    }

    fn schema(definitions: &mut Map<String, Value>) -> Value {
        let part = schema_of::<Selector>(definitions);
        let parts = json!({ "type": "array", "minItems": 1, "items": part });
        let unique = json!({
            "type": "object", "required": ["parts"], "additionalProperties": false,
            "properties": { "parts": parts, "unique": { "type": "boolean" } },
        });
        json!({ "anyOf": [part, parts, unique] })
    }
}

/// Reads a text by its prefix.
fn selector(text: &str) -> Result<Selector, &'static str> {
    let own = [
        ("partial-link/", Selector::PartialLinkText as fn(String) -> Selector),
        ("link/", Selector::LinkText),
    ];
    for (prefix, make) in own {
        if let Some(rest) = text.strip_prefix(prefix) {
            return if rest.trim().is_empty() {
                Err("must not be empty")
            } else {
                Ok(make(rest.to_owned()))
            };
        }
    }
    recorder::selector(text)
}

fn described(r: &mut Record<'_>, this: Option<&Chain>) -> Option<Chain> {
    let parts: Option<Vec<Selector>> = r.must("parts", this.map(|chain| &chain.parts));
    let unique = r.or("unique", this.map(|chain| &chain.unique), &false);
    let parts = parts?;
    if parts.is_empty() {
        r.wrong("parts", "must not be empty");
        return None;
    }
    Some(Chain { parts, unique: unique? })
}

impl Form for Selector {
    const DEFINITION: Option<&'static str> = Some("selector");

    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        match value {
            Value::String(text) => match selector(text) {
                Ok(selector) => Some(selector),
                Err(message) => {
                    place.wrong(message);
                    None
                }
            },
            Value::Object(object) => {
                let mut record = Record::reading(object, place.within(""));
                let selector = object_form(&mut record, None);
                record.finish();
                selector
            }
            other => place.expected("a text or an object", other),
        }
    }

    fn write(&self) -> Value {
        let text = match self {
            Self::Css(css) if PREFIXES.iter().any(|prefix| css.starts_with(prefix)) => {
                format!("css/{css}")
            }
            part => part.to_string(),
        };
        if selector(&text).as_ref() == Ok(self) {
            return json!(text);
        }
        let mut record = Record::writing();
        object_form(&mut record, Some(self));
        record.written()
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        let mut record = Record::describing();
        object_form(&mut record, None);
        json!({ "anyOf": [{ "type": "string" }, record.described().0] })
    }
}

/// What a text cannot say: `{css, hasText}` and an accessible name with brackets in it.
fn object_form(r: &mut Record<'_>, this: Option<&Selector>) -> Option<Selector> {
    let css = match this {
        Some(Selector::HasText { css, .. }) => Some(Some(css.clone())),
        _ => None,
    };
    let text = match this {
        Some(Selector::HasText { text, .. }) => Some(Some(text.clone())),
        _ => None,
    };
    let (name, role) = match this {
        Some(Selector::Aria { name, role }) => (Some(name), Some(role)),
        _ => (None, None),
    };
    let css = r.may("css", css.as_ref());
    let text = r.may("hasText", text.as_ref());
    let name = r.may("name", name);
    let role = r.may("role", role);
    match (css?, text?, name?, role?) {
        (Some(css), Some(text), None, None) => Some(Selector::HasText { css, text }),
        (None, None, name, role) if name.is_some() || role.is_some() => {
            Some(Selector::Aria { name, role })
        }
        _ => {
            r.wrong("", "must have css and hasText, or an accessible name or role");
            None
        }
    }
}

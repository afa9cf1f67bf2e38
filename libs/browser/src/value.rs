//! Values of variables as JSON, which is how a page takes and gives them.

use gauntlet_core::flow::Value;
use serde_json::Value as Json;

/// Returns what a page said.
pub(crate) fn from_page(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(yes),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(from_page).collect()),
        Json::Object(map) => {
            Value::Map(map.into_iter().map(|(key, value)| (key, from_page(value))).collect())
        }
    }
}

/// Returns what is said to a page.
pub(crate) fn to_page(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Number(number) => Json::from(*number),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => items.iter().map(to_page).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), to_page(value))).collect(),
    }
}

/// Truthiness as JavaScript has it.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => *number != 0.0 && !number.is_nan(),
        Value::Text(text) => !text.is_empty(),
        Value::List(_) | Value::Map(_) => true,
    }
}

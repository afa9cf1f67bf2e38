//! Plain values: texts, numbers, lists, maps, variables, and enums that are one word.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use gauntlet_core::flow::{
    Button, DialogKind, DialogTime, KeyName, Modifier, Operator, Origin, PointerAction, Quantity,
    ScriptKind, SelectMode, Value as Variable,
};
use serde_json::{Map, Value, json};

use super::form::{Form, Place, schema_of};
use crate::{fields::no_such_key, near::nearest};

/// Whole numbers up to this are exact in JavaScript, and written without a point.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Form for String {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        match value {
            Value::String(text) => Some(text.clone()),
            other => place.expected("a text", other),
        }
    }

    fn write(&self) -> Value {
        json!(self)
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "string" })
    }
}

impl Form for KeyName {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        let name = String::read(value, place)?;
        let key = Self::new(&name);
        if key.is_none() {
            place.wrong(no_such_key(&name));
        }
        key
    }

    fn write(&self) -> Value {
        json!(self.as_str())
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({
            "type": "string",
            "minLength": 1,
            "description": "What a key types or does (a, Enter), or its place on a US keyboard (KeyA, NumpadEnter).",
        })
    }
}

impl Form for bool {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        value.as_bool().or_else(|| place.expected("true or false", value))
    }

    fn write(&self) -> Value {
        json!(self)
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "boolean" })
    }
}

impl Form for f64 {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        value.as_f64().or_else(|| place.expected("a number", value))
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the exact numbers")]
    fn write(&self) -> Value {
        let whole =
            self.fract() == 0.0 && self.abs() < EXACT && (*self != 0.0 || self.is_sign_positive());
        if whole { json!(*self as i64) } else { json!(self) }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "number" })
    }
}

macro_rules! whole_number {
    ($($number:ty),*) => {$(
        impl Form for $number {
            fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
                let read = value.as_u64().and_then(|number| Self::try_from(number).ok());
                if read.is_none() {
                    place.wrong(format!("must be a whole number from 0 to {}", Self::MAX));
                }
                read
            }

            fn write(&self) -> Value {
                json!(self)
            }

            fn schema(_: &mut Map<String, Value>) -> Value {
                json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
            }
        }
    )*};
}

whole_number!(u16, u32);

/// A duration, counted in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Milliseconds(pub(super) Duration);

impl Form for Milliseconds {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is brought within bounds first"
    )]
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        match value.as_f64() {
            Some(number) if (0.0..=86_400_000.0).contains(&number) => {
                Some(Self(Duration::from_nanos((number * 1e6).round() as u64)))
            }
            _ => {
                place.wrong("must be a number of milliseconds from 0 to 86400000");
                None
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "days of nanoseconds are exact")]
    fn write(&self) -> Value {
        (self.0.as_nanos() as f64 / 1e6).write()
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": 86_400_000 })
    }
}

impl Form for Quantity {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        let read = match value {
            Value::Number(_) => value.as_f64().map(Self::Number),
            Value::String(text) => Self::parse(text).ok(),
            _ => None,
        };
        if read.is_none() {
            place.wrong("must be a number, or a text with a ${variable} that will be one");
        }
        read
    }

    fn write(&self) -> Value {
        match self {
            Self::Number(number) => number.write(),
            Self::Text(text) => json!(text),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": ["number", "string"] })
    }
}

impl<T: Form> Form for Vec<T> {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        let Some(items) = value.as_array() else { return place.expected("a list", value) };
        let read: Vec<T> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| T::read(item, &mut place.within(&format!("[{index}]"))))
            .collect();
        (read.len() == items.len()).then_some(read)
    }

    fn write(&self) -> Value {
        self.iter().map(Form::write).collect()
    }

    fn schema(definitions: &mut Map<String, Value>) -> Value {
        json!({ "type": "array", "items": schema_of::<T>(definitions) })
    }
}

impl Form for BTreeSet<String> {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        Vec::read(value, place).map(Self::from_iter)
    }

    fn write(&self) -> Value {
        json!(self)
    }

    fn schema(definitions: &mut Map<String, Value>) -> Value {
        Vec::<String>::schema(definitions)
    }
}

impl<T: Form> Form for BTreeMap<String, T> {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        let Some(map) = value.as_object() else { return place.expected("an object", value) };
        let read: Self = map
            .iter()
            .filter_map(|(name, value)| {
                Some((name.clone(), T::read(value, &mut place.within(name))?))
            })
            .collect();
        (read.len() == map.len()).then_some(read)
    }

    fn write(&self) -> Value {
        Value::Object(self.iter().map(|(name, value)| (name.clone(), value.write())).collect())
    }

    fn schema(definitions: &mut Map<String, Value>) -> Value {
        json!({ "type": "object", "additionalProperties": schema_of::<T>(definitions) })
    }
}

impl Form for Variable {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or_default()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(_) => Self::List(Vec::read(value, place)?),
            Value::Object(_) => Self::Map(BTreeMap::read(value, place)?),
        })
    }

    fn write(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Number(number) => number.write(),
            Self::Text(text) => json!(text),
            Self::List(items) => items.write(),
            Self::Map(map) => map.write(),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({})
    }
}

macro_rules! words {
    ($($type:ty { $($word:literal => $value:path),* $(,)? })*) => {$(
        impl Form for $type {
            fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
                match value.as_str() {
                    $(Some($word) => Some($value),)*
                    Some(other) => {
                        let words = [$($word),*];
                        let hint = nearest(other, words.into_iter());
                        place.wrong(format!("must be one of {}{hint}", words.join(", ")));
                        None
                    }
                    None => place.expected("a text", value),
                }
            }

            fn write(&self) -> Value {
                json!(match self { $($value => $word),* })
            }

            fn schema(_: &mut Map<String, Value>) -> Value {
                json!({ "enum": [$($word),*] })
            }
        }
    )*};
}

words! {
    Button {
        "primary" => Button::Primary,
        "auxiliary" => Button::Auxiliary,
        "secondary" => Button::Secondary,
        "back" => Button::Back,
        "forward" => Button::Forward,
    }
    Modifier {
        "alt" => Modifier::Alt,
        "control" => Modifier::Control,
        "meta" => Modifier::Meta,
        "shift" => Modifier::Shift,
    }
    Origin { "center" => Origin::Center, "topLeft" => Origin::TopLeft }
    PointerAction {
        "move" => PointerAction::Move,
        "down" => PointerAction::Down,
        "up" => PointerAction::Up,
        "out" => PointerAction::Out,
    }
    Operator { ">=" => Operator::AtLeast, "==" => Operator::Exactly, "<=" => Operator::AtMost }
    SelectMode {
        "set" => SelectMode::Set,
        "click" => SelectMode::Click,
        "add" => SelectMode::Add,
        "remove" => SelectMode::Remove,
    }
    DialogKind {
        "alert" => DialogKind::Alert,
        "confirm" => DialogKind::Confirm,
        "prompt" => DialogKind::Prompt,
    }
    DialogTime { "now" => DialogTime::Now, "next" => DialogTime::Next }
    ScriptKind { "body" => ScriptKind::Body, "promise" => ScriptKind::Promise }
}

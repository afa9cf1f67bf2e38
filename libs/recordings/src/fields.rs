//! Reads fields of one JSON object and notes what is wrong with each, so that one pass finds every problem.

use gauntlet_core::flow::KeyName;
use serde_json::{Map, Value};

use crate::{
    error::{ImportErrors, Problem},
    near::nearest,
};

/// One object of the file, and where it stands.
pub(crate) struct Fields<'a> {
    pub(crate) object: &'a Map<String, Value>,
    pub(crate) path: String,
    pub(crate) step: Option<(usize, String)>,
    pub(crate) errors: &'a mut ImportErrors,
}

impl Fields<'_> {
    /// Notes a problem with `field` (relative to this object).
    pub(crate) fn wrong(&mut self, field: &str, message: impl Into<String>) {
        let join = if self.path.is_empty() || field.is_empty() || field.starts_with('[') {
            ""
        } else {
            "."
        };
        let (step_number, step_type) = match &self.step {
            Some((number, kind)) => (Some(*number), (!kind.is_empty()).then(|| kind.clone())),
            None => (None, None),
        };
        let field = format!("{}{join}{field}", self.path);
        let message = message.into();
        self.errors.push(Problem { test: None, step_number, step_type, field, message });
    }

    /// Returns the field if it is there and not null.
    pub(crate) fn get(&self, field: &str) -> Option<Value> {
        self.object.get(field).filter(|value| !value.is_null()).cloned()
    }

    fn typed<T>(
        &mut self,
        field: &str,
        kind: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.object.get(field).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            let message = format!("must be {kind}, not {}", type_of(value));
            self.wrong(field, message);
        }
        read
    }

    fn required<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && self.get(field).is_none() {
            self.wrong(field, "is required and missing");
        }
        value
    }

    pub(crate) fn string(&mut self, field: &str) -> Option<String> {
        self.typed(field, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn number(&mut self, field: &str) -> Option<f64> {
        self.typed(field, "a number", Value::as_f64)
    }

    pub(crate) fn bool(&mut self, field: &str) -> Option<bool> {
        self.typed(field, "true or false", Value::as_bool)
    }

    pub(crate) fn array(&mut self, field: &str) -> Option<Vec<Value>> {
        self.typed(field, "an array", |value| value.as_array().cloned())
    }

    pub(crate) fn object(&mut self, field: &str) -> Option<Map<String, Value>> {
        self.typed(field, "an object", |value| value.as_object().cloned())
    }

    pub(crate) fn string_required(&mut self, field: &str) -> Option<String> {
        let value = self.string(field);
        self.required(field, value)
    }

    pub(crate) fn number_required(&mut self, field: &str) -> Option<f64> {
        let value = self.number(field);
        self.required(field, value)
    }

    pub(crate) fn bool_required(&mut self, field: &str) -> Option<bool> {
        let value = self.bool(field);
        self.required(field, value)
    }

    pub(crate) fn array_required(&mut self, field: &str) -> Option<Vec<Value>> {
        let value = self.array(field);
        self.required(field, value)
    }

    /// Returns the field `key`, which must name one.
    pub(crate) fn key(&mut self) -> Option<KeyName> {
        let name = self.string_required("key")?;
        let key = KeyName::new(&name);
        if key.is_none() {
            self.wrong("key", no_such_key(&name));
        }
        key
    }

    /// Returns a required number within bounds, both included.
    pub(crate) fn number_between(&mut self, field: &str, low: f64, high: f64) -> Option<f64> {
        let number = self.number_required(field)?;
        if (low..=high).contains(&number) {
            return Some(number);
        }
        self.wrong(field, format!("must be between {low} and {high}"));
        None
    }
}

/// Says that no key is called so.
pub(crate) fn no_such_key(name: &str) -> String {
    let hint = nearest(name, KeyName::known());
    format!("must be a key of a US keyboard, such as `Enter`, `Shift` or `a`{hint}")
}

/// Names a JSON type for a message.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

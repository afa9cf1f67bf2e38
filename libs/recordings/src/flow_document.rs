//! Gauntlet's own flow: a document that people write as YAML and the mesh stores as JSON; both are the same document.
//!
//! Every form of the document is described once ([`form`]); reading, writing and the JSON Schema all come from that one
//! description, so that they cannot differ. Invariants: reading is strict (an unknown field is an error with a hint), and
//! what is written reads back as exactly the same flow.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use gauntlet_core::flow::{Cursor, Flow, STEP_TIMEOUT_DEFAULT, Step, Value as Variable};
use serde_json::{Map, Value, json};

use self::{
    form::{Form, Place, Record},
    values::Milliseconds,
};
use crate::error::{ImportErrors, Problem};

mod checks;
mod form;
mod kinds;
mod selectors;
mod step;
mod values;
mod yaml;

/// The version of the document that is written, under [`MARK`].
const VERSION: f64 = 1.0;
/// The field that tells a flow document from everything else.
const MARK: &str = "gauntlet";

/// Tells whether the document is a flow of ours.
pub(crate) fn is_flow(json: &Value) -> bool {
    json.get(MARK).is_some()
}

/// Returns the flow, or as much as could be read; it is valid only if `errors` stayed empty.
pub(crate) fn flow(json: &Value, errors: &mut ImportErrors) -> Option<Flow> {
    let none = Map::new();
    let object = json.as_object().unwrap_or(&none);
    let place = Place { path: String::new(), step: None, errors };
    let mut record = Record::reading(object, place);
    let flow = describe(&mut record, None);
    record.finish();
    let flow = flow?;
    if flow.steps.is_empty() {
        errors.push(Problem::of_field("steps", "a flow without steps tests nothing"));
    }
    if let Err(error) = Cursor::new(&flow.steps) {
        let mut problem = Problem::of_field(format!("steps[{}]", error.step()), error.to_string());
        problem.step_number = Some(error.step() + 1);
        problem.step_type = Some(flow.steps[error.step()].type_name().to_owned());
        errors.push(problem);
    }
    Some(flow)
}

/// Returns the flow as a document.
pub(crate) fn document(flow: &Flow) -> Value {
    let mut record = Record::writing();
    describe(&mut record, Some(flow));
    record.written()
}

/// Returns the flow as YAML.
#[must_use]
pub fn to_yaml(flow: &Flow) -> String {
    yaml::emit(&document(flow))
}

/// Returns the flow as the JSON that is stored.
#[must_use]
pub fn to_json(flow: &Flow) -> String {
    document(flow).to_string()
}

/// Reads the documents of a YAML stream.
pub(crate) fn from_yaml(text: &str, errors: &mut ImportErrors) -> Option<Vec<Value>> {
    yaml::read(text, errors)
}

/// Returns the JSON Schema of the document.
#[must_use]
pub fn schema() -> Value {
    let mut record = Record::describing();
    describe(&mut record, None);
    let (mut schema, definitions) = record.described();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Gauntlet flow");
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// The whole document.
fn describe(r: &mut Record<'_>, this: Option<&Flow>) -> Option<Flow> {
    let version = r.must(MARK, this.map(|_| &VERSION));
    if version.is_some_and(|version| version.to_bits() != VERSION.to_bits()) {
        r.wrong(MARK, "this version of the document is not known; known is 1");
    }
    let title: Option<String> = r.must("title", this.map(|flow| &flow.title));
    let base_url = r.may("baseUrl", this.map(|flow| &flow.base_url));
    let milliseconds = |duration: Duration| Milliseconds(duration);
    let timeout = this.map(|flow| milliseconds(flow.timeout));
    let timeout = r.or("timeout", timeout.as_ref(), &milliseconds(STEP_TIMEOUT_DEFAULT));
    let delay = this.map(|flow| milliseconds(flow.delay));
    let delay = r.or("delay", delay.as_ref(), &milliseconds(Duration::ZERO));
    let variables: Option<BTreeMap<String, Variable>> =
        r.or("variables", this.map(|flow| &flow.variables), &BTreeMap::new());
    let secrets: Option<BTreeSet<String>> =
        r.or("secrets", this.map(|flow| &flow.secrets), &BTreeSet::new());
    let hold_dialogs = r.or("holdDialogs", this.map(|flow| &flow.hold_dialogs), &false);
    let steps: Option<Vec<Step>> = r.must("steps", this.map(|flow| &flow.steps));
    Some(Flow {
        title: title?,
        timeout: timeout?.0,
        base_url: base_url?,
        delay: delay?.0,
        variables: variables?,
        secrets: secrets?,
        hold_dialogs: hold_dialogs?,
        steps: steps?,
    })
}

impl Form for Step {
    const DEFINITION: Option<&'static str> = Some("step");

    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        step::read(value, place)
    }

    fn write(&self) -> Value {
        step::write(self)
    }

    fn schema(definitions: &mut Map<String, Value>) -> Value {
        step::schema(definitions)
    }
}

#[cfg(test)]
mod tests;

//! Turns recordings that people already have into the one step model, [`gauntlet_core::flow::Flow`] (G2).
//!
//! [`import`] knows a format by its content, reads it strictly, reports every problem at once, each with its test, step and
//! field, and never panics on any bytes. Values may be secrets: no error ever quotes one.
//! [`to_json`] is what is stored and [`to_yaml`] what people keep; [`parse`] reads what was stored.
//!
//! # Adding a format
//! Add a module like [`recorder`], recognise the format in [`import`] by its top-level fields, and give it a corpus of
//! accepted and refused files.

use std::collections::BTreeSet;

use gauntlet_core::flow::Flow;

pub use error::{ImportErrors, PROBLEMS_MAX, Problem};
pub use flow_document::{schema, to_json, to_yaml};

mod error;
mod fields;
mod flow_document;
mod near;
pub mod recorder;
mod saveaction;
mod secret;
mod side;

/// The largest recording that is read, in bytes.
pub const RECORDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Tests of one file.
pub const TESTS_MAX: usize = 1_000;
/// A test is known by its file and so many characters of its title.
pub const TITLE_CHARS_MAX: usize = 256;

/// Returns the tests in `bytes`, at least one; `file` is only used to name the file in errors.
///
/// # Errors
/// [`ImportErrors`] with every problem found (at most [`PROBLEMS_MAX`] are kept): too big, not UTF-8, not JSON, or not a
/// valid recording.
pub fn import(bytes: &[u8], file: &str) -> Result<Vec<Flow>, ImportErrors> {
    let mut errors = ImportErrors::new(file);
    let flows = read(bytes, &mut errors);
    if flows.len() > TESTS_MAX {
        errors.file_problem(format!(
            "the file has {} tests; at most {TESTS_MAX} are read",
            flows.len()
        ));
    }
    let mut titles = BTreeSet::new();
    for flow in &flows {
        if !titles.insert(flow.title.chars().take(TITLE_CHARS_MAX).collect::<String>()) {
            let message = format!(
                "another test of the file begins with the same {TITLE_CHARS_MAX} characters"
            );
            errors.push(Problem {
                test: Some(flow.title.clone()),
                ..Problem::of_field("title", message)
            });
        }
    }
    // What is stored is the flow, and that has to fit into the same messages as the file did.
    for flow in flows.iter().filter(|_| errors.is_empty()) {
        let bytes = to_json(flow).len();
        if bytes > RECORDING_BYTES_MAX {
            let message = format!(
                "as a flow the test has {bytes} bytes; at most {RECORDING_BYTES_MAX} are stored"
            );
            errors.push(Problem {
                test: Some(flow.title.chars().take(TITLE_CHARS_MAX).collect()),
                ..Problem::of_field("", message)
            });
            break;
        }
    }
    if errors.is_empty() && !flows.is_empty() { Ok(flows) } else { Err(errors) }
}

/// Returns the one test in `bytes`: what was stored, or a recording that holds no more.
///
/// # Errors
/// As [`import`], and when there are several tests.
pub fn parse(bytes: &[u8], file: &str) -> Result<Flow, ImportErrors> {
    let mut flows = import(bytes, file)?;
    if flows.len() == 1 {
        return Ok(flows.remove(0));
    }
    let mut errors = ImportErrors::new(file);
    errors.file_problem(format!("one test was expected, the file has {}", flows.len()));
    Err(errors)
}

fn read(bytes: &[u8], errors: &mut ImportErrors) -> Vec<Flow> {
    let Some(text) = text(bytes, errors) else { return Vec::new() };
    let is_json = text.trim_start().starts_with(['{', '[']);
    let documents = if is_json {
        json(text, errors).map(|json| vec![json])
    } else {
        flow_document::from_yaml(text, errors)
    };
    let documents = documents.unwrap_or_default();
    if documents.is_empty() && errors.is_empty() {
        errors.file_problem("the file is empty".to_owned());
    }
    let several = documents.len() > 1;
    let mut flows = Vec::new();
    for json in &documents {
        if several {
            errors.test = json.get("title").and_then(serde_json::Value::as_str).map(str::to_owned);
        }
        if flow_document::is_flow(json) {
            flows.extend(flow_document::flow(json, errors));
        } else if saveaction::is_recording(json) {
            flows.extend(saveaction::flow(json, errors));
        } else if side::is_project(json) {
            flows.extend(side::flows(json, errors));
        } else if is_json || !json.is_object() {
            flows.extend(recorder::flow(json, errors));
        } else {
            let message = "is required and missing: a flow begins with `gauntlet: 1`";
            errors.push(Problem::of_field("gauntlet", message.to_owned()));
        }
    }
    errors.test = None;
    flows
}

fn text<'b>(bytes: &'b [u8], errors: &mut ImportErrors) -> Option<&'b str> {
    if bytes.len() > RECORDING_BYTES_MAX {
        errors.file_problem(format!(
            "the file has {} bytes; at most {RECORDING_BYTES_MAX} are read",
            bytes.len()
        ));
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            errors.file_problem(format!("invalid UTF-8 at byte offset {}", error.valid_up_to()));
            None
        }
    }
}

fn json(text: &str, errors: &mut ImportErrors) -> Option<serde_json::Value> {
    match serde_json::from_str(text) {
        Ok(json) => Some(json),
        Err(error) => {
            // serde_json's text may quote the input only for type errors, which a `Value` never has.
            errors.file_problem(format!("malformed JSON: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests;

//! Turns recordings that people already have into the one step model, [`gauntlet_core::flow::Flow`] (G2).
//!
//! [`parse`] reads Chrome `DevTools` Recorder JSON strictly: it reports every problem at once, each with its step and
//! field, and never panics on any bytes. Values of `change` steps may be secrets: no error ever quotes a value.
//!
//! # Adding a format
//! Add a module like [`recorder`], recognise the format in [`parse`] by its top-level fields, and give it a corpus of
//! accepted and refused files.

use gauntlet_core::flow::Flow;

pub use error::{ImportErrors, PROBLEMS_MAX, Problem};

mod error;
mod fields;
mod near;
pub mod recorder;
mod secret;
mod side;

/// The largest recording that is read, in bytes.
pub const RECORDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Returns the tests in `bytes`, at least one; `file` is only used to name the file in errors.
///
/// # Errors
/// [`ImportErrors`] with every problem found (at most [`PROBLEMS_MAX`] are kept): too big, not UTF-8, not JSON, or not a
/// valid recording.
pub fn import(bytes: &[u8], file: &str) -> Result<Vec<Flow>, ImportErrors> {
    let mut errors = ImportErrors::new(file);
    let flows = read(bytes, &mut errors);
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
    let Some(json) = document(bytes, errors) else { return Vec::new() };
    if side::is_project(&json) {
        side::flows(&json, errors)
    } else {
        recorder::flow(&json, errors).into_iter().collect()
    }
}

fn document(bytes: &[u8], errors: &mut ImportErrors) -> Option<serde_json::Value> {
    if bytes.len() > RECORDING_BYTES_MAX {
        errors.file_problem(format!(
            "the file has {} bytes; at most {RECORDING_BYTES_MAX} are read",
            bytes.len()
        ));
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            errors.file_problem(format!("invalid UTF-8 at byte offset {}", error.valid_up_to()));
            return None;
        }
    };
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

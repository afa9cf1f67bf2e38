//! Chrome `DevTools` Recorder / `@puppeteer/replay` `UserFlow` JSON. Unknown fields are dropped; everything else is checked.

use std::time::Duration;

use gauntlet_core::flow::{AssertedNavigation, Flow, STEP_TIMEOUT_DEFAULT, Step, StepKind, Target};
use serde_json::Value;

use crate::{
    error::ImportErrors,
    fields::{Fields, type_of},
    secret::looks_secret,
};

pub(crate) use selectors::selector;

mod deep;
mod selectors;
mod steps;

const TIMEOUT_MS_MIN: f64 = 1.0;
const TIMEOUT_MS_MAX: f64 = 30_000.0;
/// What the reference gives a page to load, whatever the recording says of it; but an asserted navigation has the step's time.
const NAVIGATE_TIMEOUT: Duration = Duration::from_secs(30);
/// Step types are quoted in errors; a hostile one must not flood the log.
const TYPE_CHARS_MAX: usize = 40;

/// Returns the flow, or as much as could be read; it is valid only if `errors` stayed empty.
pub(crate) fn flow(json: &Value, errors: &mut ImportErrors) -> Option<Flow> {
    let Some(object) = json.as_object() else {
        errors.file_problem(format!("a recording must be a JSON object, not {}", type_of(json)));
        return None;
    };
    let mut fields = Fields { object, path: String::new(), step: None, errors };
    let title = fields.string_required("title");
    let timeout = timeout(&mut fields).unwrap_or(STEP_TIMEOUT_DEFAULT);
    fields.string("selectorAttribute");
    let steps = fields.array_required("steps")?;
    if steps.is_empty() {
        fields.wrong("steps", "a recording without steps tests nothing");
    }
    let steps: Vec<_> =
        steps.iter().enumerate().filter_map(|(index, json)| step(index, json, errors)).collect();
    // What looks like a variable is text there; a value is never expanded again, so this one stays as it is.
    let placeholder = ("nbsp".to_owned(), "${nbsp}".into());
    let variables = json.to_string().contains("${nbsp}").then_some(placeholder);
    let variables = variables.into_iter().collect();
    Some(Flow { timeout, variables, ..Flow::new(title?, steps) })
}

fn timeout(fields: &mut Fields<'_>) -> Option<Duration> {
    let ms = fields.number("timeout")?;
    if (TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(&ms) {
        return Some(Duration::from_secs_f64(ms / 1_000.0));
    }
    fields.wrong("timeout", "must be between 1 and 30000 milliseconds");
    None
}

fn step(index: usize, json: &Value, errors: &mut ImportErrors) -> Option<Step> {
    let path = format!("steps[{index}]");
    let none = serde_json::Map::new();
    let object = json.as_object().unwrap_or(&none);
    let mut fields = Fields { object, path, step: Some((index + 1, String::new())), errors };
    if !json.is_object() {
        fields.wrong("", format!("a step must be an object, not {}", type_of(json)));
        return None;
    }
    let kind = fields.string_required("type")?;
    let shown: String = kind.chars().take(TYPE_CHARS_MAX).collect();
    fields.step = Some((index + 1, shown));
    let timeout = timeout(&mut fields);
    let target = match fields.string("target") {
        Some(url) if url != "main" && !url.is_empty() => Target::Url(url),
        _ => Target::Main,
    };
    let frame = if steps::has_frame(&kind) { frame(&mut fields) } else { Vec::new() };
    let navigation = navigation(&mut fields);
    let kind = steps::kind(&kind, &mut fields)?;
    let navigation = navigation.filter(|_| steps::awaits_navigation(&kind));
    let timeout = match kind {
        StepKind::Navigate { .. } if navigation.is_none() => Some(NAVIGATE_TIMEOUT),
        _ => timeout,
    };
    let timeout = timeout.map(Into::into);
    let sensitive = kind.selectors().is_some_and(looks_secret);
    Some(Step { timeout, target, frame, navigation, sensitive, ..Step::new(kind) })
}

fn frame(fields: &mut Fields<'_>) -> Vec<u16> {
    let mut path = Vec::new();
    for (index, value) in fields.array("frame").unwrap_or_default().iter().enumerate() {
        match value.as_u64().and_then(|child| u16::try_from(child).ok()) {
            Some(child) => path.push(child),
            None => {
                fields.wrong(&format!("frame[{index}]"), "must be a whole number from 0 to 65535")
            }
        }
    }
    path
}

fn navigation(fields: &mut Fields<'_>) -> Option<AssertedNavigation> {
    let mut first = None;
    for (index, event) in fields.array("assertedEvents")?.iter().enumerate() {
        let Some(object) = event.as_object() else {
            fields.wrong(&format!("assertedEvents[{index}]"), "must be an object");
            continue;
        };
        let path = format!("{}.assertedEvents[{index}]", fields.path);
        let step = fields.step.clone();
        let mut event = Fields { object, path, step, errors: fields.errors };
        let kind = event.string_required("type");
        let url = event.string("url").filter(|url| !url.is_empty());
        let title = event.string("title").filter(|title| !title.is_empty());
        match kind.as_deref() {
            Some("navigation") => {
                first = first.or(Some(AssertedNavigation { url, title, recorded: true }));
            }
            Some(_) => event.wrong("type", "the only asserted event is `navigation`"),
            None => {}
        }
    }
    first
}

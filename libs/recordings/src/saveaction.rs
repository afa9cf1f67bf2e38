//! `SaveAction` recordings, schema 1.0.0: what a person did, and not how its platform replays it.
//!
//! Its replay can pass falsely, and none of these habits is copied: it opens the expected page by itself when the test went
//! somewhere else, swallows errors of navigation, presses Escape before clicks, leaves out key presses, modifiers and
//! automatic checkpoints, and uploads a picture of its own where a file is missing.
//!
//! Its recorder writes down what followed from a step as a step of its own: a submit after a click, a page change after
//! either. Such a submit is left out; such a page change becomes a claim that the page was reached.

use gauntlet_core::flow::{
    Flow, FrameChoice, Selector, Step, StepKind, Target, Value as Variable, Viewport,
};
use serde_json::{Map, Value};

use crate::{
    error::ImportErrors,
    fields::{Fields, type_of},
    secret::says_secret,
};

mod action;
mod checkpoint;
mod order;
mod selectors;

/// The one version of the schema there is.
const VERSION: &str = "1.0.0";
/// Names are quoted in labels and errors; a hostile one must not flood the log.
const NAME_CHARS_MAX: usize = 40;

/// Returns the recording within the document: some exports wrap it as `data`.
fn recording(json: &Value) -> &Value {
    json.get("data").filter(|data| data.get("actions").is_some()).unwrap_or(json)
}

/// Tells whether the document is such a recording.
pub(crate) fn is_recording(json: &Value) -> bool {
    let recording = recording(json);
    recording.get("actions").is_some_and(Value::is_array) && recording.get("testName").is_some()
}

/// Returns the flow, or as much as could be read; it is valid only if `errors` stayed empty.
pub(crate) fn flow(json: &Value, errors: &mut ImportErrors) -> Option<Flow> {
    let object = recording(json).as_object()?;
    let mut fields = Fields { object, path: String::new(), step: None, errors };
    if fields.string_required("version").is_some_and(|version| version != VERSION) {
        fields.wrong("version", "unknown version of SaveAction's schema; known is 1.0.0");
    }
    let title = fields.string_required("testName");
    let url = fields.string_required("url").filter(|url| !url.trim().is_empty());
    if url.is_none() {
        fields.wrong("url", "must be where the recording starts");
    }
    let mut steps: Vec<Step> = viewport(&mut fields).into_iter().collect();
    steps.extend(url.map(|url| Step::new(StepKind::Navigate { url })));
    let variables = variables(&mut fields);
    let actions = fields.array_required("actions")?;
    if actions.is_empty() {
        fields.wrong("actions", "a recording without actions tests nothing");
    }
    let mut flow = Flow::new(title?, steps);
    for (name, secret) in variables {
        declare(&mut flow, name, secret);
    }
    let mut frame = None;
    for action in order::sorted(&actions) {
        let none = Map::new();
        let object = action.json.as_object().unwrap_or(&none);
        let path = format!("actions[{}]", action.index);
        let mut fields =
            Fields { object, path, step: Some((action.index + 1, String::new())), errors };
        if !action.json.is_object() {
            fields.wrong("", format!("an action must be an object, not {}", type_of(action.json)));
            continue;
        }
        let kind = fields.string_required("type").unwrap_or_default();
        fields.step = Some((action.index + 1, kind.chars().take(NAME_CHARS_MAX).collect()));
        if action.is_dropped || kind.is_empty() {
            continue;
        }
        enter_frame(&mut flow, &mut frame, selectors::frame(&mut fields));
        let made = action::steps(&kind, &mut fields, &mut flow);
        let id: String =
            fields.string("id").unwrap_or_default().chars().take(NAME_CHARS_MAX).collect();
        let mut pause = action.pause;
        for mut step in made {
            step.recorded_pause = std::mem::take(&mut pause);
            step.target = Target::Current;
            step.label = Some(format!("{id} {kind}").trim().to_owned());
            step.optional |= ["isOptional", "skipIfNotFound"]
                .iter()
                .any(|field| fields.bool(field).unwrap_or(false));
            flow.steps.push(step);
        }
    }
    Some(flow)
}

/// Adds a variable that the run must give a value.
fn declare(flow: &mut Flow, name: String, secret: bool) {
    if secret || says_secret(&name) {
        flow.secrets.insert(name.clone());
    }
    flow.variables.entry(name).or_insert(Variable::Null);
}

/// The page sees the recorded size. Its pixel ratio is that of somebody's screen, and no part of the test.
fn viewport(fields: &mut Fields<'_>) -> Option<Step> {
    let object = fields.object("viewport")?;
    let path = "viewport".to_owned();
    let mut fields = Fields { object: &object, path, step: None, errors: fields.errors };
    let mut side = |name| fields.number_between(name, 1.0, 100_000.0);
    let (width, height) = (side("width"), side("height"));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the bounds have been checked"
    )]
    let whole = |number: f64| number.round() as u32;
    Some(Step::new(StepKind::SetViewport(Viewport {
        width: whole(width?),
        height: whole(height?),
        device_scale_factor: 1.0,
        is_mobile: false,
        has_touch: false,
        is_landscape: false,
    })))
}

/// Reads the declared variables, and whether they are secret.
fn variables(fields: &mut Fields<'_>) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for (index, json) in fields.array("variables").unwrap_or_default().iter().enumerate() {
        let none = Map::new();
        let object = json.as_object().unwrap_or(&none);
        let path = format!("variables[{index}]");
        let mut fields = Fields { object, path, step: None, errors: fields.errors };
        if let Some(name) = fields.string_required("name") {
            let kind = fields.string("fieldType").unwrap_or_default();
            all.push((name, says_secret(&kind)));
        }
    }
    all
}

/// Goes into another frame when the next action happened in another one than the last.
fn enter_frame(flow: &mut Flow, current: &mut Option<Selector>, wanted: Option<Selector>) {
    if *current == wanted {
        return;
    }
    let mut choices = vec![FrameChoice::Top];
    choices.extend(wanted.clone().map(|frame| FrameChoice::Element(frame.into())));
    for choice in choices {
        let mut step = Step::new(StepKind::SelectFrame(choice));
        step.target = Target::Current;
        flow.steps.push(step);
    }
    *current = wanted;
}

#[cfg(test)]
mod tests;

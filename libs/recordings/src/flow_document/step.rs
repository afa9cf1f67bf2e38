//! One step: exactly one kind, and what any step can say about itself beside it.

use std::time::Duration;

use gauntlet_core::flow::{
    AssertedNavigation, OpensWindow, Step, StepKind, Target, WINDOW_TIMEOUT_DEFAULT,
};
use serde_json::{Map, Value, json};

use super::{
    form::{Form, Place, Record},
    kinds::kind,
    values::Milliseconds,
};

/// What any step can say; the other fields are kinds.
const COMMON: [&str; 10] = [
    "label",
    "timeout",
    "recordedPause",
    "target",
    "frame",
    "navigation",
    "soft",
    "optional",
    "sensitive",
    "opensWindow",
];
/// Step types are quoted in errors; a hostile one must not flood the log.
const TYPE_CHARS_MAX: usize = 40;

pub(super) fn read(value: &Value, place: &mut Place<'_>) -> Option<Step> {
    // A text is a step that has nothing to say but its kind.
    let short = value.as_str().map(|kind| Map::from_iter([(kind.to_owned(), json!({}))]));
    let Some(object) = value.as_object().or(short.as_ref()) else {
        return place.expected("an object, or the name of a step", value);
    };
    let index =
        place.path.rsplit_once('[').and_then(|(_, rest)| rest.trim_end_matches(']').parse().ok());
    let index: usize = index.unwrap_or_default();
    let name = object.keys().find(|name| !COMMON.contains(&name.as_str()));
    let shown = name.map(|name| name.chars().take(TYPE_CHARS_MAX).collect()).unwrap_or_default();
    let nested =
        Place { path: place.path.clone(), step: Some((index + 1, shown)), errors: place.errors };
    let mut record = Record::reading(object, nested);
    let step = describe(&mut record, None);
    record.finish();
    step
}

pub(super) fn write(step: &Step) -> Value {
    let mut record = Record::writing();
    describe(&mut record, Some(step));
    let written = record.written();
    match written.as_object() {
        Some(object) if object.len() == 1 && object.values().all(|value| *value == json!({})) => {
            json!(step.type_name())
        }
        _ => written,
    }
}

pub(super) fn schema(definitions: &mut Map<String, Value>) -> Value {
    let mut record = Record::describing_with(std::mem::take(definitions));
    describe(&mut record, None);
    let (schema, all) = record.described();
    *definitions = all;
    json!({ "anyOf": [{ "type": "string" }, schema] })
}

fn describe(r: &mut Record<'_>, this: Option<&Step>) -> Option<Step> {
    let no = false;
    let kind: Option<StepKind> = r.choose(true, |r| kind(r, this.map(|step| &step.kind)));
    let label = r.may("label", this.map(|step| &step.label));
    let timeout = r.may("timeout", this.map(|step| &step.timeout));
    let pause = this.map(|step| Milliseconds(step.recorded_pause));
    let pause = r.or("recordedPause", pause.as_ref(), &Milliseconds(Duration::ZERO));
    let target = r.or("target", this.map(|step| &step.target), &Target::Main);
    let frame = r.or("frame", this.map(|step| &step.frame), &Vec::new());
    let navigation = r.may("navigation", this.map(|step| &step.navigation));
    let soft = r.or("soft", this.map(|step| &step.soft), &no);
    let optional = r.or("optional", this.map(|step| &step.optional), &no);
    let sensitive = r.or("sensitive", this.map(|step| &step.sensitive), &no);
    let opens_window = r.may("opensWindow", this.map(|step| &step.opens_window));
    Some(Step {
        kind: kind?,
        timeout: timeout?,
        recorded_pause: pause?.0,
        target: target?,
        frame: frame?,
        navigation: navigation?,
        label: label?,
        soft: soft?,
        optional: optional?,
        sensitive: sensitive?,
        opens_window: opens_window?,
    })
}

impl Form for Target {
    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        match value {
            Value::String(text) if text == "main" => Some(Self::Main),
            Value::String(text) if text == "current" => Some(Self::Current),
            Value::String(url) => Some(Self::Url(url.clone())),
            Value::Object(object) => {
                let mut record = Record::reading(object, place.within(""));
                let url = record.must("url", None);
                record.finish();
                url.map(Self::Url)
            }
            other => place.expected("main, current or a URL", other),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Main => json!("main"),
            Self::Current => json!("current"),
            Self::Url(url) if url == "main" || url == "current" => json!({ "url": url }),
            Self::Url(url) => json!(url),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        let url = json!({
            "type": "object", "properties": { "url": { "type": "string" } },
            "required": ["url"], "additionalProperties": false,
        });
        json!({ "anyOf": [{ "type": "string" }, url] })
    }
}

/// Gives a type the form of a record that `$describe` describes.
macro_rules! record {
    ($type:ty, $describe:expr) => {
        impl Form for $type {
            fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
                let Some(object) = value.as_object() else {
                    return place.expected("an object", value);
                };
                let mut record = Record::reading(object, place.within(""));
                let read = $describe(&mut record, None);
                record.finish();
                read
            }

            fn write(&self) -> Value {
                let mut record = Record::writing();
                $describe(&mut record, Some(self));
                record.written()
            }

            fn schema(definitions: &mut Map<String, Value>) -> Value {
                let mut record = Record::describing_with(std::mem::take(definitions));
                $describe(&mut record, None);
                let (schema, all) = record.described();
                *definitions = all;
                schema
            }
        }
    };
}
pub(super) use record;

record!(AssertedNavigation, |r: &mut Record<'_>, this: Option<&Self>| {
    let url = r.may("url", this.map(|navigation| &navigation.url));
    let title = r.may("title", this.map(|navigation| &navigation.title));
    let recorded = r.or("recorded", this.map(|navigation| &navigation.recorded), &false);
    Some(Self { url: url?, title: title?, recorded: recorded? })
});

record!(OpensWindow, |r: &mut Record<'_>, this: Option<&Self>| {
    let variable = r.may("variable", this.map(|window| &window.variable));
    let timeout = this.map(|window| Milliseconds(window.timeout));
    let timeout = r.or("timeout", timeout.as_ref(), &Milliseconds(WINDOW_TIMEOUT_DEFAULT));
    Some(Self { variable: variable?, timeout: timeout?.0 })
});

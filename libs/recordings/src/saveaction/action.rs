//! What each type of action becomes.

use std::time::Duration;

use gauntlet_core::flow::{
    Button, Click, Flow, Modifier, OptionBy, Point, Script, ScriptKind, SelectMode, SelectOption,
    Selector, Selectors, Step, StepKind, Type,
};
use serde_json::Value;

use super::{checkpoint, declare, selectors};
use crate::{
    fields::Fields,
    near::nearest,
    secret::{looks_secret, says_secret},
};

const TYPES: [&str; 10] = [
    "click",
    "input",
    "select",
    "navigation",
    "hover",
    "scroll",
    "keypress",
    "submit",
    "checkpoint",
    "modal-lifecycle",
];

/// Reads one action; what is wrong is noted.
pub(super) fn steps(kind: &str, fields: &mut Fields<'_>, flow: &mut Flow) -> Vec<Step> {
    let one = |kind: Option<StepKind>| kind.map(Step::new).into_iter().collect();
    match kind {
        "click" => one(click(fields)),
        "input" => input(fields, flow).into_iter().collect(),
        "select" => select(fields),
        "navigation" => navigation(fields),
        "hover" => {
            let hover = selectors::selectors(fields).map(|selectors| StepKind::Hover { selectors });
            // Moving over something on the way is written down too; what matters fails at the next step.
            hover.map(|kind| Step { optional: true, ..Step::new(kind) }).into_iter().collect()
        }
        "scroll" => one(scroll(fields)),
        "keypress" => one(keypress(fields)),
        "submit" => {
            one(selectors::selectors(fields).map(|selectors| StepKind::Submit { selectors }))
        }
        "checkpoint" => checkpoint::checkpoint(fields).into_iter().collect(),
        "modal-lifecycle" => checkpoint::modal(fields).into_iter().collect(),
        other => {
            let hint = nearest(other, TYPES.into_iter());
            fields.wrong("type", format!("unknown action; known are {}{hint}", TYPES.join(", ")));
            Vec::new()
        }
    }
}

fn click(fields: &mut Fields<'_>) -> Option<StepKind> {
    let selectors = selectors::selectors(fields);
    let button = match fields.string("button").as_deref() {
        None | Some("left") => Some(Button::Primary),
        Some("middle") => Some(Button::Auxiliary),
        Some("right") => Some(Button::Secondary),
        Some(_) => {
            fields.wrong("button", "must be left, middle or right");
            None
        }
    };
    let modifiers = modifiers(fields);
    let count = fields.number("clickCount").unwrap_or(1.0);
    let click = Click {
        selectors: selectors?,
        point: point(fields),
        button: button?,
        modifiers,
        duration: None,
        opaque: false,
    };
    Some(if count > 1.0 { StepKind::DoubleClick(click) } else { StepKind::Click(click) })
}

/// Only a place on the element itself can be found again.
fn point(fields: &mut Fields<'_>) -> Point {
    let relative = fields.string("coordinatesRelativeTo");
    let place = fields.object("coordinates").unwrap_or_default();
    let side = |name: &str| place.get(name).and_then(Value::as_f64);
    match (relative.as_deref(), side("x"), side("y")) {
        (Some("element"), Some(x), Some(y)) => Point::from_top_left(x, y),
        _ => Point::default(),
    }
}

fn modifiers(fields: &mut Fields<'_>) -> Vec<Modifier> {
    let mut all = Vec::new();
    for (index, name) in fields.array("modifiers").unwrap_or_default().iter().enumerate() {
        match name.as_str() {
            Some("ctrl") => all.push(Modifier::Control),
            Some("shift") => all.push(Modifier::Shift),
            Some("alt") => all.push(Modifier::Alt),
            Some("meta") => all.push(Modifier::Meta),
            _ => fields.wrong(&format!("modifiers[{index}]"), "must be ctrl, shift, alt or meta"),
        }
    }
    all
}

/// Types the last text. A secret that has a variable is not taken over: the run gives it.
fn input(fields: &mut Fields<'_>, flow: &mut Flow) -> Option<Step> {
    let selectors = selectors::selectors(fields);
    let value = fields.string_required("value");
    let kind = fields.string("inputType").unwrap_or_default();
    let marked = fields.bool("isSensitive").unwrap_or(false);
    let variable = fields.string("variableName").filter(|name| !name.trim().is_empty());
    let typed = fields.string("simulationType").as_deref() != Some("setValue");
    let delay =
        fields.get("typingDelay").and_then(|_| fields.number_between("typingDelay", 0.0, 10_000.0));
    let (selectors, mut text) = (selectors?, value?);
    if kind == "file" {
        // Browsers tell pages a made-up folder before the name: C:\fakepath\photo.png.
        let name = text.rsplit(['/', '\\']).next().unwrap_or_default().trim().to_owned();
        if name.is_empty() && variable.is_none() {
            fields.wrong("value", "names no file that could be given to the page");
        }
        text = name;
    }
    let sensitive = marked || says_secret(&kind) || looks_secret(&selectors);
    if let Some(name) = variable {
        text = format!("${{{name}}}");
        declare(flow, name, sensitive);
    }
    // Where keys cannot be typed one by one, the value is set as a whole.
    let keys = typed
        && !matches!(
            kind.as_str(),
            "date" | "time" | "datetime-local" | "month" | "week" | "color" | "range" | "file"
        );
    let delay = delay.filter(|_| keys).map(|ms| Duration::from_secs_f64(ms / 1_000.0));
    let step = Step::new(if keys {
        StepKind::Type(Type {
            selectors,
            text,
            clear: true,
            keys: true,
            delay: delay.filter(|delay| !delay.is_zero()),
        })
    } else {
        StepKind::Change { selectors, value: text }
    });
    Some(Step { sensitive, ..step })
}

fn select(fields: &mut Fields<'_>) -> Vec<Step> {
    let Some(selectors) = selectors::selectors(fields) else { return Vec::new() };
    let label =
        |text: String| OptionBy::MostlyLabel(text.split_whitespace().collect::<Vec<_>>().join(" "));
    let several = fields.bool("isMultiple").unwrap_or(false);
    let mut choices: Vec<Vec<OptionBy>> = Vec::new();
    if several {
        for option in fields.array("selectedOptions").unwrap_or_default() {
            let text = |name: &str| option.get(name).and_then(Value::as_str).map(str::to_owned);
            let value =
                option.as_str().map(str::to_owned).or_else(|| text("value")).map(OptionBy::Value);
            choices.push(value.into_iter().chain(text("text").map(label)).collect());
        }
    }
    if choices.is_empty() {
        let value = fields.string("selectedValue").map(OptionBy::Value);
        let text = fields.string("selectedText").map(label);
        let place = fields.number("selectedIndex").filter(|index| *index >= 0.0);
        let place = place.map(|index| OptionBy::NthChild((index + 1.0).to_string()));
        choices.push(value.into_iter().chain(text).chain(place).collect());
    }
    if choices.iter().any(Vec::is_empty) {
        fields.wrong("selectedValue", "names no option");
        return Vec::new();
    }
    let mode = if several { SelectMode::Add } else { SelectMode::Set };
    let one = |option| {
        StepKind::SelectOption(SelectOption { selectors: selectors.clone(), mode, option })
    };
    choices.into_iter().map(one).map(Step::new).collect()
}

/// A page change that a person asked the browser for is done again; one that followed from a step is claimed.
fn navigation(fields: &mut Fields<'_>) -> Vec<Step> {
    let Some(to) = fields.string_required("to") else { return Vec::new() };
    let history = |way: &str| {
        let code = format!("history.{way}()");
        Step::new(StepKind::Script(Script { code, kind: ScriptKind::Body, store: None }))
    };
    let arrival = checkpoint::arrival(&to);
    match fields.string_required("navigationTrigger").as_deref() {
        Some("click" | "form-submit" | "redirect") => arrival.into_iter().collect(),
        Some("back") => [history("back")].into_iter().chain(arrival).collect(),
        Some("forward") => [history("forward")].into_iter().chain(arrival).collect(),
        Some("manual") => vec![Step::new(StepKind::Navigate { url: to })],
        Some(_) => {
            let known = "must be click, form-submit, manual, redirect, back or forward";
            fields.wrong("navigationTrigger", known);
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn scroll(fields: &mut Fields<'_>) -> Option<StepKind> {
    let (x, y) = (fields.number("scrollX"), fields.number("scrollY"));
    let selectors = match fields.get("element") {
        None => None,
        Some(Value::String(window)) if window == "window" => None,
        Some(Value::String(css)) if !css.trim().is_empty() => Some(Selector::Css(css).into()),
        Some(Value::Object(record)) => Some(selectors::of_record(&record)?),
        Some(_) => {
            fields.wrong("element", "must be window or a selector");
            return None;
        }
    };
    Some(StepKind::Scroll { selectors, x, y })
}

fn keypress(fields: &mut Fields<'_>) -> Option<StepKind> {
    let key = fields.key()?;
    let modifiers = modifiers(fields);
    let selectors: Option<Selectors> =
        fields.get("selector").and_then(|_| selectors::selectors(fields));
    Some(StepKind::Press { selectors, key, modifiers })
}

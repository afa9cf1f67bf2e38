//! The own fields of each of the fourteen step types.

use std::time::Duration;

use gauntlet_core::flow::{Button, Click, Operator, Point, StepKind, Viewport, WaitForElement};
use serde_json::Value;

use super::selectors::{optional_selectors, selectors};
use crate::fields::Fields;

const PIXELS_MAX: f64 = 10_000_000.0;
const PRESS_MS_MAX: f64 = 30_000.0;
const TYPES: &str = "change, click, close, customStep, doubleClick, emulateNetworkConditions, hover, keyDown, keyUp, \
                     navigate, scroll, setViewport, waitForElement, waitForExpression";

/// Tells whether steps of this type may name a frame.
pub(super) fn has_frame(kind: &str) -> bool {
    !matches!(kind, "setViewport" | "close" | "emulateNetworkConditions" | "keyDown" | "keyUp")
}

/// Tells whether a navigation asserted at this step is waited for. The reference forgets it where it fills in or scrolls an
/// element, and does nothing at all for a custom step.
pub(super) fn awaits_navigation(kind: &StepKind) -> bool {
    !matches!(
        kind,
        StepKind::Change { .. }
            | StepKind::Scroll { selectors: Some(_), .. }
            | StepKind::Custom { .. }
    )
}

/// Reads the step's own fields; `None` if any of them is wrong (which is then noted).
pub(super) fn kind(kind: &str, fields: &mut Fields<'_>) -> Option<StepKind> {
    match kind {
        "navigate" => navigate(fields),
        "setViewport" => viewport(fields),
        "click" => click(fields).map(StepKind::Click),
        "doubleClick" => click(fields).map(StepKind::DoubleClick),
        "hover" => selectors(fields).map(|selectors| StepKind::Hover { selectors }),
        "change" => change(fields),
        "keyDown" => fields.key().map(|key| StepKind::KeyDown { key }),
        "keyUp" => fields.key().map(|key| StepKind::KeyUp { key }),
        "scroll" => scroll(fields),
        "close" => Some(StepKind::Close),
        "emulateNetworkConditions" => network(fields),
        "waitForElement" => wait_for_element(fields).map(StepKind::WaitForElement),
        "waitForExpression" => expression(fields),
        "customStep" => fields.string_required("name").map(|name| StepKind::Custom { name }),
        _ => {
            fields.wrong("type", format!("unknown step type; known are {TYPES}"));
            None
        }
    }
}

fn not_blank(fields: &mut Fields<'_>, field: &str) -> Option<String> {
    let text = fields.string_required(field)?;
    if text.trim().is_empty() {
        fields.wrong(field, "must not be empty");
        return None;
    }
    Some(text)
}

fn navigate(fields: &mut Fields<'_>) -> Option<StepKind> {
    not_blank(fields, "url").map(|url| StepKind::Navigate { url })
}

fn expression(fields: &mut Fields<'_>) -> Option<StepKind> {
    not_blank(fields, "expression").map(|expression| StepKind::WaitForExpression { expression })
}

fn viewport(fields: &mut Fields<'_>) -> Option<StepKind> {
    let width = fields.number_between("width", 1.0, PIXELS_MAX);
    let height = fields.number_between("height", 1.0, PIXELS_MAX);
    let scale = fields.number_between("deviceScaleFactor", 0.0, 100.0);
    let mobile = fields.bool_required("isMobile");
    let touch = fields.bool_required("hasTouch");
    let landscape = fields.bool_required("isLandscape");
    Some(StepKind::SetViewport(Viewport {
        width: whole(width?),
        height: whole(height?),
        device_scale_factor: scale?,
        is_mobile: mobile?,
        has_touch: touch?,
        is_landscape: landscape?,
    }))
}

/// Rounds a number that is already known to lie within `u32`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers have checked the bounds"
)]
fn whole(number: f64) -> u32 {
    number.round() as u32
}

fn click(fields: &mut Fields<'_>) -> Option<Click> {
    let selectors = selectors(fields);
    let offset_x = fields.number_required("offsetX");
    let offset_y = fields.number_required("offsetY");
    let button = match fields.string("button").as_deref() {
        None | Some("primary") => Button::Primary,
        Some("auxiliary") => Button::Auxiliary,
        Some("secondary") => Button::Secondary,
        Some("back") => Button::Back,
        Some("forward") => Button::Forward,
        Some(_) => {
            fields.wrong("button", "must be primary, auxiliary, secondary, back or forward");
            return None;
        }
    };
    if !matches!(fields.string("deviceType").as_deref(), None | Some("mouse" | "pen" | "touch")) {
        fields.wrong("deviceType", "must be mouse, pen or touch");
    }
    let duration =
        fields.get("duration").and_then(|_| fields.number_between("duration", 0.0, PRESS_MS_MAX));
    Some(Click {
        selectors: selectors?,
        point: Point::from_top_left(offset_x?, offset_y?),
        button,
        modifiers: Vec::new(),
        duration: duration.map(|ms| Duration::from_secs_f64(ms / 1_000.0)),
        opaque: false,
    })
}

fn change(fields: &mut Fields<'_>) -> Option<StepKind> {
    let selectors = selectors(fields);
    let value = fields.string_required("value");
    Some(StepKind::Change { selectors: selectors?, value: value? })
}

fn scroll(fields: &mut Fields<'_>) -> Option<StepKind> {
    let (x, y) = (fields.number("x"), fields.number("y"));
    let selectors = optional_selectors(fields);
    Some(StepKind::Scroll { selectors, x, y })
}

fn network(fields: &mut Fields<'_>) -> Option<StepKind> {
    let download = fields.number_required("download");
    let upload = fields.number_required("upload");
    let latency = fields.number_required("latency");
    if latency.is_some_and(|latency| latency < 0.0) {
        fields.wrong("latency", "must not be negative");
    }
    Some(StepKind::EmulateNetworkConditions {
        download: download?,
        upload: upload?,
        latency_ms: latency?,
    })
}

fn wait_for_element(fields: &mut Fields<'_>) -> Option<WaitForElement> {
    let selectors = selectors(fields);
    let operator = match fields.string("operator").as_deref() {
        None | Some(">=") => Operator::AtLeast,
        Some("==") => Operator::Exactly,
        Some("<=") => Operator::AtMost,
        Some(_) => {
            fields.wrong("operator", "must be >=, == or <=");
            return None;
        }
    };
    let count = count(fields);
    let visible = fields.bool("visible");
    let properties = fields.object("properties").filter(|map| !map.is_empty());
    let mut attributes = Vec::new();
    for (name, value) in fields.object("attributes").unwrap_or_default() {
        match value {
            Value::String(text) => attributes.push((name, text)),
            _ => fields.wrong(&format!("attributes.{name}"), "must be a string"),
        }
    }
    let properties = properties.map(|map| Value::Object(map).to_string());
    Some(WaitForElement {
        selectors: selectors?,
        operator,
        count: count?,
        visible,
        attributes,
        properties,
    })
}

fn count(fields: &mut Fields<'_>) -> Option<u32> {
    let Some(number) = fields.number("count") else {
        return fields.get("count").is_none().then_some(1);
    };
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        return Some(whole(number));
    }
    fields.wrong("count", "must be a whole number, not negative");
    None
}

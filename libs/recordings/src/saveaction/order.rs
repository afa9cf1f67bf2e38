//! In which order the actions happened, and which of them only followed from others or were written down twice.

use serde_json::Value;
use std::time::Duration;

/// Identical clicks closer than this are one.
const DUPLICATE_MS: f64 = 2_000.0;
/// A submit this soon after a click or Enter followed from it.
const SUBMIT_MS: f64 = 2_000.0;
/// An input this soon after the click that submitted its form was typed before it, and only written down late.
const LATE_INPUT_MS: f64 = 5_000.0;
/// Times beyond this are dates, not times since the start.
const DATE_MS: f64 = 1e12;
/// Who pauses longer has gone away.
const PAUSE_MS_MAX: f64 = 60_000.0;

/// An action in its place.
pub(super) struct Action<'a> {
    pub(super) index: usize,
    pub(super) json: &'a Value,
    /// How long the person waited before it.
    pub(super) pause: Duration,
    /// Whether it is no action of its own.
    pub(super) is_dropped: bool,
}

impl Action<'_> {
    fn text(&self, field: &str) -> &str {
        self.json.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn time(&self) -> f64 {
        self.json.get("timestamp").and_then(Value::as_f64).unwrap_or_default()
    }

    /// When it was over; typing takes its time.
    fn end(&self) -> f64 {
        self.json.get("completedAt").and_then(Value::as_f64).unwrap_or_default()
    }

    fn number(&self) -> u64 {
        let digits: String = self.text("id").chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(u64::MAX)
    }

    fn kind(&self) -> &str {
        self.text("type")
    }

    fn is_same_element(&self, other: &Self) -> bool {
        let selector = |action: &Self| action.json.get("selector").cloned();
        selector(self).is_some()
            && selector(self) == selector(other)
            && self.text("url") == other.text("url")
    }

    fn truth(&self, pointer: &str) -> bool {
        self.json.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Returns the part of the element's CSS path that leads to its form.
    fn form(&self) -> Option<&str> {
        let css = self.json.pointer("/selector/css")?.as_str()?;
        let mut end = 0;
        for part in css.split(" > ") {
            end += part.len();
            if part.starts_with("form")
                && !part[4..].starts_with(|c: char| c.is_alphanumeric() || c == '-')
            {
                return css.get(..end);
            }
            end += " > ".len();
        }
        None
    }
}

/// Returns all actions in the order in which they happened.
pub(super) fn sorted(actions: &[Value]) -> Vec<Action<'_>> {
    let mut all: Vec<Action<'_>> = actions
        .iter()
        .enumerate()
        .map(|(index, json)| Action { index, json, pause: Duration::ZERO, is_dropped: false })
        .collect();
    all.sort_by_key(Action::number);
    let dates = all.iter().filter(|action| action.time() > DATE_MS).count();
    // Dates and times since the start cannot be compared; then the numbers have to do.
    let comparable = dates == 0 || dates == all.len();
    if comparable {
        all.sort_by(|a, b| a.time().total_cmp(&b.time()));
    }
    put_late_inputs_first(&mut all);
    drop_repeated_clicks(&mut all);
    drop_submits_that_followed(&mut all);
    drop_typing_in_progress(&mut all);
    if comparable {
        note_pauses(&mut all);
    }
    all
}

/// The first action has none: the page was being opened.
fn note_pauses(all: &mut [Action<'_>]) {
    let mut last_end: Option<f64> = None;
    for action in all.iter_mut().filter(|action| !action.is_dropped) {
        let waited = last_end.map_or(0.0, |end| action.time() - end);
        action.pause = Duration::from_secs_f64(waited.clamp(0.0, PAUSE_MS_MAX) / 1_000.0);
        last_end = Some(action.time().max(action.end()));
    }
}

fn put_late_inputs_first(all: &mut [Action<'_>]) {
    for late in 1..all.len() {
        if all[late].kind() != "input" {
            continue;
        }
        let click =
            (0..late).rev().find(|at| all[*at].kind() != "input" && all[*at].kind() != "submit");
        let Some(click) = click else { continue };
        let submits = all[click].kind() == "click" && all[click].text("clickType") == "submit";
        let soon = all[late].time() - all[click].time() < LATE_INPUT_MS;
        let same = all[late].form().is_some() && all[late].form() == all[click].form();
        if submits && soon && same && all[late].text("url") == all[click].text("url") {
            all[click..=late].rotate_right(1);
        }
    }
}

fn drop_repeated_clicks(all: &mut [Action<'_>]) {
    let mut last: Option<usize> = None;
    for at in 0..all.len() {
        let repeated = last.is_some_and(|last| {
            all[at].kind() == "click"
                && all[last].kind() == "click"
                && all[at].is_same_element(&all[last])
                && all[at].time() - all[last].time() < DUPLICATE_MS
        });
        let meant = all[at].truth("/clickIntent/allowMultiple")
            || all[at].json.get("carouselContext").is_some_and(Value::is_object)
            || all[at].text("clickType") == "carousel-navigation";
        let second =
            all[at].json.get("clickCount").and_then(Value::as_f64).is_some_and(|n| n > 1.0);
        if second && repeated {
            // A double click is written down as a click and then as two: the two stand for both.
            if let Some(last) = last {
                all[last].is_dropped = true;
            }
        }
        all[at].is_dropped =
            !second && !meant && (repeated || all[at].truth("/validation/isDuplicate"));
        if !all[at].is_dropped {
            last = Some(at);
        }
    }
}

fn drop_submits_that_followed(all: &mut [Action<'_>]) {
    for at in 1..all.len() {
        if all[at].kind() != "submit" {
            continue;
        }
        let before = all[..at].iter().rev().find(|action| {
            action.kind() == "click"
                || (action.kind() == "keypress" && action.text("key") == "Enter")
        });
        all[at].is_dropped =
            before.is_some_and(|before| all[at].time() - before.time() < SUBMIT_MS);
    }
}

/// While somebody types, a field is written down again and again; its last text counts.
fn drop_typing_in_progress(all: &mut [Action<'_>]) {
    for at in 0..all.len() {
        if all[at].kind() != "input" {
            continue;
        }
        let passes = |action: &&Action<'_>| {
            action.is_dropped
                || matches!(action.kind(), "scroll" | "hover" | "modal-lifecycle")
                || (action.kind() == "click" && action.is_same_element(&all[at]))
        };
        let next = all[at + 1..].iter().find(|action| !passes(action));
        let again =
            next.is_some_and(|next| next.kind() == "input" && next.is_same_element(&all[at]));
        all[at].is_dropped |= again;
    }
}

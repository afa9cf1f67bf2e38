//! Checkpoints, page changes and dialogs of the page: what the recording claims. Automatic checkpoints are claims like others.

use gauntlet_core::flow::{Check, Comparison, Selector, Selectors, Step, StepKind, Subject};

use super::selectors;
use crate::{fields::Fields, near::nearest};

const TYPES: [&str; 8] = [
    "urlMatch",
    "urlContains",
    "elementVisible",
    "elementText",
    "containsText",
    "elementHasValue",
    "pageTitle",
    "pageLoad",
];

fn claim(subject: Subject, comparison: Comparison) -> Step {
    Step::new(StepKind::Check(Check { subject, comparison, negated: false, wait: true }))
}

/// Reads a checkpoint.
pub(super) fn checkpoint(fields: &mut Fields<'_>) -> Option<Step> {
    let kind = fields.string_required("checkType")?;
    let element = |fields: &mut Fields<'_>| selectors::selectors(fields);
    let expected = |fields: &mut Fields<'_>| fields.string_required("expectedValue");
    Some(match kind.as_str() {
        "urlMatch" => claim(Subject::Url, Comparison::Equals(url(fields)?)),
        "urlContains" => claim(Subject::Url, Comparison::Contains(url(fields)?)),
        "elementVisible" => claim(Subject::Visible(element(fields)?), Comparison::Holds),
        "elementText" => {
            let (element, text) = (element(fields), expected(fields));
            claim(Subject::Text(element?), Comparison::EqualsTrimmed(text?))
        }
        "containsText" => {
            let whole = Selectors::from(Selector::Css("body".to_owned()));
            let element = match fields.get("selector") {
                Some(_) => element(fields)?,
                None => whole,
            };
            claim(Subject::Text(element), Comparison::Contains(expected(fields)?))
        }
        "elementHasValue" => {
            let (element, text) = (element(fields), expected(fields));
            claim(Subject::Value(element?), Comparison::Equals(text?))
        }
        "pageTitle" => claim(Subject::Title, Comparison::Contains(expected(fields)?)),
        "pageLoad" => {
            let loaded = "document.readyState === 'complete'".to_owned();
            claim(Subject::Expression(loaded), Comparison::Holds)
        }
        other => {
            let hint = nearest(other, TYPES.into_iter());
            fields.wrong(
                "checkType",
                format!("unknown checkpoint; known are {}{hint}", TYPES.join(", ")),
            );
            return None;
        }
    })
}

fn url(fields: &mut Fields<'_>) -> Option<String> {
    let url = fields.string("expectedUrl").or_else(|| fields.string("expectedValue"));
    if url.is_none() {
        fields.wrong("expectedUrl", "is required and missing");
    }
    url
}

/// Claims that a page was reached: its path, up to the first part that is likely to be another one the next time.
pub(super) fn arrival(url: &str) -> Option<Step> {
    let (_, rest) = gauntlet_core::flow::origin_of(url)?;
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let changes = |part: &str| {
        let digits = part.chars().filter(char::is_ascii_digit).count();
        digits > 0 && (digits == part.len() || part.len() >= 16)
    };
    let mut steady = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if changes(part) {
            break;
        }
        steady.push('/');
        steady.push_str(part);
    }
    (!steady.is_empty()).then(|| claim(Subject::Url, Comparison::Contains(steady)))
}

/// Waits for a dialog of the page, as far as the recording can tell which one it is; it may come without being needed.
pub(super) fn modal(fields: &mut Fields<'_>) -> Option<Step> {
    let event = fields.string_required("event")?;
    let negated = match event.as_str() {
        "modal-opened" | "modal-state-changed" => false,
        "modal-closed" => true,
        _ => {
            fields.wrong("event", "must be modal-opened, modal-closed or modal-state-changed");
            return None;
        }
    };
    let of_element = fields.object("modalElement").and_then(|element| {
        let id = element.get("id")?.as_str()?.to_owned();
        Some(format!("[id=\"{}\"]", id.replace('\\', "\\\\").replace('"', "\\\"")))
    });
    let css = fields.string("modalSelector").or(of_element)?;
    // A bare tag name, which is what the recorder often writes, is any element of the page.
    if !css.contains(['#', '.', '[', ':']) {
        return None;
    }
    let visible = Subject::Visible(Selectors(vec![selectors::css(&css)?]));
    let check = Check { subject: visible, comparison: Comparison::Holds, negated, wait: true };
    let mut step = Step::new(StepKind::Check(check));
    step.optional = true;
    Some(step)
}

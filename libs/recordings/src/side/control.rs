//! Control flow commands.

use gauntlet_core::flow::{Control, LOOP_EVALUATIONS_DEFAULT, Quantity};

use super::text::literal;
use crate::fields::Fields;

/// Reads a control flow command; `None` if it is none, or is wrong (which is then noted).
pub(super) fn control(name: &str, fields: &mut Fields<'_>) -> Option<Control> {
    Some(match name {
        "if" => Control::If { condition: condition(fields)? },
        "elseIf" => Control::ElseIf { condition: condition(fields)? },
        "else" => Control::Else,
        "while" => Control::While { condition: condition(fields)?, limit: limit(fields) },
        "times" => Control::Times { count: count(fields)?, limit: limit(fields) },
        "forEach" => {
            Control::ForEach { array: name_of(fields, "target")?, item: name_of(fields, "value")? }
        }
        "do" => Control::Do,
        "repeatIf" => Control::RepeatIf { condition: condition(fields)?, limit: limit(fields) },
        "end" => Control::End,
        _ => return None,
    })
}

/// Tells whether a command is control flow.
pub(super) fn is_control(name: &str) -> bool {
    ["if", "elseIf", "else", "while", "times", "forEach", "do", "repeatIf", "end"].contains(&name)
}

fn condition(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.string("target").unwrap_or_default().trim().to_owned();
    if text.is_empty() {
        fields.wrong("target", "a condition is required and missing");
        return None;
    }
    Some(text)
}

fn count(fields: &mut Fields<'_>) -> Option<Quantity> {
    let text = literal(&fields.string("target").unwrap_or_default());
    let count = Quantity::parse(&text);
    if count.is_err() {
        fields.wrong("target", "must be a number of rounds");
    }
    count.ok()
}

fn name_of(fields: &mut Fields<'_>, field: &str) -> Option<String> {
    let text = fields.string(field).unwrap_or_default().trim().to_owned();
    if text.is_empty() {
        fields.wrong(field, "a variable's name is required and missing");
        return None;
    }
    Some(text)
}

/// A value that is no number is no limit, as in the runner.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is brought within u32 first"
)]
fn limit(fields: &mut Fields<'_>) -> u32 {
    let text = fields.string("value").unwrap_or_default();
    match text.trim().parse::<f64>() {
        Ok(limit) if limit.is_finite() => limit.floor().clamp(0.0, f64::from(u32::MAX)) as u32,
        _ => LOOP_EVALUATIONS_DEFAULT,
    }
}

//! Every other command: what it does, and which fields it reads.

use std::time::Duration;

use gauntlet_core::flow::{
    Button, Check, Click, Comparison, DialogAction, DialogKind, DialogTime, FrameChoice,
    OpensWindow, Point, Pointer, PointerAction, Quantity, Script, ScriptKind, SelectMode,
    SelectOption, Selectors, Source, Step, StepKind, Subject, Target, Type, WINDOW_TIMEOUT_DEFAULT,
};
use serde_json::Value;

use super::{
    Item, NAME_CHARS_MAX,
    control::{control, is_control},
    locator::{only, option, with_fallbacks},
    text::{leading_integer, literal, split_outside, unknown_key},
};
use crate::{
    fields::Fields,
    near::nearest,
    secret::{looks_secret, says_secret},
};

mod names;

/// Returns the name of every command.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    names::ALL.into_iter()
}

/// How long the runner lets scripts and page loads take.
const LONG: Duration = Duration::from_secs(30);
const FALLBACKS: [&str; 3] = ["targetFallback", "targets", "fallbackTargets"];

/// Tells whether the test answers dialogs once they are open. Then the answers that old recorders also wrote down before the
/// dialog opened are left out, as Selenium IDE's own migration does.
pub(super) fn answers_open_dialogs(commands: &[Value]) -> bool {
    commands.iter().filter_map(|command| command.get("command")?.as_str()).any(|name| {
        matches!(
            names::current(name),
            "acceptAlert"
                | "acceptConfirmation"
                | "answerPrompt"
                | "dismissConfirmation"
                | "dismissPrompt"
        )
    })
}

/// Reads one command; `None` if it does nothing, or is wrong (which is then noted).
pub(super) fn item(number: usize, fields: &mut Fields<'_>, answers: bool) -> Option<Item> {
    let written = fields.string_required("command")?;
    let skipped = fields.bool("skip").unwrap_or(false);
    if skipped || written.is_empty() || written.starts_with("//") {
        return None;
    }
    let shown: String = written.chars().take(NAME_CHARS_MAX).collect();
    fields.step = Some((number + 1, shown.clone()));
    let name = names::current(&written);
    if name == "run" {
        return Some(Item::Run(number, fields.string_required("target")?.trim().to_owned()));
    }
    let mut steps = if is_control(name) {
        vec![Step::new(StepKind::Control(control(name, fields)?))]
    } else {
        steps(name, fields, answers)?
    };
    let comment = fields.string("comment").unwrap_or_default();
    let comment: String = comment.trim().chars().take(NAME_CHARS_MAX).collect();
    for step in &mut steps {
        step.target = Target::Current;
        let remark = if comment.is_empty() { String::new() } else { format!(" ({comment})") };
        step.label = Some(format!("{} {shown}{remark}", number + 1));
        step.soft = name.starts_with("verify");
    }
    if fields.bool("opensWindow").unwrap_or(false)
        && let Some(step) = steps.last_mut()
    {
        step.opens_window = Some(opens_window(fields));
    }
    if let [step] = steps.as_slice()
        && let StepKind::Store { variable, source: Source::Text(text) } = &step.kind
    {
        let constant = (variable.clone(), text.clone());
        return Some(Item::Constant(Box::new(step.clone()), constant));
    }
    Some(Item::Steps(number, steps))
}

fn opens_window(fields: &mut Fields<'_>) -> OpensWindow {
    let variable = fields.string("windowHandleName").filter(|name| !name.trim().is_empty());
    let timeout = fields
        .get("windowTimeout")
        .and_then(|_| fields.number_between("windowTimeout", 0.0, 600_000.0))
        .map_or(WINDOW_TIMEOUT_DEFAULT, |ms| Duration::from_secs_f64(ms / 1_000.0));
    OpensWindow { variable, timeout }
}

fn steps(name: &str, fields: &mut Fields<'_>, answers: bool) -> Option<Vec<Step>> {
    if let Some(assertion) = name.strip_prefix("verify").or_else(|| name.strip_prefix("assert")) {
        return check(assertion, fields).map(|check| vec![Step::new(StepKind::Check(check))]);
    }
    if name.starts_with("waitFor") {
        return wait(name, fields);
    }
    if name == "selectFrame" {
        return frames(fields);
    }
    if names::is_answer_before(name) {
        let action = before(name, fields)?;
        let kind = StepKind::Dialog { action, time: DialogTime::Next };
        return Some(if answers { Vec::new() } else { vec![Step::new(kind)] });
    }
    let kind = kind(name, fields)?;
    let mut step = Step::new(kind);
    match &step.kind {
        StepKind::Navigate { .. } | StepKind::Script(_) => step.timeout = Some(LONG.into()),
        StepKind::Type(typing) => step.sensitive = looks_secret(&typing.selectors),
        StepKind::Store { variable, .. } => step.sensitive = says_secret(variable),
        _ => {}
    }
    Some(vec![step])
}

fn kind(name: &str, fields: &mut Fields<'_>) -> Option<StepKind> {
    let now = |action| Some(StepKind::Dialog { action, time: DialogTime::Now });
    match name {
        "open" => Some(StepKind::Navigate { url: filled(fields, "target") }),
        "setWindowSize" => window_size(fields),
        "selectWindow" => select_window(fields),
        "close" => Some(StepKind::Close),
        // It waits until its element is displayed, which no other command does.
        "click" => {
            click(fields, false).map(|click| StepKind::Click(Click { opaque: true, ..click }))
        }
        "clickAt" => click(fields, true).map(StepKind::Click),
        "doubleClick" => click(fields, false).map(StepKind::DoubleClick),
        "doubleClickAt" => click(fields, true).map(StepKind::DoubleClick),
        "mouseDown" => pointer(fields, PointerAction::Down, false),
        "mouseDownAt" => pointer(fields, PointerAction::Down, true),
        "mouseMoveAt" => pointer(fields, PointerAction::Move, true),
        "mouseOver" => pointer(fields, PointerAction::Move, false),
        "mouseOut" => pointer(fields, PointerAction::Out, false),
        "mouseUp" => pointer(fields, PointerAction::Up, false),
        "mouseUpAt" => pointer(fields, PointerAction::Up, true),
        "dragAndDropToObject" => {
            let selectors = with_fallbacks(fields, "target", &FALLBACKS[..1]);
            let onto = with_fallbacks(fields, "value", &["valueFallback"]);
            Some(StepKind::DragTo { selectors: selectors?, onto: onto? })
        }
        "check" => Some(StepKind::SetChecked { selectors: element(fields)?, checked: true }),
        "uncheck" => Some(StepKind::SetChecked { selectors: element(fields)?, checked: false }),
        "select" => select(fields, SelectMode::Click),
        "addSelection" => select(fields, SelectMode::Add),
        "removeSelection" => select(fields, SelectMode::Remove),
        "type" => typing(fields, true),
        "sendKeys" => typing(fields, false),
        "editContent" => {
            let text = filled(fields, "value");
            Some(StepKind::SetContent { selectors: element(fields)?, text })
        }
        "submit" => Some(StepKind::Submit { selectors: element(fields)? }),
        "acceptAlert" | "acceptConfirmation" => now(DialogAction::Accept),
        "dismissConfirmation" | "dismissPrompt" => now(DialogAction::Dismiss),
        "answerPrompt" => now(answer(fields)),
        "runScript" => script(fields, ScriptKind::Body, false),
        "executeScript" => script(fields, ScriptKind::Body, true),
        "executeAsyncScript" => script(fields, ScriptKind::Promise, true),
        "pause" => milliseconds(fields).map(|milliseconds| StepKind::Pause { milliseconds }),
        "echo" => Some(StepKind::Echo { text: filled(fields, "target") }),
        _ if name.starts_with("store") => store(name, fields),
        "debugger" | "setSpeed" => {
            fields.wrong("command", "is for a person at Selenium IDE; its runner refuses it too");
            None
        }
        _ => {
            let hint = nearest(name, names::ALL.into_iter());
            fields.wrong("command", format!("unknown command{hint}"));
            None
        }
    }
}

/// Returns the element that the target and its fallbacks name.
fn element(fields: &mut Fields<'_>) -> Option<Selectors> {
    with_fallbacks(fields, "target", &FALLBACKS)
}

fn filled(fields: &mut Fields<'_>, field: &str) -> String {
    literal(&fields.string(field).unwrap_or_default())
}

fn window_size(fields: &mut Fields<'_>) -> Option<StepKind> {
    let text = filled(fields, "target");
    let side = |text: &str| {
        leading_integer(text).map(Quantity::Number).or_else(|| Quantity::parse(text).ok())
    };
    if let [width, height] = split_outside(&text, 'x')[..]
        && let (Some(width), Some(height)) = (side(width), side(height))
    {
        return Some(StepKind::ResizeWindow { width, height });
    }
    fields.wrong("target", "must be WIDTHxHEIGHT in pixels, as in 1280x720");
    None
}

fn select_window(fields: &mut Fields<'_>) -> Option<StepKind> {
    let text = filled(fields, "target");
    match text.strip_prefix("handle=") {
        Some(handle) => Some(StepKind::SelectWindow { handle: handle.to_owned() }),
        None => {
            fields.wrong("target", "must be handle= and a handle, as in handle=${window}");
            None
        }
    }
}

fn frames(fields: &mut Fields<'_>) -> Option<Vec<Step>> {
    let text = filled(fields, "target");
    let choices = if text == "relative=top" {
        vec![FrameChoice::Top]
    } else if text == "relative=parent" {
        vec![FrameChoice::Parent]
    } else if let Some(path) = text.strip_prefix("index=") {
        path.split('\\')
            .map(|part| match part {
                ".." => FrameChoice::Parent,
                index => FrameChoice::Index(index.to_owned()),
            })
            .collect()
    } else {
        vec![FrameChoice::Element(only(fields, "target")?)]
    };
    let whole = |text: &str| text.contains("${") || text.parse::<u16>().is_ok();
    if choices.iter().any(|choice| matches!(choice, FrameChoice::Index(text) if !whole(text))) {
        fields.wrong("target", "a frame's index must be a whole number from 0 to 65535");
        return None;
    }
    Some(choices.into_iter().map(|choice| Step::new(StepKind::SelectFrame(choice))).collect())
}

fn point(fields: &mut Fields<'_>, at: bool) -> Option<Point> {
    if !at {
        return Some(Point::default());
    }
    let text = filled(fields, "value");
    let side = |text: &str| {
        leading_integer(text).map(Quantity::Number).or_else(|| Quantity::parse(text).ok())
    };
    if let [x, y] = split_outside(&text, ',')[..]
        && let (Some(x), Some(y)) = (side(x), side(y))
    {
        return Some(Point { x, y, ..Point::default() });
    }
    fields.wrong("value", "must be X,Y in pixels from the element's middle");
    None
}

fn click(fields: &mut Fields<'_>, at: bool) -> Option<Click> {
    let (selectors, point) = (element(fields), point(fields, at));
    Some(Click {
        selectors: selectors?,
        point: point?,
        button: Button::Primary,
        modifiers: Vec::new(),
        duration: None,
        opaque: false,
    })
}

fn pointer(fields: &mut Fields<'_>, action: PointerAction, at: bool) -> Option<StepKind> {
    let (selectors, point) = (element(fields), point(fields, at));
    Some(StepKind::Pointer(Pointer { action, selectors: selectors?, point: point? }))
}

fn select(fields: &mut Fields<'_>, mode: SelectMode) -> Option<StepKind> {
    let selectors = element(fields);
    match option(&fields.string("value").unwrap_or_default()) {
        Ok(option) => Some(StepKind::SelectOption(SelectOption {
            selectors: selectors?,
            mode,
            option: vec![option],
        })),
        Err(message) => {
            fields.wrong("value", message);
            None
        }
    }
}

fn typing(fields: &mut Fields<'_>, clear: bool) -> Option<StepKind> {
    let selectors = element(fields);
    let text = filled(fields, "value");
    // To `type` is to give a text; only `sendKeys` speaks of keys.
    let keys = !clear;
    if let Some(key) = unknown_key(&text).filter(|_| keys) {
        let message = format!("there is no key `KEY_{key}`");
        fields.wrong("value", message);
    }
    Some(StepKind::Type(Type { selectors: selectors?, text, clear, keys, delay: None }))
}

fn answer(fields: &mut Fields<'_>) -> DialogAction {
    let text = filled(fields, "target");
    if text.is_empty() { DialogAction::Accept } else { DialogAction::Answer(text) }
}

fn before(name: &str, fields: &mut Fields<'_>) -> Option<DialogAction> {
    match name {
        "chooseOkOnNextConfirmation" => Some(DialogAction::Accept),
        "answerOnNextPrompt" => Some(answer(fields)),
        _ => Some(DialogAction::Dismiss),
    }
}

fn script(fields: &mut Fields<'_>, kind: ScriptKind, stores: bool) -> Option<StepKind> {
    let code = fields.string("target").unwrap_or_default().trim().to_owned();
    if code.is_empty() {
        fields.wrong("target", "a script is required and missing");
        return None;
    }
    let store = fields.string("value").map(|name| name.trim().to_owned());
    let store = store.filter(|name| stores && !name.is_empty());
    Some(StepKind::Script(Script { code, kind, store }))
}

fn milliseconds(fields: &mut Fields<'_>) -> Option<Quantity> {
    let target = filled(fields, "target");
    // The first versions of the format kept it in the value.
    let (field, text) =
        if target.is_empty() { ("value", filled(fields, "value")) } else { ("target", target) };
    if text.is_empty() {
        return Some(Quantity::Number(0.0));
    }
    let number = Quantity::parse(&text).ok().or_else(|| leading_integer(&text).map(Into::into));
    if number.is_none() {
        fields.wrong(field, "must be a number of milliseconds");
    }
    number
}

fn store(name: &str, fields: &mut Fields<'_>) -> Option<StepKind> {
    let value = fields.string("value").unwrap_or_default().trim().to_owned();
    let target = filled(fields, "target");
    let source = match name {
        "store" => Source::Text(target.clone()),
        "storeJson" => Source::Json(fields.string("target").unwrap_or_default().trim().to_owned()),
        "storeText" => Source::ElementText(element(fields)?),
        "storeValue" => Source::ElementValue(element(fields)?),
        "storeElementCount" => Source::Count(only(fields, "target")?),
        "storeAttribute" => attribute(fields, &target)?,
        "storeTitle" => Source::Title,
        "storeWindowHandle" => Source::Window,
        _ => {
            let hint = nearest(name, names::ALL.into_iter());
            fields.wrong("command", format!("unknown command{hint}"));
            return None;
        }
    };
    // These two have nothing to look at, so that their variable stands first.
    let alone = matches!(source, Source::Title | Source::Window);
    let (field, variable) =
        if alone && !target.is_empty() { ("target", target) } else { ("value", value) };
    if variable.is_empty() {
        fields.wrong(field, "a variable's name is required and missing");
        return None;
    }
    Some(StepKind::Store { variable, source })
}

/// Reads `locator@attribute`; the last `@` counts.
fn attribute(fields: &mut Fields<'_>, target: &str) -> Option<Source> {
    let read = target.rsplit_once('@').filter(|(_, name)| !name.is_empty());
    let read = read.map(|(locator, name)| (super::locator::locator(locator), name.to_owned()));
    match read {
        Some((Ok(selector), name)) => Some(Source::Attribute { selectors: selector.into(), name }),
        Some((Err(message), _)) => {
            fields.wrong("target", message);
            None
        }
        None => {
            fields.wrong("target", "must be a locator, `@`, and the attribute's name");
            None
        }
    }
}

/// Reads what comes after `assert` or `verify`.
fn check(name: &str, fields: &mut Fields<'_>) -> Option<Check> {
    let (name, negated) = match name {
        "ElementNotPresent" => ("ElementPresent", true),
        _ => name.strip_prefix("Not").map_or((name, false), |name| (name, true)),
    };
    let equals = |fields: &mut Fields<'_>, field| Comparison::Equals(filled(fields, field));
    let (subject, comparison, wait) = match name {
        "" => {
            let variable = fields.string("target").unwrap_or_default();
            (Subject::Variable(variable), equals(fields, "value"), false)
        }
        "Alert" => (Subject::Dialog(DialogKind::Alert), equals(fields, "target"), false),
        "Confirmation" => (Subject::Dialog(DialogKind::Confirm), equals(fields, "target"), false),
        "Prompt" => (Subject::Dialog(DialogKind::Prompt), equals(fields, "target"), false),
        "Title" => (Subject::Title, equals(fields, "target"), false),
        "Text" => (Subject::Text(element(fields)?), equals(fields, "value"), false),
        "Value" | "SelectedValue" => {
            (Subject::Value(element(fields)?), equals(fields, "value"), false)
        }
        "SelectedLabel" => {
            (Subject::SelectedLabel(element(fields)?), equals(fields, "value"), false)
        }
        "Checked" => (Subject::Checked(element(fields)?), Comparison::Holds, false),
        "Editable" => (Subject::Editable(element(fields)?), Comparison::Holds, false),
        // Its element is waited for as any other; only its absence is looked for at once.
        "ElementPresent" if negated => {
            (Subject::Present(only(fields, "target")?), Comparison::Holds, false)
        }
        "ElementPresent" => {
            let selectors = with_fallbacks(fields, "target", &FALLBACKS[..1])?;
            (Subject::Present(selectors), Comparison::Holds, true)
        }
        _ => {
            let written = fields.step.as_ref().map(|(_, name)| name.clone()).unwrap_or_default();
            let hint = nearest(&written, names::ALL.into_iter());
            fields.wrong("command", format!("unknown command{hint}"));
            return None;
        }
    };
    if negated && matches!(subject, Subject::Dialog(_) | Subject::Title | Subject::Variable(_)) {
        fields.wrong("command", "unknown command");
        return None;
    }
    Some(Check { subject, comparison, negated, wait })
}

fn wait(name: &str, fields: &mut Fields<'_>) -> Option<Vec<Step>> {
    let (subject, comparison, negated) = match name {
        "waitForText" => {
            let selectors = with_fallbacks(fields, "target", &FALLBACKS[..1])?;
            (Subject::Text(selectors), Comparison::EqualsTrimmed(filled(fields, "value")), false)
        }
        "waitForElementPresent" => (Subject::Present(element(fields)?), Comparison::Holds, false),
        "waitForElementNotPresent" => {
            (Subject::Present(only(fields, "target")?), Comparison::Holds, true)
        }
        "waitForElementVisible" => {
            let selectors = with_fallbacks(fields, "target", &FALLBACKS[..1])?;
            (Subject::Visible(selectors), Comparison::Holds, false)
        }
        "waitForElementNotVisible" => {
            (Subject::Visible(only(fields, "target")?), Comparison::Holds, true)
        }
        "waitForElementEditable" => {
            (Subject::Editable(only(fields, "target")?), Comparison::Holds, false)
        }
        "waitForElementNotEditable" => {
            (Subject::Editable(only(fields, "target")?), Comparison::Holds, true)
        }
        _ => {
            let hint = nearest(name, names::ALL.into_iter());
            fields.wrong("command", format!("unknown command{hint}"));
            return None;
        }
    };
    let mut step = Step::new(StepKind::Check(Check { subject, comparison, negated, wait: true }));
    if name != "waitForText" {
        let text = filled(fields, "value");
        let timeout =
            Quantity::parse(&text).ok().or_else(|| leading_integer(&text).map(Into::into));
        if timeout.is_none() && !text.is_empty() {
            fields.wrong("value", "must be a number of milliseconds");
        }
        step.timeout = timeout;
    }
    Some(vec![step])
}

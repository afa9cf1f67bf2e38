//! Every kind of step. Where a kind has one field that matters, a bare value stands for it: `navigate: /login`.

use std::collections::BTreeMap;

use gauntlet_core::flow::{
    Button, Click, Control, DialogTime, LOOP_EVALUATIONS_DEFAULT, Modifier, Operator, Origin,
    Point, Pointer, PointerAction, Quantity, Script, ScriptKind, SelectMode, SelectOption,
    Selectors, StepKind, Type, Viewport, WaitForElement,
};
use serde_json::{Map, Value};

use super::{
    checks::{check, dialog_action, frame, of, store},
    form::{Form, Place, Record},
    step::record,
    values::Milliseconds,
};

const ELEMENT: Option<&str> = Some("selectors");

/// Reads, writes or describes whichever kind it is.
pub(super) fn kind(r: &mut Record<'_>, this: Option<&StepKind>) -> Option<StepKind> {
    let page = page(r, this);
    let pointer = pointer_and_keys(r, this);
    let control = control(r, this);
    let form = form_controls(r, this);
    let rest = rest(r, this);
    page.or(pointer).or(form).or(rest).or(control.map(StepKind::Control))
}

/// A kind that is a text alone.
fn text(
    r: &mut Record<'_>,
    name: &'static str,
    field: &'static str,
    this: Option<&String>,
) -> Option<String> {
    r.pick_record(name, Some(field), this.is_some(), |r| r.must(field, this))
}

/// A kind that is an element alone.
fn element(r: &mut Record<'_>, name: &'static str, this: Option<&Selectors>) -> Option<Selectors> {
    r.pick_record(name, ELEMENT, this.is_some(), |r| r.must("selectors", this))
}

/// A kind without fields.
fn unit(r: &mut Record<'_>, name: &'static str, this: bool) -> Option<()> {
    r.pick_record(name, None, this, |_| Some(()))
}

fn page(r: &mut Record<'_>, this: Option<&StepKind>) -> Option<StepKind> {
    let navigate = text(r, "navigate", "url", of!(this, StepKind::Navigate { url } => url));
    let viewport = r.pick("setViewport", of!(this, StepKind::SetViewport(viewport) => viewport));
    let size = of!(this, StepKind::ResizeWindow { width, height } => (width, height));
    let resize = r.pick_record("resizeWindow", None, size.is_some(), |r| {
        let width = r.must("width", size.map(|(width, _)| width));
        let height = r.must("height", size.map(|(_, height)| height));
        Some(StepKind::ResizeWindow { width: width?, height: height? })
    });
    let place = of!(this, StepKind::Scroll { selectors, x, y } => (selectors, x, y));
    let scroll = r.pick_record("scroll", ELEMENT, place.is_some(), |r| {
        let selectors = r.may("selectors", place.map(|(selectors, ..)| selectors));
        let x = r.may("x", place.map(|(_, x, _)| x));
        let y = r.may("y", place.map(|(.., y)| y));
        Some(StepKind::Scroll { selectors: selectors?, x: x?, y: y? })
    });
    let close = unit(r, "close", matches!(this, Some(StepKind::Close)));
    let speed = of!(this, StepKind::EmulateNetworkConditions { download, upload, latency_ms } => (download, upload, latency_ms));
    let network = r.pick_record("emulateNetworkConditions", None, speed.is_some(), |r| {
        let download = r.must("download", speed.map(|(download, ..)| download));
        let upload = r.must("upload", speed.map(|(_, upload, _)| upload));
        let latency_ms = r.must("latency", speed.map(|(.., latency)| latency));
        Some(StepKind::EmulateNetworkConditions {
            download: download?,
            upload: upload?,
            latency_ms: latency_ms?,
        })
    });
    let handle =
        text(r, "selectWindow", "handle", of!(this, StepKind::SelectWindow { handle } => handle));
    let choice = of!(this, StepKind::SelectFrame(choice) => choice);
    let frame = r.pick_record("selectFrame", None, choice.is_some(), |r| frame(r, choice));
    navigate
        .map(|url| StepKind::Navigate { url })
        .or(viewport.map(StepKind::SetViewport))
        .or(resize)
        .or(scroll)
        .or(close.map(|()| StepKind::Close))
        .or(network)
        .or(handle.map(|handle| StepKind::SelectWindow { handle }))
        .or(frame.map(StepKind::SelectFrame))
}

fn pointer_and_keys(r: &mut Record<'_>, this: Option<&StepKind>) -> Option<StepKind> {
    let one = of!(this, StepKind::Click(click) => click);
    let one = r.pick_record("click", ELEMENT, one.is_some(), |r| click(r, one));
    let two = of!(this, StepKind::DoubleClick(click) => click);
    let two = r.pick_record("doubleClick", ELEMENT, two.is_some(), |r| click(r, two));
    let hover = element(r, "hover", of!(this, StepKind::Hover { selectors } => selectors));
    let pointer = of!(this, StepKind::Pointer(pointer) => pointer);
    let pointer = r.pick_record("pointer", ELEMENT, pointer.is_some(), |r| {
        let action = r.or("action", pointer.map(|pointer| &pointer.action), &PointerAction::Move);
        let selectors = r.must("selectors", pointer.map(|pointer| &pointer.selectors));
        let point = r.or("point", pointer.map(|pointer| &pointer.point), &Point::default());
        Some(StepKind::Pointer(Pointer { action: action?, selectors: selectors?, point: point? }))
    });
    let drag = of!(this, StepKind::DragTo { selectors, onto } => (selectors, onto));
    let drag = r.pick_record("dragTo", None, drag.is_some(), |r| {
        let selectors = r.must("selectors", drag.map(|(selectors, _)| selectors));
        let onto = r.must("onto", drag.map(|(_, onto)| onto));
        Some(StepKind::DragTo { selectors: selectors?, onto: onto? })
    });
    let down = of!(this, StepKind::KeyDown { key } => key);
    let down = r.pick_record("keyDown", Some("key"), down.is_some(), |r| r.must("key", down));
    let up = of!(this, StepKind::KeyUp { key } => key);
    let up = r.pick_record("keyUp", Some("key"), up.is_some(), |r| r.must("key", up));
    let key =
        of!(this, StepKind::Press { selectors, key, modifiers } => (selectors, key, modifiers));
    let press = r.pick_record("press", Some("key"), key.is_some(), |r| {
        let selectors = r.may("selectors", key.map(|(selectors, ..)| selectors));
        let modifiers = r.or("modifiers", key.map(|(.., modifiers)| modifiers), &Vec::new());
        let key = r.must("key", key.map(|(_, key, _)| key));
        Some(StepKind::Press { selectors: selectors?, key: key?, modifiers: modifiers? })
    });
    one.map(StepKind::Click)
        .or(two.map(StepKind::DoubleClick))
        .or(hover.map(|selectors| StepKind::Hover { selectors }))
        .or(pointer)
        .or(drag)
        .or(down.map(|key| StepKind::KeyDown { key }))
        .or(up.map(|key| StepKind::KeyUp { key }))
        .or(press)
}

fn click(r: &mut Record<'_>, this: Option<&Click>) -> Option<Click> {
    let selectors = r.must("selectors", this.map(|click| &click.selectors));
    let point = r.or("point", this.map(|click| &click.point), &Point::default());
    let button = r.or("button", this.map(|click| &click.button), &Button::Primary);
    let modifiers: Option<Vec<Modifier>> =
        r.or("modifiers", this.map(|click| &click.modifiers), &Vec::new());
    let duration = this.map(|click| click.duration.map(Milliseconds));
    let duration = r.may("duration", duration.as_ref());
    let opaque = r.or("opaque", this.map(|click| &click.opaque), &false);
    Some(Click {
        selectors: selectors?,
        point: point?,
        button: button?,
        modifiers: modifiers?,
        duration: duration?.map(|duration| duration.0),
        opaque: opaque?,
    })
}

record!(Point, |r: &mut Record<'_>, this: Option<&Self>| {
    let zero = Quantity::default();
    let origin = r.or("origin", this.map(|point| &point.origin), &Origin::Center);
    let x = r.or("x", this.map(|point| &point.x), &zero);
    let y = r.or("y", this.map(|point| &point.y), &zero);
    Some(Self { origin: origin?, x: x?, y: y? })
});

record!(Viewport, |r: &mut Record<'_>, this: Option<&Self>| {
    let width = r.must("width", this.map(|viewport| &viewport.width));
    let height = r.must("height", this.map(|viewport| &viewport.height));
    let scale = r.or("deviceScaleFactor", this.map(|viewport| &viewport.device_scale_factor), &1.0);
    let mobile = r.or("isMobile", this.map(|viewport| &viewport.is_mobile), &false);
    let touch = r.or("hasTouch", this.map(|viewport| &viewport.has_touch), &false);
    let landscape = r.or("isLandscape", this.map(|viewport| &viewport.is_landscape), &false);
    Some(Self {
        width: width?,
        height: height?,
        device_scale_factor: scale?,
        is_mobile: mobile?,
        has_touch: touch?,
        is_landscape: landscape?,
    })
});

fn form_controls(r: &mut Record<'_>, this: Option<&StepKind>) -> Option<StepKind> {
    let change = of!(this, StepKind::Change { selectors, value } => (selectors, value));
    let change = r.pick_record("change", None, change.is_some(), |r| {
        let selectors = r.must("selectors", change.map(|(selectors, _)| selectors));
        let value = r.must("value", change.map(|(_, value)| value));
        Some(StepKind::Change { selectors: selectors?, value: value? })
    });
    let typing = of!(this, StepKind::Type(typing) => typing);
    let typing = r.pick_record("type", None, typing.is_some(), |r| {
        let selectors = r.must("selectors", typing.map(|typing| &typing.selectors));
        let text = r.must("text", typing.map(|typing| &typing.text));
        let clear = r.or("clear", typing.map(|typing| &typing.clear), &false);
        let keys = r.or("keys", typing.map(|typing| &typing.keys), &true);
        let delay = typing.map(|typing| typing.delay.map(Milliseconds));
        let delay = r.may("delay", delay.as_ref());
        let delay = delay?.map(|delay: Milliseconds| delay.0);
        let (selectors, text, clear, keys) = (selectors?, text?, clear?, keys?);
        Some(StepKind::Type(Type { selectors, text, clear, keys, delay }))
    });
    let checked = of!(this, StepKind::SetChecked { selectors, checked } => (selectors, checked));
    let checked = r.pick_record("setChecked", ELEMENT, checked.is_some(), |r| {
        let selectors = r.must("selectors", checked.map(|(selectors, _)| selectors));
        let checked = r.or("checked", checked.map(|(_, checked)| checked), &true);
        Some(StepKind::SetChecked { selectors: selectors?, checked: checked? })
    });
    let select = of!(this, StepKind::SelectOption(select) => select);
    let select = r.pick_record("selectOption", None, select.is_some(), |r| {
        let selectors = r.must("selectors", select.map(|select| &select.selectors));
        let mode = r.or("mode", select.map(|select| &select.mode), &SelectMode::Set);
        let option: Option<Vec<_>> = r.must("option", select.map(|select| &select.option));
        let option = option?;
        if option.is_empty() {
            r.wrong("option", "must not be empty");
            return None;
        }
        Some(StepKind::SelectOption(SelectOption { selectors: selectors?, mode: mode?, option }))
    });
    let content = of!(this, StepKind::SetContent { selectors, text } => (selectors, text));
    let content = r.pick_record("setContent", None, content.is_some(), |r| {
        let selectors = r.must("selectors", content.map(|(selectors, _)| selectors));
        let text = r.must("text", content.map(|(_, text)| text));
        Some(StepKind::SetContent { selectors: selectors?, text: text? })
    });
    let submit = element(r, "submit", of!(this, StepKind::Submit { selectors } => selectors));
    change
        .or(typing)
        .or(checked)
        .or(select)
        .or(content)
        .or(submit.map(|selectors| StepKind::Submit { selectors }))
}

fn rest(r: &mut Record<'_>, this: Option<&StepKind>) -> Option<StepKind> {
    let wait = of!(this, StepKind::WaitForElement(wait) => wait);
    let wait =
        r.pick_record("waitForElement", ELEMENT, wait.is_some(), |r| wait_for_element(r, wait));
    let expression = of!(this, StepKind::WaitForExpression { expression } => expression);
    let expression = text(r, "waitForExpression", "expression", expression);
    let custom = text(r, "customStep", "name", of!(this, StepKind::Custom { name } => name));
    let claim = of!(this, StepKind::Check(check) => check);
    let claim = r.pick_record("check", None, claim.is_some(), |r| check(r, claim));
    let dialog = of!(this, StepKind::Dialog { action, time } => (action, time));
    let dialog = r.pick_record("dialog", None, dialog.is_some(), |r| {
        let action = dialog_action(r, dialog.map(|(action, _)| action));
        let time = r.or("time", dialog.map(|(_, time)| time), &DialogTime::Now);
        Some(StepKind::Dialog { action: action?, time: time? })
    });
    let script = of!(this, StepKind::Script(script) => script);
    let script = r.pick_record("script", Some("code"), script.is_some(), |r| {
        let code = r.must("code", script.map(|script| &script.code));
        let kind = r.or("kind", script.map(|script| &script.kind), &ScriptKind::Body);
        let store = r.may("store", script.map(|script| &script.store));
        Some(StepKind::Script(Script { code: code?, kind: kind?, store: store? }))
    });
    let stored = of!(this, StepKind::Store { variable, source } => (variable, source));
    let stored = r.pick_record("store", None, stored.is_some(), |r| store(r, stored));
    let pause = of!(this, StepKind::Pause { milliseconds } => milliseconds);
    let pause = r.pick_record("pause", Some("milliseconds"), pause.is_some(), |r| {
        r.must("milliseconds", pause)
    });
    let echo = text(r, "echo", "text", of!(this, StepKind::Echo { text } => text));
    wait.map(StepKind::WaitForElement)
        .or(expression.map(|expression| StepKind::WaitForExpression { expression }))
        .or(custom.map(|name| StepKind::Custom { name }))
        .or(claim.map(StepKind::Check))
        .or(dialog)
        .or(script)
        .or(stored.map(|(variable, source)| StepKind::Store { variable, source }))
        .or(pause.map(|milliseconds| StepKind::Pause { milliseconds }))
        .or(echo.map(|text| StepKind::Echo { text }))
}

fn wait_for_element(r: &mut Record<'_>, this: Option<&WaitForElement>) -> Option<WaitForElement> {
    let selectors = r.must("selectors", this.map(|wait| &wait.selectors));
    let operator = r.or("operator", this.map(|wait| &wait.operator), &Operator::AtLeast);
    let count = r.or("count", this.map(|wait| &wait.count), &1);
    let visible = r.may("visible", this.map(|wait| &wait.visible));
    let attributes: Option<BTreeMap<String, String>> =
        this.map(|wait| wait.attributes.iter().cloned().collect());
    let attributes = r.or("attributes", attributes.as_ref(), &BTreeMap::new());
    let properties = r.may("properties", this.map(|wait| &wait.properties));
    Some(WaitForElement {
        selectors: selectors?,
        operator: operator?,
        count: count?,
        visible: visible?,
        attributes: attributes?.into_iter().collect(),
        properties: properties?,
    })
}

fn control(r: &mut Record<'_>, this: Option<&StepKind>) -> Option<Control> {
    let this = of!(this, StepKind::Control(control) => control);
    let condition = |r: &mut Record<'_>, name, this| text(r, name, "condition", this);
    let when = condition(r, "if", of!(this, Control::If { condition } => condition));
    let or_when = condition(r, "elseIf", of!(this, Control::ElseIf { condition } => condition));
    let other = unit(r, "else", matches!(this, Some(Control::Else)));
    let go_on = of!(this, Control::While { condition, limit } => (condition, limit));
    let go_on = looped(r, "while", go_on);
    let rounds = of!(this, Control::Times { count, limit } => (count, limit));
    let rounds = r.pick_record("times", Some("count"), rounds.is_some(), |r| {
        let count = r.must("count", rounds.map(|(count, _)| count));
        let limit = r.or("limit", rounds.map(|(_, limit)| limit), &LOOP_EVALUATIONS_DEFAULT);
        Some(Control::Times { count: count?, limit: limit? })
    });
    let items = of!(this, Control::ForEach { array, item } => (array, item));
    let items = r.pick_record("forEach", None, items.is_some(), |r| {
        let array = r.must("array", items.map(|(array, _)| array));
        let item = r.must("item", items.map(|(_, item)| item));
        Some(Control::ForEach { array: array?, item: item? })
    });
    let begin = unit(r, "do", matches!(this, Some(Control::Do)));
    let again = of!(this, Control::RepeatIf { condition, limit } => (condition, limit));
    let again = looped(r, "repeatIf", again);
    let end = unit(r, "end", matches!(this, Some(Control::End)));
    when.map(|condition| Control::If { condition })
        .or(or_when.map(|condition| Control::ElseIf { condition }))
        .or(other.map(|()| Control::Else))
        .or(go_on.map(|(condition, limit)| Control::While { condition, limit }))
        .or(rounds)
        .or(items)
        .or(begin.map(|()| Control::Do))
        .or(again.map(|(condition, limit)| Control::RepeatIf { condition, limit }))
        .or(end.map(|()| Control::End))
}

fn looped(
    r: &mut Record<'_>,
    name: &'static str,
    this: Option<(&String, &u32)>,
) -> Option<(String, u32)> {
    r.pick_record(name, Some("condition"), this.is_some(), |r| {
        let condition = r.must("condition", this.map(|(condition, _)| condition));
        let limit = r.or("limit", this.map(|(_, limit)| limit), &LOOP_EVALUATIONS_DEFAULT);
        Some((condition?, limit?))
    })
}

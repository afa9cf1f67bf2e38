//! The choices within steps: what is checked, stored, selected, answered, and which frame is meant.

use gauntlet_core::flow::{
    Check, Comparison, DialogAction, FrameChoice, OptionBy, Selectors, Source, Subject,
};
use serde_json::{Map, Value};

use super::form::{Form, Place, Record};

/// Returns what is within, if the value is of this kind: `of!(this, Subject::Text(found))`.
macro_rules! of {
    ($this:expr, $pattern:pat => $found:expr) => {
        match $this {
            Some($pattern) => Some($found),
            _ => None,
        }
    };
}
pub(super) use of;

/// `check: { text: "#total", equals: "3", not: true, wait: false }`
pub(super) fn check(r: &mut Record<'_>, this: Option<&Check>) -> Option<Check> {
    let subject = r.choose(true, |r| subject(r, this.map(|check| &check.subject)));
    let is_expression = matches!(subject, Some(Subject::Expression(_)));
    let is_text = subject.as_ref().map(Subject::is_text);
    let comparison = r.choose(false, |r| Some(comparison(r, this.map(|check| &check.comparison))));
    let negated = r.or("not", this.map(|check| &check.negated), &false);
    let wait = r.or("wait", this.map(|check| &check.wait), &true);
    let comparison = comparison.flatten().unwrap_or(Comparison::Holds);
    let holds = comparison == Comparison::Holds;
    if is_text == Some(true) && holds {
        r.wrong("", "must have one of equals, equalsTrimmed, contains");
        return None;
    }
    if is_text == Some(false) && !holds && !is_expression {
        r.wrong("", "is true or false by itself and is compared with no text");
        return None;
    }
    Some(Check { subject: subject?, comparison, negated: negated?, wait: wait? })
}

fn subject(r: &mut Record<'_>, this: Option<&Subject>) -> Option<Subject> {
    let element = |r: &mut Record<'_>, name, found: Option<&Selectors>| r.pick(name, found);
    let text = element(r, "text", of!(this, Subject::Text(s) => s)).map(Subject::Text);
    let value = element(r, "value", of!(this, Subject::Value(s) => s)).map(Subject::Value);
    let label = element(r, "selectedLabel", of!(this, Subject::SelectedLabel(s) => s));
    let attribute =
        attribute(r, of!(this, Subject::Attribute { selectors, name } => (selectors, name)));
    let checked = element(r, "checked", of!(this, Subject::Checked(s) => s)).map(Subject::Checked);
    let editable = element(r, "editable", of!(this, Subject::Editable(s) => s));
    let present = element(r, "present", of!(this, Subject::Present(s) => s)).map(Subject::Present);
    let visible = element(r, "visible", of!(this, Subject::Visible(s) => s)).map(Subject::Visible);
    let title = r.pick_unit("title", matches!(this, Some(Subject::Title)));
    let url = r.pick_unit("url", matches!(this, Some(Subject::Url)));
    let dialog = r.pick("dialog", of!(this, Subject::Dialog(kind) => kind)).map(Subject::Dialog);
    let variable = r.pick("variable", of!(this, Subject::Variable(v) => v)).map(Subject::Variable);
    let expression = r.pick("expression", of!(this, Subject::Expression(code) => code));
    text.or(value)
        .or(label.map(Subject::SelectedLabel))
        .or(attribute.map(|(selectors, name)| Subject::Attribute { selectors, name }))
        .or(checked)
        .or(editable.map(Subject::Editable))
        .or(present)
        .or(visible)
        .or(title.map(|()| Subject::Title))
        .or(url.map(|()| Subject::Url))
        .or(dialog)
        .or(variable)
        .or(expression.map(Subject::Expression))
}

fn attribute(
    r: &mut Record<'_>,
    this: Option<(&Selectors, &String)>,
) -> Option<(Selectors, String)> {
    r.pick_record("attribute", None, this.is_some(), |r| {
        let selectors = r.must("selectors", this.map(|(selectors, _)| selectors));
        let name = r.must("name", this.map(|(_, name)| name));
        Some((selectors?, name?))
    })
}

fn comparison(r: &mut Record<'_>, this: Option<&Comparison>) -> Option<Comparison> {
    let equals = r.pick("equals", of!(this, Comparison::Equals(text) => text));
    let trimmed = r.pick("equalsTrimmed", of!(this, Comparison::EqualsTrimmed(text) => text));
    let contains = r.pick("contains", of!(this, Comparison::Contains(text) => text));
    equals
        .map(Comparison::Equals)
        .or(trimmed.map(Comparison::EqualsTrimmed))
        .or(contains.map(Comparison::Contains))
}

/// `store: { variable: price, elementText: "#price" }`
pub(super) fn store(
    r: &mut Record<'_>,
    this: Option<(&String, &Source)>,
) -> Option<(String, Source)> {
    let variable = r.must("variable", this.map(|(variable, _)| variable));
    let source = r.choose(true, |r| source(r, this.map(|(_, source)| source)));
    Some((variable?, source?))
}

fn source(r: &mut Record<'_>, this: Option<&Source>) -> Option<Source> {
    let text = r.pick("text", of!(this, Source::Text(text) => text)).map(Source::Text);
    let json = r.pick("json", of!(this, Source::Json(json) => json)).map(Source::Json);
    let shown = r.pick("elementText", of!(this, Source::ElementText(s) => s));
    let value = r.pick("elementValue", of!(this, Source::ElementValue(s) => s));
    let attribute =
        attribute(r, of!(this, Source::Attribute { selectors, name } => (selectors, name)));
    let count = r.pick("count", of!(this, Source::Count(s) => s)).map(Source::Count);
    let title = r.pick_unit("title", matches!(this, Some(Source::Title)));
    let url = r.pick_unit("url", matches!(this, Some(Source::Url)));
    let window = r.pick_unit("window", matches!(this, Some(Source::Window)));
    text.or(json)
        .or(shown.map(Source::ElementText))
        .or(value.map(Source::ElementValue))
        .or(attribute.map(|(selectors, name)| Source::Attribute { selectors, name }))
        .or(count)
        .or(title.map(|()| Source::Title))
        .or(url.map(|()| Source::Url))
        .or(window.map(|()| Source::Window))
}

/// `selectFrame: { index: "0" }`
pub(super) fn frame(r: &mut Record<'_>, this: Option<&FrameChoice>) -> Option<FrameChoice> {
    r.choose(true, |r| {
        let top = r.pick_unit("top", matches!(this, Some(FrameChoice::Top)));
        let parent = r.pick_unit("parent", matches!(this, Some(FrameChoice::Parent)));
        let index = r.pick("index", of!(this, FrameChoice::Index(index) => index));
        let element = r.pick("element", of!(this, FrameChoice::Element(s) => s));
        top.map(|()| FrameChoice::Top)
            .or(parent.map(|()| FrameChoice::Parent))
            .or(index.map(FrameChoice::Index))
            .or(element.map(FrameChoice::Element))
    })
}

/// `dialog: { answer: "42" }`
pub(super) fn dialog_action(
    r: &mut Record<'_>,
    this: Option<&DialogAction>,
) -> Option<DialogAction> {
    r.choose(true, |r| {
        let accept = r.pick_unit("accept", matches!(this, Some(DialogAction::Accept)));
        let dismiss = r.pick_unit("dismiss", matches!(this, Some(DialogAction::Dismiss)));
        let answer = r.pick("answer", of!(this, DialogAction::Answer(text) => text));
        accept
            .map(|()| DialogAction::Accept)
            .or(dismiss.map(|()| DialogAction::Dismiss))
            .or(answer.map(DialogAction::Answer))
    })
}

impl Form for OptionBy {
    const DEFINITION: Option<&'static str> = Some("option");

    fn read(value: &Value, place: &mut Place<'_>) -> Option<Self> {
        match value {
            Value::String(label) => Some(Self::Label(label.clone())),
            Value::Object(object) => {
                let mut record = Record::reading(object, place.within(""));
                let option = option_by(&mut record, None);
                record.finish();
                option
            }
            other => place.expected("a text or an object", other),
        }
    }

    fn write(&self) -> Value {
        let mut record = Record::writing();
        option_by(&mut record, Some(self));
        record.written()
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        let mut record = Record::describing();
        option_by(&mut record, None);
        serde_json::json!({ "anyOf": [{ "type": "string" }, record.described().0] })
    }
}

fn option_by(r: &mut Record<'_>, this: Option<&OptionBy>) -> Option<OptionBy> {
    r.choose(true, |r| {
        let label = r.pick("label", of!(this, OptionBy::Label(text) => text));
        let mostly = r.pick("mostlyLabel", of!(this, OptionBy::MostlyLabel(text) => text));
        let value = r.pick("value", of!(this, OptionBy::Value(text) => text));
        let id = r.pick("id", of!(this, OptionBy::Id(text) => text));
        let nth = r.pick("nthChild", of!(this, OptionBy::NthChild(text) => text));
        label
            .map(OptionBy::Label)
            .or(mostly.map(OptionBy::MostlyLabel))
            .or(value.map(OptionBy::Value))
            .or(id.map(OptionBy::Id))
            .or(nth.map(OptionBy::NthChild))
    })
}

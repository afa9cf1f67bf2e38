//! Ways to spoil a correct flow, whatever format it came from.

use std::{collections::BTreeSet, time::Duration};

use gauntlet_core::flow::{
    AssertedNavigation, Check, Comparison, Control, DialogAction, DialogTime, FailureClass, Flow,
    FrameChoice, KeyName, OpensWindow, Operator, OptionBy, PointerAction, Quantity, Script,
    ScriptKind, Selector, Selectors, Source, Step, StepKind, Subject, Type,
};

/// Where a mutant must fail.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    /// At this step.
    Step(usize),
    /// At this step or at a later one that looks at what it did.
    Since(usize),
}

/// A flow that must fail.
#[derive(Debug)]
pub(crate) struct Mutant {
    /// What was done to which kind of step.
    pub(crate) name: String,
    pub(crate) flow: Flow,
    pub(crate) at: At,
    pub(crate) classes: &'static [FailureClass],
}

const GONE: &[FailureClass] = &[FailureClass::ElementNotFound];
const UNFIT: &[FailureClass] = &[FailureClass::Timeout];
const WRONG: &[FailureClass] = &[FailureClass::Assertion];
const NAVIGATION: &[FailureClass] = &[FailureClass::Navigation];
const UNREACHABLE: &[FailureClass] = &[FailureClass::TargetUnreachable];
/// What a later step says about a step that was not taken or did something else.
const LATER: &[FailureClass] = &[
    FailureClass::Assertion,
    FailureClass::ElementNotFound,
    FailureClass::Navigation,
    FailureClass::Timeout,
];

/// Returns every mutant of the steps that the flow performs: what stands in a branch not taken may be as wrong as it likes. A
/// step that must fail has `patience` to find out.
pub(crate) fn mutants(flow: &Flow, performed: &BTreeSet<usize>, patience: Duration) -> Vec<Mutant> {
    let mut garden = Garden { flow, patience, all: Vec::new() };
    for index in performed.iter().copied() {
        garden.change(index);
        garden.insert(index);
        garden.remove(index);
    }
    garden.all
}

struct Garden<'f> {
    flow: &'f Flow,
    patience: Duration,
    all: Vec<Mutant>,
}

impl Garden<'_> {
    fn add(
        &mut self,
        what: &str,
        index: usize,
        at: At,
        classes: &'static [FailureClass],
        steps: Vec<Step>,
    ) {
        let step = &self.flow.steps[index];
        let kind = match &step.kind {
            StepKind::Check(check) => format!("check {}", check.subject.name()),
            StepKind::Store { source, .. } if source.selectors().is_some() => {
                "store element".into()
            }
            StepKind::Pointer(pointer) => format!("pointer {:?}", pointer.action),
            _ => step.type_name().to_owned(),
        };
        let mut flow = Flow { steps, ..self.flow.clone() };
        if let At::Step(at) = at {
            flow.steps[at].timeout = Some(self.patience.into());
        }
        self.all.push(Mutant { name: format!("{what}: {kind}"), flow, at, classes });
    }

    /// Spoils a step itself.
    fn change(&mut self, index: usize) {
        for (what, classes, kind) in spoilt(&self.flow.steps[index].kind) {
            let mut steps = self.flow.steps.clone();
            steps[index].kind = kind;
            let at = if what == "other input" { At::Since(index) } else { At::Step(index) };
            let classes = if what == "other input" { LATER } else { classes };
            self.add(what, index, at, classes, steps);
        }
        let step = &self.flow.steps[index];
        let idle = matches!(step.kind, StepKind::Check(_) | StepKind::Echo { .. });
        if idle && step.navigation.is_none() {
            let mut steps = self.flow.steps.clone();
            steps[index].navigation = Some(AssertedNavigation::default());
            self.add("asserts a navigation", index, At::Step(index), NAVIGATION, steps);
            let mut steps = self.flow.steps.clone();
            steps[index].opens_window =
                Some(OpensWindow { variable: None, timeout: self.patience });
            self.add("opens a window", index, At::Step(index), NAVIGATION, steps);
        }
        if step.navigation.is_some() {
            let url = Some("http://site.test/elsewhere".to_owned());
            let title = Some("Elsewhere".to_owned());
            let claims =
                [("asserts another URL", url, None), ("asserts another title", None, title)];
            for (what, url, title) in claims {
                let mut steps = self.flow.steps.clone();
                steps[index].navigation = Some(AssertedNavigation { url, title, recorded: false });
                self.add(what, index, At::Step(index), WRONG, steps);
            }
        }
        if !step.frame.is_empty() {
            let mut steps = self.flow.steps.clone();
            steps[index].frame.push(7);
            self.add("wrong frame", index, At::Step(index), GONE, steps);
        }
    }

    /// Spoils the page just before a step.
    fn insert(&mut self, index: usize) {
        let step = &self.flow.steps[index];
        let Some(css) = step.selectors().and_then(first_css) else { return };
        let acts = matches!(
            step.kind,
            StepKind::Click(_)
                | StepKind::DoubleClick(_)
                | StepKind::SetChecked { .. }
                | StepKind::SelectOption(_)
                | StepKind::Change { .. }
                | StepKind::Type(_)
                | StepKind::SetContent { .. }
        );
        let hits = match &step.kind {
            StepKind::Click(_) | StepKind::DoubleClick(_) | StepKind::SetChecked { .. } => true,
            StepKind::Hover { .. } | StepKind::DragTo { .. } => true,
            StepKind::Pointer(pointer) => pointer.action != PointerAction::Out,
            _ => false,
        };
        let element = format!("document.querySelector({css:?})");
        if acts {
            let code = format!(
                "const el = {element}; if ('disabled' in el) el.disabled = true; else el.style.visibility = 'hidden';"
            );
            self.spoil_page("disabled", index, code, UNFIT);
            let code = format!("{element}.style.display = 'none'");
            self.spoil_page("hidden", index, code, UNFIT);
        }
        if hits {
            let code = "document.body.append(Object.assign(document.createElement('div'), { style: 'position:fixed;inset:0;z-index:9999' }))";
            self.spoil_page("covered", index, code.to_owned(), UNFIT);
        }
        if acts || hits {
            let code = format!(
                "{element}.animate([{{ marginLeft: 0 }}, {{ marginLeft: '300px' }}], {{ duration: 900, iterations: Infinity }})"
            );
            self.spoil_page("moving", index, code, UNFIT);
        }
        if needs_element(&step.kind) {
            self.spoil_page("removed", index, format!("{element}.remove()"), GONE);
        }
    }

    fn spoil_page(
        &mut self,
        what: &str,
        index: usize,
        code: String,
        classes: &'static [FailureClass],
    ) {
        let step = &self.flow.steps[index];
        let script = StepKind::Script(Script { code, kind: ScriptKind::Body, store: None });
        let script = Step {
            kind: script,
            navigation: None,
            opens_window: None,
            recorded_pause: Duration::ZERO,
            soft: false,
            optional: false,
            ..step.clone()
        };
        let mut steps = self.flow.steps.clone();
        steps.insert(index, script);
        self.add(what, index, At::Step(index + 1), classes, steps);
    }

    /// Leaves a step out whose effect a later one looks at.
    fn remove(&mut self, index: usize) {
        let effect = matches!(
            self.flow.steps[index].kind,
            StepKind::Click(_)
                | StepKind::Type(_)
                | StepKind::Change { .. }
                | StepKind::SelectOption(_)
                | StepKind::SetContent { .. }
                | StepKind::DragTo { .. }
                | StepKind::Hover { .. }
                | StepKind::Press { .. }
                | StepKind::Submit { .. }
                | StepKind::Dialog { .. }
                | StepKind::SelectWindow { .. }
                | StepKind::ResizeWindow { .. }
                | StepKind::Navigate { .. }
        );
        let next = self.flow.steps.get(index + 1).map(|step| &step.kind);
        let effect = effect
            || match &self.flow.steps[index].kind {
                // A press moves to its place by itself, and a page is loaded into the main frame anyhow.
                StepKind::Pointer(pointer) => pointer.action != PointerAction::Move,
                StepKind::SelectFrame(_) => !matches!(next, Some(StepKind::Navigate { .. })),
                _ => false,
            };
        if effect && index + 1 < self.flow.steps.len() {
            let mut steps = self.flow.steps.clone();
            steps.remove(index);
            self.add("left out", index, At::Since(index), LATER, steps);
        }
        if matches!(self.flow.steps[index].kind, StepKind::Navigate { .. }) {
            let mut steps = self.flow.steps.clone();
            let dialog = StepKind::Dialog { action: DialogAction::Accept, time: DialogTime::Now };
            steps
                .insert(index + 1, Step { kind: dialog, navigation: None, ..steps[index].clone() });
            self.add("expects a dialog", index, At::Step(index + 1), WRONG, steps);
        }
    }
}

fn first_css(selectors: &Selectors) -> Option<&str> {
    selectors.0.iter().find_map(|chain| match chain.parts.as_slice() {
        [Selector::Css(css)] => Some(css.as_str()),
        _ => None,
    })
}

fn nowhere() -> Selectors {
    Selector::Css("#no-such-element".to_owned()).into()
}

/// Tells whether a step fails when its element is missing.
fn needs_element(kind: &StepKind) -> bool {
    match kind {
        StepKind::Check(Check {
            subject: Subject::Present(_) | Subject::Visible(_),
            negated,
            ..
        }) => !negated,
        StepKind::Store { source: Source::Count(_), .. } => false,
        StepKind::WaitForElement(wait) => {
            wait.operator != Operator::AtMost && wait.count > 0 && wait.visible != Some(false)
        }
        kind => kind.selectors().is_some(),
    }
}

type Spoilt = (&'static str, &'static [FailureClass], StepKind);

fn spoilt(kind: &StepKind) -> Vec<Spoilt> {
    let mut all = Vec::new();
    if needs_element(kind) {
        let mut missing = kind.clone();
        replace(&mut missing, nowhere());
        all.push(("missing element", GONE, missing));
    }
    match kind.clone() {
        StepKind::Navigate { .. } => {
            let url = "http://127.0.0.1:2/".to_owned();
            all.push(("wrong URL", UNREACHABLE, StepKind::Navigate { url }));
        }
        StepKind::Check(check) => all.extend(spoilt_check(&check)),
        StepKind::WaitForExpression { expression } => {
            let expression = format!("!({expression})");
            all.push(("wrong text", WRONG, StepKind::WaitForExpression { expression }));
        }
        StepKind::Script(script) => {
            let code = "throw new Error('spoilt')".to_owned();
            let script = Script { code, kind: ScriptKind::Body, ..script };
            all.push(("broken code", WRONG, StepKind::Script(script)));
        }
        StepKind::DragTo { selectors, .. } => {
            all.push(("missing place", GONE, StepKind::DragTo { selectors, onto: nowhere() }));
        }
        StepKind::SelectOption(mut select) => {
            select.option = vec![OptionBy::Label("No such option".to_owned())];
            all.push(("swapped option", GONE, StepKind::SelectOption(select)));
        }
        StepKind::Type(typing) => {
            let text = format!("{}zz", typing.text);
            all.push(("other input", LATER, StepKind::Type(Type { text, ..typing.clone() })));
            if typing.keys {
                let text = "${KEY_NO_SUCH}".to_owned();
                let broken = StepKind::Type(Type { text, ..typing });
                all.push(("unknown key", &[FailureClass::ImportError], broken));
            }
        }
        StepKind::Change { selectors, value } => {
            let value = format!("{value}zz");
            all.push(("other input", LATER, StepKind::Change { selectors, value }));
        }
        StepKind::SetContent { selectors, text } => {
            let text = format!("{text}zz");
            all.push(("other input", LATER, StepKind::SetContent { selectors, text }));
        }
        StepKind::Press { selectors, modifiers, .. } => {
            let key = KeyName::new("j").expect("a key");
            all.push(("other input", LATER, StepKind::Press { selectors, key, modifiers }));
        }
        StepKind::SetChecked { selectors, checked } => {
            let checked = !checked;
            all.push(("other input", LATER, StepKind::SetChecked { selectors, checked }));
        }
        StepKind::SelectFrame(FrameChoice::Index(_) | FrameChoice::Element(_)) => {
            let frame = FrameChoice::Index("7".to_owned());
            all.push(("wrong frame", GONE, StepKind::SelectFrame(frame)));
        }
        StepKind::SelectWindow { .. } => {
            let handle = "nowhere".to_owned();
            all.push(("wrong window", NAVIGATION, StepKind::SelectWindow { handle }));
        }
        StepKind::Control(control) => all.extend(spoilt_control(control)),
        _ => {}
    }
    all
}

fn spoilt_check(check: &Check) -> Vec<Spoilt> {
    let mut all = Vec::new();
    let present = matches!(check.subject, Subject::Present(_));
    let turned = Check { negated: !check.negated, ..check.clone() };
    let class = if present && check.negated { GONE } else { WRONG };
    all.push(("turned round", class, StepKind::Check(turned)));
    let longer = |text: &String| format!("{text}zz");
    let comparison = match &check.comparison {
        Comparison::Holds => return all,
        Comparison::Equals(text) => Comparison::Equals(longer(text)),
        Comparison::EqualsTrimmed(text) => Comparison::EqualsTrimmed(longer(text)),
        Comparison::Contains(text) => Comparison::Contains(longer(text)),
    };
    if !check.negated {
        let wrong = Check { comparison, ..check.clone() };
        all.push(("wrong text", WRONG, StepKind::Check(wrong)));
    }
    all
}

fn spoilt_control(control: Control) -> Vec<Spoilt> {
    let broken = "no.such.thing".to_owned();
    let limit = 1;
    let (what, classes, control) = match control {
        Control::If { .. } => ("broken condition", WRONG, Control::If { condition: broken }),
        Control::ElseIf { .. } => {
            ("broken condition", WRONG, Control::ElseIf { condition: broken })
        }
        Control::While { condition, .. } => {
            ("too few rounds", UNFIT, Control::While { condition, limit })
        }
        Control::RepeatIf { condition, .. } => {
            ("too few rounds", UNFIT, Control::RepeatIf { condition, limit })
        }
        Control::Times { limit, .. } => {
            let count = Quantity::Text("${nothing}".to_owned());
            ("no number", WRONG, Control::Times { count, limit })
        }
        Control::ForEach { item, .. } => {
            ("no items", WRONG, Control::ForEach { array: "nothing".to_owned(), item })
        }
        Control::Else | Control::Do | Control::End => return Vec::new(),
    };
    vec![(what, classes, StepKind::Control(control))]
}

/// Lets a step look for something else.
fn replace(kind: &mut StepKind, with: Selectors) {
    match kind {
        StepKind::Click(click) | StepKind::DoubleClick(click) => click.selectors = with,
        StepKind::Hover { selectors }
        | StepKind::Change { selectors, .. }
        | StepKind::DragTo { selectors, .. }
        | StepKind::SetChecked { selectors, .. }
        | StepKind::SetContent { selectors, .. }
        | StepKind::Submit { selectors }
        | StepKind::SelectFrame(FrameChoice::Element(selectors)) => *selectors = with,
        StepKind::Scroll { selectors, .. } | StepKind::Press { selectors, .. } => {
            *selectors = Some(with);
        }
        StepKind::WaitForElement(wait) => wait.selectors = with,
        StepKind::Pointer(pointer) => pointer.selectors = with,
        StepKind::SelectOption(select) => select.selectors = with,
        StepKind::Type(typing) => typing.selectors = with,
        StepKind::Check(check) => match &mut check.subject {
            Subject::Text(selectors)
            | Subject::Value(selectors)
            | Subject::SelectedLabel(selectors)
            | Subject::Attribute { selectors, .. }
            | Subject::Checked(selectors)
            | Subject::Editable(selectors)
            | Subject::Present(selectors)
            | Subject::Visible(selectors) => *selectors = with,
            _ => {}
        },
        StepKind::Store {
            source:
                Source::ElementText(selectors)
                | Source::ElementValue(selectors)
                | Source::Attribute { selectors, .. }
                | Source::Count(selectors),
            ..
        } => *selectors = with,
        _ => {}
    }
}

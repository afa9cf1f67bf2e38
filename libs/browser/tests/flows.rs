//! Correct flows over our own pages that together have every kind of step, for [`crate::kinds`] and [`crate::mutants`].

use std::time::Duration;

use gauntlet_core::flow::{
    Check, Click, Comparison, Control, DialogAction, DialogKind, DialogTime, Flow, FrameChoice,
    KeyName, LOOP_EVALUATIONS_DEFAULT, Modifier, OpensWindow, OptionBy, Point, Pointer,
    PointerAction, Script, ScriptKind, SelectMode, SelectOption, Selector, Selectors, Source, Step,
    StepKind, Subject, Target, Type,
};

pub(crate) fn css(css: &str) -> Selectors {
    Selector::Css(css.to_owned()).into()
}

/// A step on the page and frame that steps have chosen.
pub(crate) fn step(kind: StepKind) -> Step {
    Step { target: Target::Current, ..Step::new(kind) }
}

pub(crate) fn flow(title: &str, base: &str, page: &str, steps: Vec<Step>) -> Flow {
    let mut all = vec![step(StepKind::Navigate { url: format!("/{page}") })];
    all.extend(steps);
    Flow {
        base_url: Some(base.to_owned()),
        timeout: Duration::from_secs(4),
        ..Flow::new(title, all)
    }
}

pub(crate) fn click(on: &str) -> Step {
    step(StepKind::Click(Click {
        selectors: css(on),
        point: Point::default(),
        button: gauntlet_core::flow::Button::default(),
        modifiers: Vec::new(),
        duration: None,
        opaque: false,
    }))
}

fn held(on: &str, modifiers: &[Modifier]) -> Step {
    let mut step = click(on);
    if let StepKind::Click(click) = &mut step.kind {
        click.modifiers = modifiers.to_vec();
    }
    step
}

pub(crate) fn typing(into: &str, text: &str, clear: bool) -> Step {
    let typing =
        Type { selectors: css(into), text: text.to_owned(), clear, keys: true, delay: None };
    step(StepKind::Type(typing))
}

pub(crate) fn check(subject: Subject, comparison: Comparison) -> Step {
    step(StepKind::Check(Check { subject, comparison, negated: false, wait: false }))
}

pub(crate) fn says(element: &str, text: &str) -> Step {
    check(Subject::Text(css(element)), Comparison::Equals(text.to_owned()))
}

fn equals(subject: Subject, text: &str) -> Step {
    check(subject, Comparison::Equals(text.to_owned()))
}

fn not(mut step: Step) -> Step {
    if let StepKind::Check(check) = &mut step.kind {
        check.negated = true;
    }
    step
}

fn waiting(mut step: Step) -> Step {
    if let StepKind::Check(check) = &mut step.kind {
        check.wait = true;
    }
    step
}

fn choose(select: &str, mode: SelectMode, by: OptionBy) -> Step {
    let select = SelectOption { selectors: css(select), mode, option: vec![by] };
    step(StepKind::SelectOption(select))
}

pub(crate) fn script(code: &str, store: Option<&str>) -> Step {
    step(StepKind::Script(Script {
        code: code.to_owned(),
        kind: ScriptKind::Body,
        store: store.map(str::to_owned),
    }))
}

fn pointer(on: &str, action: PointerAction) -> Step {
    let pointer = Pointer { action, selectors: css(on), point: Point::default() };
    step(StepKind::Pointer(pointer))
}

fn press(on: Option<&str>, key: &str, modifiers: &[Modifier]) -> Step {
    step(StepKind::Press {
        selectors: on.map(css),
        key: KeyName::new(key).expect("the name of a key"),
        modifiers: modifiers.to_vec(),
    })
}

pub(crate) fn marker(control: Control) -> Step {
    step(StepKind::Control(control))
}

fn store(variable: &str, source: Source) -> Step {
    step(StepKind::Store { variable: variable.to_owned(), source })
}

fn dialog(action: DialogAction, time: DialogTime) -> Step {
    step(StepKind::Dialog { action, time })
}

/// Every correct flow.
pub(crate) fn all(base: &str) -> Vec<Flow> {
    vec![
        form(base),
        choices(base),
        hands(base),
        reads(base),
        values(base),
        loops(base),
        dialogs(base),
        windows(base),
        frames(base),
    ]
}

fn form(base: &str) -> Flow {
    let steps = vec![
        equals(Subject::Title, "Kinds"),
        check(Subject::Url, Comparison::Contains("/kinds".into())),
        typing("#name", "Ada", true),
        equals(Subject::Value(css("#name")), "Ada"),
        typing("#name", " Lovelace${KEY_SHIFT}${KEY_HOME}${KEY_NULL}Eve${KEY_TAB}rest", false),
        waiting(equals(Subject::Value(css("#name")), "Eve")),
        equals(Subject::Value(css("#more")), "rest"),
        typing("#when", "2026-11-21", true),
        equals(Subject::Value(css("#when")), "2026-11-21"),
        step(StepKind::SetContent { selectors: css("#note"), text: "words".into() }),
        says("#note", "words"),
        press(Some("#more"), "k", &[Modifier::Control]),
        says("#out", "ctrl+k on more"),
        step(StepKind::Submit { selectors: css("#name") }),
        says("#out", "submitted"),
    ];
    flow("form", base, "kinds", steps)
}

fn choices(base: &str) -> Flow {
    let set = |on: &str, checked| step(StepKind::SetChecked { selectors: css(on), checked });
    let steps = vec![
        set("#box", true),
        check(Subject::Checked(css("#box")), Comparison::Holds),
        set("#box", true),
        check(Subject::Checked(css("#box")), Comparison::Holds),
        set("#box", false),
        not(check(Subject::Checked(css("#box")), Comparison::Holds)),
        choose("#size", SelectMode::Set, OptionBy::Label("Large".into())),
        equals(Subject::SelectedLabel(css("#size")), "Large"),
        choose("#size", SelectMode::Set, OptionBy::NthChild("1".into())),
        equals(Subject::Value(css("#size")), "S"),
        choose("#size", SelectMode::Set, OptionBy::Id("large".into())),
        not(equals(Subject::Value(css("#size")), "S")),
        choose("#many", SelectMode::Add, OptionBy::Value("c".into())),
        says("#out", "a,c"),
        choose("#many", SelectMode::Remove, OptionBy::MostlyLabel(" A ".into())),
        says("#out", "c"),
    ];
    flow("choices", base, "kinds", steps)
}

fn hands(base: &str) -> Flow {
    let steps = vec![
        click("#press"),
        says("#out", "plain"),
        held("#press", &[Modifier::Shift, Modifier::Alt]),
        says("#out", "alt+shift"),
        step(StepKind::DragTo { selectors: css("#from"), onto: css("#onto") }),
        waiting(says("#out", "moved")),
        pointer("#feel", PointerAction::Move),
        pointer("#feel", PointerAction::Down),
        pointer("#feel", PointerAction::Up),
        pointer("#feel", PointerAction::Out),
        waiting(says("#out", "oduo")),
        step(StepKind::Hover { selectors: css("#feel") }),
        waiting(says("#out", "oduoo")),
    ];
    flow("hands", base, "kinds", steps)
}

fn reads(base: &str) -> Flow {
    let attribute =
        |selectors: Selectors, name: &str| Subject::Attribute { selectors, name: name.into() };
    let steps = vec![
        equals(attribute(css("#link"), "title"), "a hint"),
        check(
            Subject::Text(Selector::LinkText("To the popup".into()).into()),
            Comparison::EqualsTrimmed("To the\u{a0}popup ".into()),
        ),
        equals(attribute(Selector::PartialLinkText("nother".into()).into(), "data-k"), "other"),
        says("#second", "two"),
        check(
            Subject::Text(Selector::HasText { css: "li".into(), text: "THREE".into() }.into()),
            Comparison::Contains("hre".into()),
        ),
        check(Subject::Editable(css("#name")), Comparison::Holds),
        check(Subject::Visible(css("#press")), Comparison::Holds),
        check(Subject::Present(css("#files")), Comparison::Holds),
        not(check(Subject::Visible(css("#files")), Comparison::Holds)),
        not(check(Subject::Present(css("#nowhere")), Comparison::Holds)),
        check(Subject::Expression("document.links.length > 1".into()), Comparison::Holds),
        equals(Subject::Expression("document.links.length".into()), "2"),
    ];
    flow("reads", base, "kinds", steps)
}

fn values(base: &str) -> Flow {
    let variable = |name: &str, text: &str| equals(Subject::Variable(name.into()), text);
    let steps = vec![
        store("who", Source::Text("Grace".into())),
        store("list", Source::Json("[1, \"two\"]".into())),
        store("heading", Source::Title),
        store("at", Source::Url),
        store("second", Source::ElementText(css("#second"))),
        store("old", Source::ElementValue(css("#name"))),
        store("hint", Source::Attribute { selectors: css("#link"), name: "title".into() }),
        store("count", Source::Count(css("li"))),
        typing("#name", "${who} ${second}", true),
        equals(Subject::Value(css("#name")), "Grace two"),
        script("return ${list}[0] + ${count}", Some("sum")),
        variable("sum", "4"),
        variable("list", "1,two"),
        variable("heading", "Kinds"),
        variable("old", "old"),
        variable("hint", "a hint"),
        check(Subject::Variable("at".into()), Comparison::Contains("/kinds".into())),
        step(StepKind::Script(Script {
            code: "new Promise((done) => setTimeout(() => done(${who} + '!'), 20))".into(),
            kind: ScriptKind::Promise,
            store: Some("later".into()),
        })),
        variable("later", "Grace!"),
        step(StepKind::Echo { text: "hello ${who}".into() }),
        step(StepKind::Pause { milliseconds: 20.0.into() }),
        step(StepKind::WaitForExpression {
            expression: "name.value === ${who} + ' two'"
                .replace("name.value", "document.querySelector('#name').value"),
        }),
    ];
    flow("values", base, "kinds", steps)
}

fn loops(base: &str) -> Flow {
    let limit = LOOP_EVALUATIONS_DEFAULT;
    let condition = |code: &str| code.to_owned();
    let add = |what: &str| script(&format!("return ${{said}} + '{what}'"), Some("said"));
    let steps = vec![
        store("said", Source::Text("-".into())),
        marker(Control::If { condition: condition("${said} === 'x'") }),
        add("if"),
        marker(Control::ElseIf { condition: condition("${said} === '-'") }),
        add("elseif"),
        marker(Control::Else),
        add("else"),
        marker(Control::End),
        marker(Control::Times { count: 2.0.into(), limit }),
        add("t"),
        marker(Control::End),
        marker(Control::While { condition: condition("${said}.length < 11"), limit }),
        add("w"),
        marker(Control::End),
        store("items", Source::Json("[\"p\", \"q\"]".into())),
        marker(Control::ForEach { array: "items".into(), item: "item".into() }),
        script("return ${said} + ${item}", Some("said")),
        marker(Control::End),
        marker(Control::Do),
        add("d"),
        marker(Control::RepeatIf { condition: condition("!${said}.endsWith('dd')"), limit }),
        equals(Subject::Variable("said".into()), "-elseifttwwpqdd"),
        equals(Subject::Title, "Kinds"),
    ];
    flow("loops", base, "kinds", steps)
}

fn dialogs(base: &str) -> Flow {
    let text = |kind, text: &str| equals(Subject::Dialog(kind), text);
    let steps = vec![
        click("#warn"),
        text(DialogKind::Confirm, "Really?"),
        dialog(DialogAction::Accept, DialogTime::Now),
        says("#out", "yes"),
        click("#warn"),
        dialog(DialogAction::Dismiss, DialogTime::Now),
        says("#out", "no"),
        click("#ask"),
        text(DialogKind::Prompt, "How many?"),
        dialog(DialogAction::Answer("three".into()), DialogTime::Now),
        says("#out", "answer three"),
        dialog(DialogAction::Dismiss, DialogTime::Next),
        click("#ask"),
        waiting(says("#out", "no answer")),
        dialog(DialogAction::Answer("four".into()), DialogTime::Next),
        click("#ask"),
        waiting(says("#out", "answer four")),
    ];
    flow("dialogs", base, "kinds", steps)
}

fn windows(base: &str) -> Flow {
    let opens = OpensWindow { variable: Some("popup".into()), timeout: Duration::from_secs(4) };
    let select = |handle: &str| step(StepKind::SelectWindow { handle: handle.into() });
    let steps = vec![
        step(StepKind::ResizeWindow { width: 910.0.into(), height: 620.0.into() }),
        equals(Subject::Expression("innerWidth".into()), "910"),
        store("first", Source::Window),
        Step { opens_window: Some(opens), ..click("#open") },
        equals(Subject::Title, "Kinds"),
        select("${popup}"),
        waiting(equals(Subject::Title, "Popup")),
        click("#in"),
        equals(Subject::Title, "hit"),
        step(StepKind::Close),
        select("${first}"),
        equals(Subject::Title, "Kinds"),
    ];
    flow("windows", base, "kinds", steps)
}

fn frames(base: &str) -> Flow {
    let frame = |choice| step(StepKind::SelectFrame(choice));
    let steps = vec![
        frame(FrameChoice::Element(css("#frame"))),
        typing("#name", "inside", true),
        equals(Subject::Value(css("#name")), "inside"),
        equals(Subject::Title, "Kinds"),
        frame(FrameChoice::Parent),
        equals(Subject::Value(css("#name")), "old"),
        frame(FrameChoice::Index("0".into())),
        equals(Subject::Value(css("#name")), "inside"),
        frame(FrameChoice::Top),
        equals(Subject::Value(css("#name")), "old"),
        frame(FrameChoice::Index("0".into())),
        step(StepKind::Navigate { url: "/list".into() }),
        says("#first", "one"),
    ];
    flow("frames", base, "kinds", steps)
}

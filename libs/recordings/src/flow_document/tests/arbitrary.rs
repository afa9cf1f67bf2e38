//! Any flow that can be: every kind of step, texts that YAML likes to take for something else, blocks that are closed.

use gauntlet_core::flow::*;
use proptest::{collection::vec, option, prelude::*};
use std::{collections::BTreeMap, time::Duration};

fn key() -> impl Strategy<Value = KeyName> {
    let names = KeyName::known().chain(["a", "1", "é", "~", "\n"]).collect::<Vec<_>>();
    proptest::sample::select(names).prop_map(|name| KeyName::new(name).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    let tricky = [
        "",
        " ",
        "no",
        "1",
        "-",
        "- a",
        "a: b",
        "a #b",
        "~",
        "null",
        "0x1f",
        "1_000",
        "'",
        "\"",
        "\\",
        "|",
        ">",
        "&a",
        "*a",
        "!t",
        "%",
        "@",
        "`",
        "{}",
        "[]",
        "a\nb",
        "a\n\nb\n",
        " a\nb",
        "a \nb",
        "\n",
        "a\n\n",
        "\t",
        "\u{a0}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "🦀",
        "---",
        "...",
        "? a",
        "2026-11-21",
        "12:30:00",
        "=",
        "<<",
        "y",
        "css/a",
        "main",
        "a\r\nb",
        "\u{7f}",
        "${x}",
        "text/a",
    ];
    prop_oneof![
        3 => "[a-zA-Z /.#-]{1,12}",
        2 => proptest::sample::select(tricky.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn said() -> impl Strategy<Value = String> {
    text().prop_filter("says something", |text| !text.trim().is_empty())
}

fn quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        any::<i32>().prop_map(|number| Quantity::Number(f64::from(number))),
        (-1e9..1e9f64).prop_map(Quantity::Number),
        "[a-z]{1,5}".prop_map(|name| Quantity::Text(format!("${{{name}}}"))),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..60_000u64).prop_map(Duration::from_millis),
        (0..60_000_000_000u64).prop_map(Duration::from_nanos)
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    prop_oneof![
        said().prop_map(Selector::Css),
        said().prop_map(Selector::Text),
        said().prop_map(Selector::XPath),
        said().prop_map(Selector::Pierce),
        said().prop_map(Selector::LinkText),
        said().prop_map(Selector::PartialLinkText),
        (said(), text()).prop_map(|(css, text)| Selector::HasText { css, text }),
        (said(), option::of(said()))
            .prop_map(|(name, role)| Selector::Aria { name: Some(name), role }),
        said().prop_map(|role| Selector::Aria { name: None, role: Some(role) }),
    ]
}

fn selectors() -> impl Strategy<Value = Selectors> {
    let chain =
        (vec(selector(), 1..3), any::<bool>()).prop_map(|(parts, unique)| Chain { parts, unique });
    vec(chain, 1..4).prop_map(Selectors)
}

fn point() -> impl Strategy<Value = Point> {
    let origin = prop_oneof![Just(Origin::Center), Just(Origin::TopLeft)];
    (origin, quantity(), quantity()).prop_map(|(origin, x, y)| Point { origin, x, y })
}

fn modifiers() -> impl Strategy<Value = Vec<Modifier>> {
    let all = vec![Modifier::Alt, Modifier::Control, Modifier::Meta, Modifier::Shift];
    proptest::sample::subsequence(all, 0..=4)
}

fn click() -> impl Strategy<Value = Click> {
    let button = proptest::sample::select(vec![
        Button::Primary,
        Button::Auxiliary,
        Button::Secondary,
        Button::Back,
        Button::Forward,
    ]);
    (selectors(), point(), button, modifiers(), option::of(duration()), any::<bool>()).prop_map(
        |(selectors, point, button, modifiers, duration, opaque)| Click {
            selectors,
            point,
            button,
            modifiers,
            duration,
            opaque,
        },
    )
}

fn check() -> impl Strategy<Value = Check> {
    let comparison = prop_oneof![
        text().prop_map(Comparison::Equals),
        text().prop_map(Comparison::EqualsTrimmed),
        text().prop_map(Comparison::Contains),
    ];
    let textual = prop_oneof![
        selectors().prop_map(Subject::Text),
        selectors().prop_map(Subject::Value),
        selectors().prop_map(Subject::SelectedLabel),
        (selectors(), text()).prop_map(|(selectors, name)| Subject::Attribute { selectors, name }),
        Just(Subject::Title),
        Just(Subject::Url),
        proptest::sample::select(vec![DialogKind::Alert, DialogKind::Confirm, DialogKind::Prompt])
            .prop_map(Subject::Dialog),
        text().prop_map(Subject::Variable),
        text().prop_map(Subject::Expression),
    ];
    let truth = prop_oneof![
        selectors().prop_map(Subject::Checked),
        selectors().prop_map(Subject::Editable),
        selectors().prop_map(Subject::Present),
        selectors().prop_map(Subject::Visible),
        text().prop_map(Subject::Expression),
    ];
    let claim =
        prop_oneof![(textual, comparison), truth.prop_map(|truth| (truth, Comparison::Holds))];
    (claim, any::<bool>(), any::<bool>()).prop_map(|((subject, comparison), negated, wait)| Check {
        subject,
        comparison,
        negated,
        wait,
    })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        text().prop_map(Source::Text),
        text().prop_map(Source::Json),
        selectors().prop_map(Source::ElementText),
        selectors().prop_map(Source::ElementValue),
        (selectors(), text()).prop_map(|(selectors, name)| Source::Attribute { selectors, name }),
        selectors().prop_map(Source::Count),
        Just(Source::Title),
        Just(Source::Url),
        Just(Source::Window),
    ]
}

fn select() -> impl Strategy<Value = SelectOption> {
    let by = prop_oneof![
        text().prop_map(OptionBy::Label),
        text().prop_map(OptionBy::MostlyLabel),
        text().prop_map(OptionBy::Value),
        text().prop_map(OptionBy::Id),
        text().prop_map(OptionBy::NthChild),
    ];
    let mode = proptest::sample::select(vec![
        SelectMode::Set,
        SelectMode::Click,
        SelectMode::Add,
        SelectMode::Remove,
    ]);
    (selectors(), mode, vec(by, 1..3)).prop_map(|(selectors, mode, option)| SelectOption {
        selectors,
        mode,
        option,
    })
}

fn waiting() -> impl Strategy<Value = WaitForElement> {
    let operator =
        proptest::sample::select(vec![Operator::AtLeast, Operator::Exactly, Operator::AtMost]);
    let attributes = proptest::collection::btree_map(text(), text(), 0..3);
    (selectors(), operator, any::<u32>(), option::of(any::<bool>()), attributes, option::of(text()))
        .prop_map(|(selectors, operator, count, visible, attributes, properties)| WaitForElement {
            selectors,
            operator,
            count,
            visible,
            attributes: attributes.into_iter().collect(),
            properties,
        })
}

fn viewport() -> impl Strategy<Value = Viewport> {
    (any::<u32>(), any::<u32>(), 0.1..9.0f64, any::<[bool; 3]>()).prop_map(
        |(width, height, device_scale_factor, [is_mobile, has_touch, is_landscape])| Viewport {
            width,
            height,
            device_scale_factor,
            is_mobile,
            has_touch,
            is_landscape,
        },
    )
}

fn page_kind() -> impl Strategy<Value = StepKind> {
    let action = proptest::sample::select(vec![
        PointerAction::Move,
        PointerAction::Down,
        PointerAction::Up,
        PointerAction::Out,
    ]);
    prop_oneof![
        text().prop_map(|url| StepKind::Navigate { url }),
        viewport().prop_map(StepKind::SetViewport),
        click().prop_map(StepKind::Click),
        click().prop_map(StepKind::DoubleClick),
        selectors().prop_map(|selectors| StepKind::Hover { selectors }),
        key().prop_map(|key| StepKind::KeyDown { key }),
        key().prop_map(|key| StepKind::KeyUp { key }),
        (
            option::of(selectors()),
            option::of(-1e6..1e6f64),
            option::of(any::<i16>().prop_map(f64::from))
        )
            .prop_map(|(selectors, x, y)| StepKind::Scroll { selectors, x, y }),
        Just(StepKind::Close),
        (0.0..1e9f64, 0.0..1e9f64, 0.0..1e4f64).prop_map(|(download, upload, latency_ms)| {
            StepKind::EmulateNetworkConditions { download, upload, latency_ms }
        }),
        (quantity(), quantity())
            .prop_map(|(width, height)| StepKind::ResizeWindow { width, height }),
        (action, selectors(), point()).prop_map(|(action, selectors, point)| {
            StepKind::Pointer(Pointer { action, selectors, point })
        }),
        (selectors(), selectors())
            .prop_map(|(selectors, onto)| StepKind::DragTo { selectors, onto }),
        (option::of(selectors()), key(), modifiers()).prop_map(|(selectors, key, modifiers)| {
            StepKind::Press { selectors, key, modifiers }
        }),
        text().prop_map(|handle| StepKind::SelectWindow { handle }),
        prop_oneof![
            Just(FrameChoice::Top),
            Just(FrameChoice::Parent),
            text().prop_map(FrameChoice::Index),
            selectors().prop_map(FrameChoice::Element),
        ]
        .prop_map(StepKind::SelectFrame),
    ]
}

fn other_kind() -> impl Strategy<Value = StepKind> {
    let action = prop_oneof![
        Just(DialogAction::Accept),
        Just(DialogAction::Dismiss),
        text().prop_map(DialogAction::Answer),
    ];
    let time = proptest::sample::select(vec![DialogTime::Now, DialogTime::Next]);
    let kind = proptest::sample::select(vec![ScriptKind::Body, ScriptKind::Promise]);
    prop_oneof![
        (selectors(), text()).prop_map(|(selectors, value)| StepKind::Change { selectors, value }),
        (selectors(), text(), any::<bool>(), any::<bool>(), option::of(duration())).prop_map(
            |(selectors, text, clear, keys, delay)| StepKind::Type(Type {
                selectors,
                text,
                clear,
                keys,
                delay
            })
        ),
        (selectors(), any::<bool>())
            .prop_map(|(selectors, checked)| StepKind::SetChecked { selectors, checked }),
        select().prop_map(StepKind::SelectOption),
        (selectors(), text())
            .prop_map(|(selectors, text)| StepKind::SetContent { selectors, text }),
        selectors().prop_map(|selectors| StepKind::Submit { selectors }),
        waiting().prop_map(StepKind::WaitForElement),
        text().prop_map(|expression| StepKind::WaitForExpression { expression }),
        text().prop_map(|name| StepKind::Custom { name }),
        check().prop_map(StepKind::Check),
        (action, time).prop_map(|(action, time)| StepKind::Dialog { action, time }),
        (text(), kind, option::of(text()))
            .prop_map(|(code, kind, store)| StepKind::Script(Script { code, kind, store })),
        (text(), source()).prop_map(|(variable, source)| StepKind::Store { variable, source }),
        quantity().prop_map(|milliseconds| StepKind::Pause { milliseconds }),
        text().prop_map(|text| StepKind::Echo { text }),
    ]
}

fn step(kind: impl Strategy<Value = StepKind>) -> impl Strategy<Value = Step> {
    let target = prop_oneof![
        3 => Just(Target::Main),
        1 => Just(Target::Current),
        1 => text().prop_map(Target::Url),
    ];
    let navigation = (option::of(text()), option::of(text()), any::<bool>())
        .prop_map(|(url, title, recorded)| AssertedNavigation { url, title, recorded });
    let window = (option::of(text()), duration())
        .prop_map(|(variable, timeout)| OpensWindow { variable, timeout });
    let said = (option::of(quantity()), duration(), option::of(text()), any::<[bool; 3]>());
    (kind, target, vec(any::<u16>(), 0..3), option::of(navigation), option::of(window), said)
        .prop_map(
            |(
                kind,
                target,
                frame,
                navigation,
                opens_window,
                (timeout, recorded_pause, label, [soft, optional, sensitive]),
            )| Step {
                kind,
                timeout,
                recorded_pause,
                target,
                frame,
                navigation,
                label,
                soft,
                optional,
                sensitive,
                opens_window,
            },
        )
}

/// A few steps, or a block with its markers around it.
fn block() -> impl Strategy<Value = Vec<Step>> {
    let steps = || vec(step(prop_oneof![page_kind(), other_kind()]), 1..4);
    let marker = |control: Control| Step::new(StepKind::Control(control));
    let around = move |begin: Control, body: Vec<Step>, end: Control| {
        let mut all = vec![marker(begin)];
        all.extend(body);
        all.push(marker(end));
        all
    };
    prop_oneof![
        4 => steps(),
        1 => (text(), text(), steps(), steps()).prop_map(move |(condition, other, body, rest)| {
            let mut all = around(Control::If { condition }, body, Control::ElseIf { condition: other });
            all.push(marker(Control::Else));
            all.extend(rest);
            all.push(marker(Control::End));
            all
        }),
        1 => (text(), any::<u32>(), steps()).prop_map(move |(condition, limit, body)| {
            around(Control::While { condition, limit }, body, Control::End)
        }),
        1 => (quantity(), any::<u32>(), steps()).prop_map(move |(count, limit, body)| {
            around(Control::Times { count, limit }, body, Control::End)
        }),
        1 => (text(), text(), steps()).prop_map(move |(array, item, body)| {
            around(Control::ForEach { array, item }, body, Control::End)
        }),
        1 => (text(), any::<u32>(), steps()).prop_map(move |(condition, limit, body)| {
            around(Control::Do, body, Control::RepeatIf { condition, limit })
        }),
    ]
}

fn variable() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(|number| Value::Number(f64::from(number))),
        (-1e300..1e300f64).prop_map(Value::Number),
        text().prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map(text(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

/// Any flow.
pub(super) fn flow() -> impl Strategy<Value = Flow> {
    let variables = proptest::collection::btree_map(text(), variable(), 0..4);
    let secrets = proptest::collection::btree_set(text(), 0..3);
    (text(), (duration(), duration()), option::of(text()), variables, secrets, vec(block(), 1..4))
        .prop_map(|(title, (timeout, delay), base_url, variables, secrets, blocks)| Flow {
            timeout,
            delay,
            base_url,
            variables: variables as BTreeMap<_, _>,
            secrets,
            ..Flow::new(title, blocks.concat())
        })
}

//! Replacing, arguments, secrets.

use super::*;
use crate::flow::{Chain, Click, Point, Selector, Selectors};
use proptest::prelude::*;

fn scope(pairs: &[(&str, Value)]) -> Scope {
    let mut flow = Flow::new("t", Vec::new());
    flow.variables =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Scope::new(&flow)
}

#[test]
fn a_value_is_not_expanded_again_and_an_unknown_name_stays() {
    let scope = scope(&[("A", "${B}".into()), ("B", "no".into())]);
    assert_eq!(scope.fill("1${A}2${C}3${A"), "1${B}2${C}3${A");
    assert_eq!(scope.fill("${KEY_ENTER}${nbsp}${env:B}"), "${KEY_ENTER}\u{a0}no");
    assert_eq!(scope.fill("${x${B}}"), "${xno}");
}

#[test]
fn values_are_written_as_javascript_writes_them() {
    let list = Value::List(vec![1.0.into(), Value::Null, "a".into(), Value::Bool(true)]);
    let scope = scope(&[
        ("list", list),
        ("half", 0.5.into()),
        ("whole", 3.0.into()),
        ("map", Value::Map(BTreeMap::new())),
    ]);
    assert_eq!(scope.fill("${list} ${half} ${whole} ${map}"), "1,,a,true 0.5 3 [object Object]");
}

#[test]
fn code_gets_arguments_and_never_text() {
    let scope = scope(&[("a", "'); alert(1); ('".into()), ("b", 2.0.into())]);
    let code = scope.code("f(${b}, ${a}, ${b}, ${c}, `${c}`)");
    assert_eq!(code.code, "f(arguments[0], arguments[1], arguments[0], ${c}, `${c}`)");
    assert_eq!(code.arguments, [2.0.into(), "'); alert(1); ('".into()]);
    for (code, wanted) in [
        ("'a ${a}'.length", "('a '+String(arguments[0])+'').length"),
        (r#""\"${a}" + '${no}'"#, r#"("\""+String(arguments[0])+"") + '${no}'"#),
        ("`x ${a} ${b + 1}`", "`x ${arguments[0]} ${b + 1}`"),
        ("// don't\n${a}", "// don't\narguments[0]"),
        ("/* don't */ ${a}", "/* don't */ arguments[0]"),
        ("x = 'open\n${a}", "x = 'open\narguments[0]"),
        ("'\\'${a}", "'\\''+String(arguments[0])+'"),
    ] {
        assert_eq!(scope.code(code).code, wanted, "{code}");
    }
}

#[test]
fn a_step_is_resolved_in_selectors_numbers_and_urls_but_not_in_code() {
    let mut flow = Flow::new("t", Vec::new());
    flow.base_url = Some("http://x/app/index.html".into());
    flow.variables.insert("n".into(), "7".into());
    let scope = Scope::new(&flow);
    let point = Point { y: Quantity::Text(" ${n} ".into()), ..Point::from_top_left(1.0, 0.0) };
    let selectors: Selectors = Selector::Css("#a${n}".into()).into();
    let click = Click {
        selectors,
        point,
        button: crate::flow::Button::Primary,
        modifiers: Vec::new(),
        duration: None,
        opaque: false,
    };
    let step = scope.resolve(&Step::new(StepKind::Click(click))).expect("numbers");
    let StepKind::Click(click) = &step.kind else { panic!("still a click") };
    assert_eq!(click.point.y.number(), Some(7.0));
    assert_eq!(click.selectors.0, [Chain::of(Selector::Css("#a7".into()))]);
    for (url, wanted) in [
        ("/a?${n}", "http://x/a?7"),
        ("b", "http://x/app/b"),
        ("?q", "http://x/app/index.html?q"),
        ("//y/z", "http://y/z"),
        ("about:blank", "about:blank"),
        ("", "http://x/app/index.html"),
    ] {
        let step =
            scope.resolve(&Step::new(StepKind::Navigate { url: url.into() })).expect("no number");
        assert_eq!(step.kind, StepKind::Navigate { url: wanted.into() });
    }
    let pause = Step::new(StepKind::Pause { milliseconds: Quantity::Text("${no}".into()) });
    assert_eq!(scope.resolve(&pause), Err(NotANumber { text: "${no}".into() }));
}

proptest! {
    #[test]
    fn no_value_ever_becomes_code(code in "[a'\"`/*\\\\${}\n ]{0,40}", value in "[a-z]{6,9}") {
        let scope = scope(&[("a", Value::Text(value.clone()))]);
        let made = scope.code(&format!("{code}${{a}}{code}"));
        prop_assert!(!made.code.contains(&value), "{}", made.code);
    }
}

#[test]
fn secrets_are_redacted_wherever_they_came_from() {
    let mut scope = scope(&[("open", "shop".into())]);
    scope.set("short", "pass".into(), true);
    scope.set("long", "password".into(), true);
    scope.set("empty", "".into(), true);
    assert_eq!(scope.redact("shop: password, pass"), "shop: •••, •••");
    assert!(!format!("{scope:?}").contains("password"));
}

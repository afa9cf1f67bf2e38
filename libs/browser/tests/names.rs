//! What is found by an accessible name: in every browser what Chromium finds (G3).

use gauntlet_browser::{BrowserKind, BrowserSlot, TestResult};
use gauntlet_core::flow::{
    Chain, Comparison, Selector, Selectors, Source, Step, StepKind, Subject,
};

use crate::{
    flows::{check, flow, script, step},
    site,
    support::{config_of, run},
};

/// A name, and the only element that it stands for.
const NAMES: &[(&str, &str)] = &[
    ("Mail", "mail"),
    ("Wrapped", "wrapped"),
    ("Spanned", "spanned"),
    ("Chosen", "chosen"),
    ("Option", "option"),
    ("Area", "area"),
    ("Box", "box"),
    ("Said", "said"),
    ("Acts", "acts"),
    ("Legend", "set"),
    ("Caption", "table"),
    ("Head", "head"),
    ("Cell", "cell"),
    ("Only", "only"),
    ("Heading", "heading"),
    ("Link", "link"),
    ("Button", "button"),
    ("Hint", "hinted"),
    ("Tip", "titled"),
    ("Focusable", "focusable"),
    ("Told", "told"),
    ("Listed", "listed"),
    ("Summary", "summary"),
];
/// Texts that are nobody's name.
const TEXTS: &[&str] = &[
    "Alone",
    "Paragraph",
    "Division",
    "Span",
    "Item",
    "Entry",
    "Definition",
    "Anchor",
    "Titled",
    "Icon",
];

/// What `WebKit`'s driver tells no name or no role of.
const WEBKIT_HAS_NO_NAME: &[&str] =
    &["Option", "Said", "Head", "Cell", "Only", "Focusable", "Told", "Listed", "Summary"];

fn aria(name: &str) -> Selector {
    Selector::Aria { name: Some(name.into()), role: None }
}

/// Looks how many elements have a name, and which is the first of them; what is wrong is told, and the test goes on.
fn finds(name: &str, id: Option<&str>) -> Vec<Step> {
    let soft = |kind| Step { soft: true, label: Some(name.to_owned()), ..step(kind) };
    let claim = |subject, text: &str| soft(check(subject, Comparison::Equals(text.into())).kind);
    let (all, variable) = (Selectors::from(aria(name)), "count".to_owned());
    let count =
        soft(StepKind::Store { variable: variable.clone(), source: Source::Count(all.clone()) });
    let mut steps = vec![count, claim(Subject::Variable(variable), &id.iter().len().to_string())];
    steps.extend(id.map(|id| claim(Subject::Attribute { selectors: all, name: "id".into() }, id)));
    steps
}

async fn finds_alike(kind: BrowserKind, unnamed: &[&str]) {
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config_of(kind, &format!("names-{kind:?}")));
    let told = NAMES.iter().filter(|(name, _)| !unnamed.contains(name));
    let named = told.flat_map(|(name, id)| finds(name, Some(id)));
    let steps = named.chain(TEXTS.iter().flat_map(|text| finds(text, None))).collect();
    let test = flow("names", &base, "names", steps);
    let outcome = run(&mut slot, &test).await;
    let failed = outcome.steps.iter().filter_map(|step| step.failure.as_ref());
    let wrong: Vec<_> = failed
        .map(|failure| format!("{:?}: {:?}", test.steps[failure.step_index].label, failure.found))
        .collect();
    assert!(outcome.result.is_passed(), "{kind:?}: {wrong:#?}");
}

#[tokio::test]
async fn g3_chromium_finds_a_named_element_and_not_what_names_it() {
    finds_alike(BrowserKind::HeadlessShell, &[]).await;
}

#[tokio::test]
async fn g3_firefox_finds_a_named_element_and_not_what_names_it() {
    finds_alike(BrowserKind::Firefox, &[]).await;
}

#[tokio::test]
async fn g3_webkit_finds_a_named_element_and_not_what_names_it() {
    finds_alike(BrowserKind::WebKit, WEBKIT_HAS_NO_NAME).await;
}

#[tokio::test]
async fn g3_a_field_is_changed_by_its_labels_text_in_a_shadow_tree_too() {
    let base = site::start().await;
    let inner = Chain { parts: vec![Selector::Css("#host".into()), aria("Inner")], unique: false };
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox, BrowserKind::WebKit] {
        let mut slot = BrowserSlot::new(config_of(kind, &format!("labels-{kind:?}")));
        let change =
            |selectors, value: &str| step(StepKind::Change { selectors, value: value.to_owned() });
        let read = "return document.querySelector('#mail').value + host.shadowRoot.querySelector('input').value";
        let steps = vec![
            change(aria("Mail").into(), "a"),
            change(Selectors(vec![inner.clone()]), "b"),
            script(read, Some("typed")),
            check(Subject::Variable("typed".into()), Comparison::Equals("ab".into())),
        ];
        let outcome = run(&mut slot, &flow("labels", &base, "names", steps)).await;
        assert_eq!(outcome.result, TestResult::Passed, "{kind:?}");
    }
}

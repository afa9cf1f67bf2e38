//! Damaged files: no parser ever panics, and whatever is accepted can be stored and read back as the same flow.

use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value, json};

use super::*;

/// A good file of each format, with as much of it in use as fits.
fn good() -> Vec<Value> {
    let selector = json!({"id": "a", "css": "form.x > input.b:has-text('c')", "text": "T", "position": {"parent": "p", "index": 0}, "priority": ["id"]});
    let recorder = json!({"title": "t", "timeout": 3, "steps": [
        {"type": "navigate", "url": "http://x/", "assertedEvents": [{"type": "navigation", "url": "", "title": "t"}]},
        {"type": "setViewport", "width": 1, "height": 2, "deviceScaleFactor": 1, "isMobile": false, "hasTouch": true, "isLandscape": false},
        {"type": "click", "selectors": [["#a", "aria/N[role=\"button\"]"], "text/x", "xpath///a", "pierce/b"], "offsetX": 1, "offsetY": 2.5, "button": "back", "frame": [0]},
        {"type": "change", "selectors": ["#a"], "value": "v", "target": "http://x/p", "timeout": 9},
        {"type": "waitForElement", "selectors": ["#a"], "count": 2, "operator": "==", "attributes": {"a": "b"}, "properties": {"x": {"y": 1}}},
        {"type": "scroll", "x": 1}, {"type": "keyDown", "key": "a"}, {"type": "customStep", "name": "n"}]});
    let command = |name: &str, target: &str, value: &str| {
        json!({"id": "c", "comment": "why", "command": name, "target": target, "value": value,
               "targets": [["css=.a", "css"], ["//b", "xpath"]], "opensWindow": true, "windowHandleName": "w", "windowTimeout": 5})
    };
    let commands: Vec<Value> = [
        ("open", "/${a}", ""),
        ("setWindowSize", "1x2", ""),
        ("clickAt", "id=a", "1,${b}"),
        ("type", "name=password", "${KEY_TAB}"),
        ("select", "link=a", "index=1"),
        ("selectFrame", "index=..\\0", ""),
        ("run", "u", ""),
        ("times", "${n}", "3"),
        ("storeAttribute", "css=a@b", "c"),
        ("end", "", ""),
        ("verifyNotText", "id=a", "b\\n"),
        ("waitForElementVisible", "id=a", "9"),
        ("executeAsyncScript", "f(${a})", "r"),
        ("answerPrompt", "x", ""),
        ("pause", "1", ""),
        ("//echo", "", ""),
    ]
    .map(|(name, target, value)| command(name, target, value))
    .to_vec();
    let side = json!({"id": "p", "version": "3.0", "name": "n", "url": "http://x", "delay": 3, "plugins": [], "urls": [],
        "suites": [{"id": "s", "name": "S", "persistSession": true, "parallel": false, "timeout": 300, "tests": ["1", "2"]}],
        "tests": [{"id": "1", "name": "t", "commands": commands}, {"id": "2", "name": "u", "commands": [command("click", "id=a", "")]}]});
    let action = |number: u32, kind: &str, more: Value| {
        let mut action = json!({"id": format!("act_{number}"), "type": kind, "timestamp": number * 400, "url": "http://x/", "selector": selector, "tagName": "input",
            "selectors": [{"strategy": "css-semantic", "value": ".a:has-text(\"b\") > c", "priority": 1, "confidence": 80}],
            "contentSignature": {"listContainer": {"itemSelector": "li"}, "contentFingerprint": {"heading": "h"}}});
        action
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        action
    };
    let saveaction = json!({"data": {"version": "1.0.0", "testName": "t", "url": "http://x/", "viewport": {"width": 1, "height": 2},
        "variables": [{"name": "P", "fieldType": "password"}], "actions": [
            action(1, "click", json!({"coordinates": {"x": 1, "y": 2}, "coordinatesRelativeTo": "element", "modifiers": ["ctrl"], "frameSelector": "iframe"})),
            action(2, "input", json!({"value": "v", "inputType": "text", "isSensitive": true, "variableName": "P", "typingDelay": 3})),
            action(3, "select", json!({"selectedValue": "v", "selectedText": "t", "selectedIndex": 1, "isMultiple": true, "selectedOptions": ["a", {"value": "b"}]})),
            action(4, "navigation", json!({"to": "http://x/y/123", "navigationTrigger": "back"})),
            action(5, "scroll", json!({"scrollX": 1, "scrollY": 2, "element": {"css": "a"}})),
            action(6, "keypress", json!({"key": "Enter", "modifiers": ["alt"]})),
            action(7, "submit", json!({})),
            action(8, "checkpoint", json!({"checkType": "containsText", "expectedValue": "x"})),
            action(9, "modal-lifecycle", json!({"event": "modal-closed", "modalElement": {"id": "m"}}))]}});
    let own = json!({"gauntlet": 1, "title": "t", "baseUrl": "http://x", "variables": {"a": [1, {"b": null}]}, "secrets": ["a"], "steps": [
        {"forEach": {"array": "a", "item": "b"}}, {"if": "${b}"}, {"click": {"selectors": [{"parts": ["a", {"css": "b", "hasText": "c"}], "unique": true}], "point": {"x": "${n}"}}},
        "else", {"type": {"selectors": "#a", "text": "b", "delay": 0.5}, "soft": true, "opensWindow": {"variable": "w"}}, "end", "end",
        {"check": {"attribute": {"selectors": "#a", "name": "b"}, "contains": "c", "not": true}, "target": "current", "timeout": "${t}"},
        {"selectOption": {"selectors": "#a", "option": ["x", {"nthChild": "2"}]}}, {"store": {"variable": "v", "window": true}}]});
    vec![recorder, side, saveaction, own]
}

/// Something else in place of what was there.
fn other() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::sample::select(vec![0.5, -1.0, 1e300, 4_294_967_296.0, 65_536.0])
            .prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        proptest::sample::select(vec![
            "",
            " ",
            "${a}",
            "//",
            "=",
            "id=",
            "css/",
            "aria/[",
            "index=9999999",
            "\u{0}",
            "form",
            ":has-text('"
        ])
        .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[], {}, null, "x", 1])),
    ]
}

/// What to do to one place of a file.
#[derive(Debug, Clone)]
enum Damage {
    Replace(Value),
    Remove,
    Double,
}

fn damage() -> impl Strategy<Value = (Index, Damage)> {
    let damage = prop_oneof![3 => other().prop_map(Damage::Replace), 1 => Just(Damage::Remove), 1 => Just(Damage::Double)];
    (any::<Index>(), damage)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Damages the place that is reached after `left` others.
fn apply(value: &mut Value, left: &mut usize, damage: &Damage) {
    if *left == 0 {
        if let Damage::Replace(other) = damage {
            *value = other.clone();
        }
        *left = usize::MAX;
        return;
    }
    *left -= 1;
    let here = |left: usize| left == 0 && !matches!(damage, Damage::Replace(_));
    match value {
        Value::Array(items) => {
            for at in 0..items.len() {
                if here(*left) {
                    match damage {
                        Damage::Double => items.insert(at, items[at].clone()),
                        _ => drop(items.remove(at)),
                    }
                    *left = usize::MAX;
                    return;
                }
                apply(&mut items[at], left, damage);
                if *left == usize::MAX {
                    return;
                }
            }
        }
        Value::Object(map) => {
            for name in map.keys().cloned().collect::<Vec<_>>() {
                if here(*left) {
                    let taken = map.remove(&name).unwrap_or_default();
                    if matches!(damage, Damage::Double) {
                        map.insert(format!("{name}{name}"), taken);
                    }
                    *left = usize::MAX;
                    return;
                }
                if let Some(inner) = map.get_mut(&name) {
                    apply(inner, left, damage);
                }
                if *left == usize::MAX {
                    return;
                }
            }
        }
        _ => {}
    }
}

/// Imports; what is accepted must come back from what is stored.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(flows) = import(bytes, "f") else { return Ok(()) };
    for flow in flows {
        let stored = parse(to_json(&flow).as_bytes(), "stored");
        prop_assert_eq!(
            stored.map_err(|errors| TestCaseError::fail(errors.to_string()))?,
            flow.clone()
        );
        let written = parse(to_yaml(&flow).as_bytes(), "written");
        prop_assert_eq!(written.map_err(|errors| TestCaseError::fail(errors.to_string()))?, flow);
    }
    Ok(())
}

#[test]
fn the_good_files_are_good() {
    for file in good() {
        let flows =
            import(file.to_string().as_bytes(), "f").unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!flows.is_empty());
        assert!(check(file.to_string().as_bytes()).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_files_are_refused_or_become_flows_that_can_be_stored(
        which in 0usize..4, damages in proptest::collection::vec(damage(), 1..4)
    ) {
        let mut file = good().swap_remove(which);
        for (place, damage) in &damages {
            let mut left = place.index(count(&file));
            apply(&mut file, &mut left, damage);
        }
        check(file.to_string().as_bytes())?;
    }

    #[test]
    fn cut_and_spoilt_bytes_never_make_a_parser_panic(
        which in 0usize..4, yaml in any::<bool>(), at in any::<Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let file = good().swap_remove(which).to_string();
        let flows = import(file.as_bytes(), "f").expect("good");
        let mut bytes = if yaml { to_yaml(&flows[0]).into_bytes() } else { file.into_bytes() };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        check(&bytes)?;
    }

    #[test]
    fn any_json_in_a_known_frame_never_makes_a_parser_panic(value in other(), name in ".{0,12}", which in 0usize..4) {
        let list = json!([value, {name.clone(): value}, [value]]);
        let frames = [
            json!({"title": name, "steps": list}),
            json!({"suites": list, "urls": [], "tests": list}),
            json!({"testName": name, "version": "1.0.0", "actions": list}),
            json!({"gauntlet": 1, "title": name, "steps": list}),
        ];
        check(Value::Object(frames[which].as_object().cloned().unwrap_or_else(Map::new)).to_string().as_bytes())?;
    }
}

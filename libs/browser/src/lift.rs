//! Elements deep inside the arguments of a script, for a driver that only recognises those at the top (`WebKitWebDriver`).
//!
//! Each is lifted to an argument of its own, and put back in its place before the script sees its arguments.

use serde_json::{Value, json};

use crate::locate::ELEMENT;

/// What stands in an element's place until it is put back.
const MARK: &str = "gauntlet-lifted";

/// Returns script and arguments with which any driver runs `script` as it was meant.
pub(crate) fn lift(body: Value) -> Value {
    let Some(args) = body["args"].as_array() else { return body };
    let mut lifted = Vec::new();
    let mut args: Vec<_> = args.iter().map(|arg| top(arg, &mut lifted)).collect();
    if lifted.is_empty() {
        return body;
    }
    let count = args.len();
    args.append(&mut lifted);
    let script = body["script"].as_str().unwrap_or_default();
    let script = format!(
        "return (function () {{ {script}\n}}).apply(this, (() => {{
const given = [...arguments], lifted = given.splice({count}, {lifted});
const put = (value) => {{
  if (Array.isArray(value)) return value.map(put);
  if (!value || typeof value !== 'object' || value instanceof Node) return value;
  if ('{MARK}' in value) return lifted[value['{MARK}']];
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, put(each)]));
}};
return given.map(put);
}})());",
        lifted = args.len() - count
    );
    json!({ "script": script, "args": args })
}

fn top(arg: &Value, lifted: &mut Vec<Value>) -> Value {
    if arg.get(ELEMENT).is_some() { arg.clone() } else { below(arg, lifted) }
}

fn below(value: &Value, lifted: &mut Vec<Value>) -> Value {
    match value {
        Value::Array(all) => all.iter().map(|each| below(each, lifted)).collect(),
        Value::Object(_) if value.get(ELEMENT).is_some() => {
            lifted.push(value.clone());
            json!({ MARK: lifted.len() - 1 })
        }
        Value::Object(all) => Value::Object(
            all.iter().map(|(key, each)| (key.clone(), below(each, lifted))).collect(),
        ),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_elements_that_are_not_at_the_top_are_lifted() {
        let element = |id: &str| json!({ ELEMENT: id });
        let flat = json!({ "script": "s", "args": [element("a"), [1], { "b": null }] });
        assert_eq!(lift(flat.clone()), flat);
        let deep = lift(
            json!({ "script": "s", "args": [element("a"), [{ "b": [element("c")] }], element("d"), [element("e")]] }),
        );
        let mark = |at: usize| json!({ MARK: at });
        assert_eq!(
            deep["args"],
            json!([element("a"), [{ "b": [mark(0)] }], element("d"), [mark(1)], element("c"), element("e")])
        );
        assert!(deep["script"].as_str().is_some_and(|script| script.contains("splice(4, 2)")));
    }
}

//! Scripts that look at a page, without the driver: it would send each with its arguments inside, so that the page reads all of it
//! anew every time.
//!
//! They run where the driver's run, among the page's own scripts. Elements have the driver's names on both ways.

use fantoccini::error::ErrorStatus;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::time::Duration;

use super::DevTools;
use crate::{
    error::{DriverError, cut},
    locate::ELEMENT,
};

const CALL: &str = "Runtime.callFunctionOn";

/// Calls a script as the driver would: a body that has its arguments as `arguments`.
fn function(script: &str) -> String {
    format!(
        "function (given, ...nodes) {{
const revive = (it) => {{
  if (Array.isArray(it)) return it.map(revive);
  if (!it || typeof it !== 'object') return it;
  if ('{ELEMENT}' in it) return nodes[it['{ELEMENT}']];
  return Object.fromEntries(Object.entries(it).map(([key, value]) => [key, revive(value)]));
}};
return (function () {{
{script}
}}).apply(null, nodes.length ? revive(given) : given);
}}"
    )
}

impl DevTools {
    /// Returns the document of a page, or of a frame that has a process of its own; others are reached by the driver only.
    pub(crate) fn document_of(&self, context: &str) -> Option<String> {
        let document = self.known().events.context(context)?.current.clone();
        let own = self.known().targets.has_session(context);
        (own && !document.is_empty()).then_some(document)
    }

    /// Calls a script in a document, and waits for the promise that it may return.
    pub(crate) async fn call(
        &self,
        (context, document): (&str, &str),
        script: &str,
        mut given: Value,
        limit: Duration,
    ) -> Result<Value, DriverError> {
        let mut elements = Vec::new();
        number(&mut given, &mut elements);
        let nodes = elements.iter().map(async |id: &String| {
            let node = id.rsplit_once(".e.").and_then(|(_, node)| node.parse::<u64>().ok());
            let order = json!({ "backendNodeId": node });
            let node = self.page(context, "DOM.resolveNode", order, limit).await?;
            Ok::<_, DriverError>(json!({ "objectId": node["object"]["objectId"] }))
        });
        let nodes = try_join_all(nodes).await?;
        let global = self.global_of(context, document, limit).await?;
        let arguments = [vec![json!({ "value": given })], nodes].concat();
        let order = json!({
            "functionDeclaration": function(script), "objectId": global, "awaitPromise": true,
            "arguments": arguments,
            "serializationOptions": {
                "serialization": "deep", "additionalParameters": { "maxNodeDepth": 0 },
            },
        });
        let answer = self.page(context, CALL, order, limit).await.inspect_err(|_| {
            self.known().targets.globals.remove(context);
        })?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            let text = &thrown["exception"]["description"];
            let text = text.as_str().or(thrown["text"].as_str()).unwrap_or_default();
            return Err(DriverError::Remote {
                command: CALL,
                status: Some(ErrorStatus::JavascriptError.description()),
                message: cut(text.lines().next().unwrap_or_default()),
            });
        }
        let name = |node: &Value| name_of(context, document, &node["backendNodeId"]);
        Ok(plain(&answer["result"]["deepSerializedValue"], &name))
    }

    /// Returns the global object of a document, asked for once.
    async fn global_of(
        &self,
        context: &str,
        document: &str,
        limit: Duration,
    ) -> Result<String, DriverError> {
        if let Some((its, global)) = self.known().targets.globals.get(context)
            && its == document
        {
            return Ok(global.clone());
        }
        let order = json!({ "expression": "globalThis" });
        let answer = self.page(context, "Runtime.evaluate", order, limit).await?;
        let global = answer["result"]["objectId"].as_str().unwrap_or_default().to_owned();
        let known = (document.to_owned(), global.clone());
        self.known().targets.globals.insert(context.to_owned(), known);
        Ok(global)
    }
}

/// Returns what the driver calls a node of a document.
pub(crate) fn name_of(context: &str, document: &str, node: &Value) -> String {
    format!("f.{context}.d.{document}.e.{node}")
}

/// Puts numbers in the place of elements, whose names it collects.
fn number(given: &mut Value, elements: &mut Vec<String>) {
    match given {
        Value::Array(all) => all.iter_mut().for_each(|each| number(each, elements)),
        Value::Object(fields) => match fields.get_mut(ELEMENT) {
            Some(element) => {
                let id = element.as_str().unwrap_or_default().to_owned();
                *element = json!(elements.len());
                elements.push(id);
            }
            None => fields.values_mut().for_each(|each| number(each, elements)),
        },
        _ => {}
    }
}

/// Returns a value of the page, with names for its elements.
fn plain(value: &Value, name: &impl Fn(&Value) -> String) -> Value {
    let inner = &value["value"];
    match value["type"].as_str().unwrap_or_default() {
        "string" | "boolean" | "number" => inner.clone(),
        "array" => inner.as_array().into_iter().flatten().map(|each| plain(each, name)).collect(),
        "object" => {
            let fields = inner.as_array().into_iter().flatten();
            let fields = fields
                .filter_map(|field| Some((field[0].as_str()?.to_owned(), plain(&field[1], name))));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        "node" => json!({ ELEMENT: name(inner) }),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_go_as_numbers_and_come_back_with_their_names() {
        let mut given = json!([{ "elements": [{ ELEMENT: "f.A.d.B.e.7" }] }, 1, { ELEMENT: "x" }]);
        let mut elements = Vec::new();
        number(&mut given, &mut elements);
        assert_eq!(elements, ["f.A.d.B.e.7", "x"]);
        assert_eq!(given, json!([{ "elements": [{ ELEMENT: 0 }] }, 1, { ELEMENT: 1 }]));
        let answer = json!({ "type": "object", "value": [
            ["element", { "type": "node", "value": { "backendNodeId": 9 } }],
            ["why", { "type": "array", "value": [{ "type": "null" }, { "type": "string", "value": "a" }] }],
            ["x", { "type": "number", "value": 1.5 }], ["none", { "type": "undefined" }],
        ] });
        let name = |node: &Value| format!("e.{}", node["backendNodeId"]);
        let expected =
            json!({ "element": { ELEMENT: "e.9" }, "why": [null, "a"], "x": 1.5, "none": null });
        assert_eq!(plain(&answer, &name), expected);
    }
}

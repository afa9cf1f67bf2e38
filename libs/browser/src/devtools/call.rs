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
    /// Returns the document of a page or frame, if it has told of one.
    pub(crate) fn document_of(&self, context: &str) -> Option<String> {
        let document = self.known().events.context(context)?.current.clone();
        (!document.is_empty()).then_some(document)
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
            let order = json!({ "backendNodeId": node_of(id) });
            let node = self.page(context, "DOM.resolveNode", order, limit).await?;
            Ok::<_, DriverError>(json!({ "objectId": node["object"]["objectId"] }))
        });
        let nodes = try_join_all(nodes).await?;
        let object = self.object_of((context, document), limit).await?;
        let arguments = [vec![json!({ "value": given })], nodes].concat();
        let order = json!({
            "functionDeclaration": function(script), "objectId": object, "awaitPromise": true,
            "arguments": arguments,
            "serializationOptions": {
                "serialization": "deep", "additionalParameters": { "maxNodeDepth": 0 },
            },
        });
        let answer = self.page(context, CALL, order, limit).await.inspect_err(|_| {
            self.known().targets.documents.remove(context);
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

    /// Returns what a document is called in the browser's own language, asked for once.
    pub(crate) async fn object_of(
        &self,
        (context, document): (&str, &str),
        limit: Duration,
    ) -> Result<String, DriverError> {
        let known = {
            let targets = &self.known().targets;
            let known = targets.documents.get(context).filter(|(its, _)| its == document);
            known.map(|(_, object)| object.clone()).ok_or_else(|| targets.has_session(context))
        };
        let answer = match known {
            Ok(object) => return Ok(object),
            Err(true) => {
                let order = json!({ "expression": "document" });
                self.page(context, "Runtime.evaluate", order, limit).await?["result"].take()
            }
            // A frame in the process of its page.
            Err(false) => {
                let frame = json!({ "frameId": context });
                let owner = self.page(context, "DOM.getFrameOwner", frame, limit).await?;
                let order = json!({ "backendNodeId": owner["backendNodeId"], "pierce": true });
                let owner = self.page(context, "DOM.describeNode", order, limit).await?;
                let node = &owner["node"]["contentDocument"]["backendNodeId"];
                let order = json!({ "backendNodeId": node });
                self.page(context, "DOM.resolveNode", order, limit).await?["object"].take()
            }
        };
        let object = answer["objectId"].as_str().unwrap_or_default().to_owned();
        let known = (document.to_owned(), object.clone());
        self.known().targets.documents.insert(context.to_owned(), known);
        Ok(object)
    }
}

/// Returns what the driver calls a node of a document.
pub(crate) fn name_of(context: &str, document: &str, node: &Value) -> String {
    format!("f.{context}.d.{document}.e.{node}")
}

/// Returns the node of a name.
pub(crate) fn node_of(name: &str) -> Option<u64> {
    name.rsplit_once(".e.").and_then(|(_, node)| node.parse().ok())
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

//! Console and requests of the test that keeps its logs, put as `BiDi` would have told them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::targets::Pretence;
use crate::bidi::Events;

/// Requests on their way that are remembered; pages that start more are not told of the rest.
const OPEN_REQUESTS_MAX: usize = 1_000;

/// What is told of one browser's network and console.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// The user context that is told of.
    told: Option<String>,
    open: HashMap<String, Request>,
}

#[derive(Debug)]
struct Request {
    method: Value,
    url: Value,
    started: Option<f64>,
    status: Value,
}

impl Network {
    /// Has the pages of this user context told of, the ones to come included, and of no other.
    pub(super) fn tell(&mut self, user_context: Option<&str>) {
        self.told = user_context.map(str::to_owned);
        self.open.clear();
    }

    /// Returns what a page of a user context has to be sent for it.
    pub(super) fn orders(&self, user_context: Option<&str>) -> Pretence {
        if self.told.is_none() || self.told.as_deref() != user_context {
            return Vec::new();
        }
        vec![("Network.enable", json!({})), ("Runtime.enable", json!({}))]
    }

    /// Takes one event of a page in.
    pub(super) fn take(
        &mut self,
        events: &mut Events,
        context: &str,
        method: &str,
        params: &Value,
    ) {
        match method {
            "Runtime.consoleAPICalled" => {
                let level = match params["type"].as_str() {
                    Some("error" | "assert") => "error",
                    Some("debug" | "trace") => "debug",
                    Some("warning") => "warn",
                    _ => "info",
                };
                let arguments = params["args"].as_array().map_or(&[][..], Vec::as_slice);
                log(events, context, level, &written(arguments));
            }
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                let what = match &details["exception"] {
                    Value::Null => details["text"].as_str().unwrap_or_default().to_owned(),
                    thrown => shown(thrown),
                };
                log(events, context, "error", &what);
            }
            "Network.requestWillBeSent" => self.sent(events, context, params),
            "Network.responseReceived" => {
                if let Some(request) = self.open.get_mut(id(params)) {
                    request.status = params["response"]["status"].clone();
                }
            }
            "Network.loadingFinished" => self.ended(events, context, params, Value::Null),
            "Network.loadingFailed" => {
                self.ended(events, context, params, params["errorText"].clone());
            }
            _ => {}
        }
    }

    fn sent(&mut self, events: &mut Events, context: &str, params: &Value) {
        if let Some(redirect) = params.get("redirectResponse") {
            if let Some(request) = self.open.get_mut(id(params)) {
                request.status = redirect["status"].clone();
            }
            self.ended(events, context, params, Value::Null);
        }
        if self.open.len() < OPEN_REQUESTS_MAX {
            let request = Request {
                method: params["request"]["method"].clone(),
                url: params["request"]["url"].clone(),
                started: params["timestamp"].as_f64(),
                status: Value::Null,
            };
            self.open.insert(id(params).to_owned(), request);
        }
    }

    fn ended(&mut self, events: &mut Events, context: &str, params: &Value, error: Value) {
        let Some(request) = self.open.remove(id(params)) else { return };
        let milliseconds = |seconds: Option<f64>| seconds.unwrap_or_default() * 1_000.0;
        let name = if error.is_null() { "network.responseCompleted" } else { "network.fetchError" };
        let told = json!({
            "context": context, "response": { "status": request.status }, "errorText": error,
            "request": {
                "method": request.method, "url": request.url,
                "timings": {
                    "requestTime": milliseconds(request.started),
                    "responseEnd": milliseconds(params["timestamp"].as_f64()),
                },
            },
        });
        events.take(name, &told);
    }
}

fn id(params: &Value) -> &str {
    params["requestId"].as_str().unwrap_or_default()
}

fn log(events: &mut Events, context: &str, level: &str, text: &str) {
    let entry = json!({ "source": { "context": context }, "level": level, "text": text });
    events.take("log.entryAdded", &entry);
}

/// Returns what a call of the console writes, by the rules of <https://console.spec.whatwg.org/#formatter>; styles are left out.
fn written(arguments: &[Value]) -> String {
    let mut rest = arguments.iter();
    let mut text = String::new();
    if let Some(format) = arguments.first().and_then(|first| first["value"].as_str()) {
        rest.next();
        let mut parts = format.split('%');
        text.push_str(parts.next().unwrap_or_default());
        let mut literal = false;
        for part in parts {
            let (kind, after) = part.split_at_checked(1).unwrap_or_default();
            let fills = !literal && matches!(kind, "s" | "d" | "i" | "f" | "o" | "O" | "c");
            match fills.then(|| rest.next()).flatten() {
                Some(argument) => {
                    if kind != "c" {
                        text.push_str(&shown(argument));
                    }
                    text.push_str(after);
                }
                None => {
                    // Of "%%" one is left.
                    literal = part.is_empty() && !literal;
                    if !literal {
                        text.push('%');
                    }
                    text.push_str(part);
                }
            }
        }
        if literal {
            text.push('%');
        }
    }
    for argument in rest {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&shown(argument));
    }
    text
}

/// Returns a value of a page as its console shows it.
fn shown(value: &Value) -> String {
    if let Some(text) = value["unserializableValue"].as_str().or(value["value"].as_str()) {
        return text.to_owned();
    }
    if let Some(preview) = value.get("preview").filter(|preview| preview["properties"].is_array()) {
        return previewed(preview);
    }
    match (value["subtype"].as_str(), value["description"].as_str()) {
        (Some("null"), _) => "null".to_owned(),
        (_, Some(description)) => description.to_owned(),
        _ if value.get("value").is_some() => value["value"].to_string(),
        _ => value["type"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Returns an object as far as the browser shows it.
fn previewed(preview: &Value) -> String {
    let is_list = preview["subtype"] == "array";
    let is_error = preview["subtype"] == "error";
    let description = preview["description"].as_str().unwrap_or_default();
    let properties = preview["properties"].as_array().map_or(&[][..], Vec::as_slice);
    if is_error || (properties.is_empty() && !is_list && description != "Object") {
        return description.to_owned();
    }
    let property = |property: &Value| {
        let value = property["value"].as_str().unwrap_or_default();
        let value = match property["type"].as_str() {
            Some("string") => format!("{value:?}"),
            _ => value.to_owned(),
        };
        match is_list {
            true => value,
            false => format!("{}: {value}", property["name"].as_str().unwrap_or_default()),
        }
    };
    let mut shown: Vec<String> = properties.iter().map(property).collect();
    if preview["overflow"] == true {
        shown.push("…".to_owned());
    }
    let shown = shown.join(", ");
    if is_list { format!("[{shown}]") } else { format!("{{{shown}}}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        json!({ "type": "string", "value": value })
    }

    fn number(value: f64) -> Value {
        json!({ "type": "number", "value": value, "description": value.to_string() })
    }

    #[test]
    fn a_console_writes_its_arguments_as_its_format_says() {
        assert_eq!(written(&[]), "");
        assert_eq!(written(&[text("a"), number(1.5), text("b")]), "a 1.5 b");
        assert_eq!(written(&[text("%s is %d%%, %c%s"), text("x"), number(2.0)]), "x is 2%, %c%s");
        assert_eq!(written(&[text("%cred"), text("color: red")]), "red");
        assert_eq!(written(&[text("100 %"), text("ä")]), "100 % ä");
        assert_eq!(written(&[text("%ö"), json!({ "type": "undefined" })]), "%ö undefined");
        let null = json!({ "type": "object", "subtype": "null", "value": null });
        assert_eq!(written(&[null]), "null");
    }

    #[test]
    fn an_object_is_shown_as_far_as_the_browser_shows_it() {
        let properties = json!([
            { "name": "a", "type": "number", "value": "1" }, { "name": "b", "type": "string", "value": "x" },
        ]);
        let preview =
            json!({ "description": "Object", "overflow": true, "properties": properties });
        assert_eq!(shown(&json!({ "preview": preview })), r#"{a: 1, b: "x", …}"#);
        let preview = json!({
            "subtype": "array", "description": "Array(2)", "overflow": false, "properties": properties,
        });
        assert_eq!(shown(&json!({ "preview": preview })), r#"[1, "x"]"#);
        let error =
            json!({ "type": "object", "subtype": "error", "description": "Error: no\n  at x" });
        assert_eq!(shown(&error), "Error: no\n  at x");
    }
}

//! Finds a step's element: all alternatives are tried in order, again and again, until one is ready or time is up (G3, G4).
//!
//! One injected script looks at every alternative per poll. Only `aria/` needs the browser's accessibility tree, so such
//! alternatives are resolved first and handed to the script as elements.

use gauntlet_core::flow::{Chain, FailureClass, Selector, Selectors, Step};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    error::DriverError,
    session::{POLL, Session, Stop},
};

/// How classic `WebDriver` marks an element in JSON.
pub(crate) const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const LOCATE: &str = include_str!("js/locate.js");
const READY: &str = include_str!("js/ready.js");

/// What an element must be ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    Click((f64, f64)),
    Hover,
    Fill,
    Scroll,
}

/// An element that is ready.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Which alternative won.
    pub(crate) alternative: usize,
    /// Its reference.
    pub(crate) element: Value,
    /// The point to act on, from the middle of the element's visible part.
    pub(crate) x: f64,
    /// See `x`.
    pub(crate) y: f64,
}

/// Returns a script that can call the functions of `locate.js`.
pub(crate) fn with_locate(script: &str) -> String {
    format!("{LOCATE}\n{script}")
}

impl Session<'_> {
    /// Waits until an alternative's first element is ready.
    pub(crate) async fn ready(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        want: Want,
        deadline: Instant,
    ) -> Result<Ready, Stop> {
        let (name, offset) = match want {
            Want::Click((x, y)) => ("click", json!([x, y])),
            Want::Hover => ("hover", Value::Null),
            Want::Fill => ("fill", Value::Null),
            Want::Scroll => ("scroll", Value::Null),
        };
        let script = with_locate(READY);
        let mut seen = Value::Null;
        loop {
            self.enter(step, deadline).await?;
            let args = async |session: &Self| {
                let alternatives = session.alternatives(selectors, deadline).await?;
                session.execute(&script, json!([alternatives, name, offset]), deadline).await
            };
            match args(self).await {
                Ok(answer) if !answer["element"].is_null() => {
                    let number = |field: &str| answer[field].as_f64().unwrap_or_default();
                    let alternative = answer["index"]
                        .as_u64()
                        .and_then(|index| usize::try_from(index).ok())
                        .unwrap_or(0);
                    return Ok(Ready {
                        alternative,
                        element: answer["element"].clone(),
                        x: number("x"),
                        y: number("y"),
                    });
                }
                Ok(answer) => seen = answer["why"].clone(),
                Err(error) => self.survive(error)?,
            }
            if Instant::now() >= deadline {
                return Err(not_ready(selectors, &seen));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Lets a poll go on after an error that the next look may not meet: the page moved on, an element went stale.
    pub(crate) fn survive(&mut self, error: DriverError) -> Result<(), Stop> {
        if error.is_fatal() {
            return Err(error.into());
        }
        self.lose_way();
        Ok(())
    }

    /// Returns the alternatives as `locate.js` takes them.
    pub(crate) async fn alternatives(
        &self,
        selectors: &Selectors,
        deadline: Instant,
    ) -> Result<Value, DriverError> {
        let mut all = Vec::with_capacity(selectors.0.len());
        for chain in &selectors.0 {
            let aria = chain.0.iter().any(|part| matches!(part, Selector::Aria { .. }));
            all.push(if aria {
                json!({ "elements": self.walk(chain, deadline).await? })
            } else {
                json!({ "parts": chain.0.iter().map(part).collect::<Vec<_>>() })
            });
        }
        Ok(Value::Array(all))
    }

    /// Walks a chain with `aria/` in it, part by part.
    async fn walk(&self, chain: &Chain, deadline: Instant) -> Result<Vec<Value>, DriverError> {
        let root = self.execute("return document.documentElement", json!([]), deadline).await?;
        let mut found = vec![root];
        for (index, each) in chain.0.iter().enumerate() {
            let mut next: Vec<Value> = Vec::new();
            for root in &found {
                let hits = match each {
                    Selector::Aria { name, role } => {
                        self.accessible(root, name.as_deref(), role.as_deref(), deadline).await?
                    }
                    other => {
                        let script = with_locate(
                            "const [root, one, first] = arguments; return part(first ? document : inside(root), one);",
                        );
                        let hits = self
                            .execute(&script, json!([root, part(other), index == 0]), deadline)
                            .await?;
                        hits.as_array().cloned().unwrap_or_default()
                    }
                };
                for hit in hits {
                    if !next.contains(&hit) {
                        next.push(hit);
                    }
                }
            }
            found = next;
        }
        Ok(found)
    }
}

fn part(selector: &Selector) -> Value {
    match selector {
        Selector::Css(value) => json!({ "kind": "css", "value": value }),
        Selector::Text(value) => json!({ "kind": "text", "value": value }),
        Selector::XPath(value) => json!({ "kind": "xpath", "value": value }),
        Selector::Pierce(value) => json!({ "kind": "pierce", "value": value }),
        Selector::Aria { .. } => json!({ "kind": "aria" }),
    }
}

/// Says why no alternative was ready: none found anything, or what was found was not fit.
fn not_ready(selectors: &Selectors, why: &Value) -> Stop {
    let reasons: Vec<_> = why.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let found = !reasons.is_empty() && reasons.iter().any(|reason| reason.contains(" is "));
    let class = if found { FailureClass::Timeout } else { FailureClass::ElementNotFound };
    let message = if found {
        "the element did not become ready in time"
    } else {
        "no element was found in time"
    };
    let seen = if reasons.is_empty() { "nothing".to_owned() } else { reasons.join("; ") };
    Stop::failure(class, message).because(format!("an element ready to use: {selectors}"), seen)
}

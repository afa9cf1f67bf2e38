//! Elements by accessible name and role, as the browser itself computes them.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    devtools::{DevTools, name_of, node_of},
    error::DriverError,
    locate::{ELEMENT, with_locate},
    session::{Session, limit},
};

/// Elements of one page that a browser without a query for it is asked about.
const CANDIDATES_MAX: u32 = 40;
/// How classic `WebDriver` marks a shadow root in JSON.
pub(crate) const SHADOW: &str = "shadow-6066-11e4-a52e-4f735466cecf";
const SHADOWS: &str = "const [root] = arguments;
return [root, ...deep(inside(root))].map((el) => el.shadowRoot).filter(Boolean).slice(0, 40);";
const CANDIDATES: &str = include_str!("js/accessible.js");
const NAMED: &str = include_str!("js/named.js");

const QUERY: &str = "Accessibility.queryAXTree";

/// Asks for a name and a role below a node.
fn query(mut node: Value, name: Option<&str>, role: Option<&str>) -> Value {
    if let Some(name) = name {
        node["accessibleName"] = json!(name);
    }
    if let Some(role) = role {
        node["role"] = json!(role);
    }
    node
}

/// Returns the nodes that were found, but for those that stand for no element.
fn hits(answer: &Value) -> impl Iterator<Item = u64> {
    let nodes = answer["nodes"].as_array().into_iter().flatten();
    let meant = nodes.filter(|hit| {
        let internal = matches!(
            hit["role"]["value"].as_str(),
            Some("StaticText" | "InlineTextBox" | "RootWebArea")
        );
        !internal && hit["ignored"] != true
    });
    meant.filter_map(|hit| hit["backendDOMNodeId"].as_u64())
}

impl DevTools {
    /// As [`Session::accessible`], in a document of a page or frame.
    async fn accessible(
        &self,
        (context, document): (&str, &str),
        root: Option<&Value>,
        (name, role): (Option<&str>, Option<&str>),
        limit: Duration,
    ) -> Result<Vec<Value>, DriverError> {
        let root = root.and_then(|root| node_of(root[ELEMENT].as_str()?));
        let below = match root {
            Some(node) => json!({ "backendNodeId": node }),
            None => json!({ "objectId": self.object_of((context, document), limit).await? }),
        };
        let answer = self.page(context, QUERY, query(below, name, role), limit).await?;
        Ok(hits(&answer)
            .map(|id| json!({ ELEMENT: name_of(context, document, &json!(id)) }))
            .collect())
    }
}

impl Session<'_> {
    /// Returns `root` and the elements below it, or those of the whole document, with this accessible name and role.
    pub(crate) async fn accessible(
        &self,
        root: Option<&Value>,
        (name, role): (Option<&str>, Option<&str>),
        deadline: Instant,
    ) -> Result<Vec<Value>, DriverError> {
        if let Some((devtools, frame)) = self.near() {
            return devtools
                .accessible((&frame.0, &frame.1), root, (name, role), limit(deadline))
                .await;
        }
        let document;
        let root = match root {
            Some(root) => root,
            None => {
                document =
                    self.execute("return document.documentElement", json!([]), deadline).await?;
                &document
            }
        };
        if self.driver.has_cdp() {
            return self.accessible_by_cdp(root, name, role, deadline).await;
        }
        let found = if self.pages.has_user_contexts() {
            self.accessible_by_bidi(root, name, role, deadline).await?
        } else {
            self.accessible_by_asking(root, name, role, deadline).await?
        };
        if name.is_none() || found.is_empty() {
            return Ok(found);
        }
        let named = self.execute(NAMED, json!([found, name]), deadline).await?;
        Ok(named.as_array().cloned().unwrap_or_default())
    }

    async fn accessible_by_cdp(
        &self,
        root: &Value,
        name: Option<&str>,
        role: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<Value>, DriverError> {
        // chromedriver's element ids end in the backend node id, which is also what the accessibility tree speaks of.
        let Some((prefix, node)) = root[ELEMENT].as_str().and_then(|id| id.rsplit_once(".e."))
        else {
            return Ok(Vec::new());
        };
        let node = node.parse::<u64>().unwrap_or_default();
        let query = query(json!({ "backendNodeId": node }), name, role);
        let answer = self.driver.cdp(QUERY, query, limit(deadline)).await?;
        Ok(hits(&answer).map(|id| json!({ ELEMENT: format!("{prefix}.e.{id}") })).collect())
    }

    async fn accessible_by_bidi(
        &self,
        root: &Value,
        name: Option<&str>,
        role: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<Value>, DriverError> {
        let context = self.frame();
        let mut wanted = json!({});
        for (key, value) in [("name", name), ("role", role)] {
            if let Some(value) = value {
                wanted[key] = json!(value);
            }
        }
        // The query does not look into shadow trees by itself.
        let roots = self.execute(&with_locate(SHADOWS), json!([root]), deadline).await?;
        let shadows = roots.as_array().into_iter().flatten().filter_map(|node| node.get(SHADOW));
        let starts = shadows.chain([&root[ELEMENT]]).map(|id| json!({ "sharedId": id }));
        let query = json!({
            "context": context, "locator": { "type": "accessibility", "value": wanted },
            "startNodes": starts.collect::<Vec<_>>(),
        });
        let found =
            self.pages.command("browsingContext.locateNodes", query, limit(deadline)).await?;
        let nodes = found["nodes"].as_array().into_iter().flatten();
        Ok(nodes.map(|node| json!({ ELEMENT: node["sharedId"] })).collect())
    }

    /// Asks about every element that may be meant.
    async fn accessible_by_asking(
        &self,
        root: &Value,
        name: Option<&str>,
        role: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<Value>, DriverError> {
        let args = json!([root, name, role, CANDIDATES_MAX]);
        let candidates = self.execute(&with_locate(CANDIDATES), args, deadline).await?;

        let mut found = Vec::new();
        for candidate in candidates.as_array().into_iter().flatten() {
            let Some(id) = candidate[ELEMENT].as_str() else { continue };
            let ask = async |what: &str| {
                let path = format!("element/{id}/{what}");
                self.driver.ask(Method::GET, &path, limit(deadline)).await
            };
            let label = ask("computedlabel").await?;
            if name.is_some_and(|name| label.as_str() != Some(name)) {
                continue;
            }
            let computed = ask("computedrole").await?;
            let computed = computed.as_str().unwrap_or_default();
            let fits = match role {
                Some(role) => computed == role,
                None => {
                    !matches!(computed, "" | "none" | "presentation" | "generic" | "StaticText")
                }
            };
            if fits {
                found.push(candidate.clone());
            }
        }
        Ok(found)
    }
}

//! Finds a step's element: the first alternative that finds anything counts, and is looked for again and again until what it
//! finds is ready or time is up (G3, G4).
//!
//! One injected script looks at every alternative per poll. Only the browser knows accessible names, and its driver what can
//! be read of a link, so such alternatives are resolved first and handed to the script as elements.

use std::time::Duration;

use gauntlet_core::flow::{
    Chain, FailureClass, Origin, Point, Quantity, Selector, Selectors, Step,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    accessible::SHADOW,
    error::DriverError,
    session::{POLL, Session, Stop, limit},
};

/// How classic `WebDriver` marks an element in JSON.
pub(crate) const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const LOCATE: &str = concat!(include_str!("js/read.js"), include_str!("js/locate.js"));
const READY: &str = include_str!("js/ready.js");
const GLANCE: &str = include_str!("js/glance.js");

/// Longest look of one script: a page that moves on or a dialog is noticed between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// What an element must be ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want<'p> {
    /// Can be seen, is enabled, stands still, and nothing lies above it; in its middle if no point is named.
    Click(Option<&'p Point>),
    /// As for a click, but it may be disabled.
    Hover(Option<&'p Point>),
    /// Can be seen, is enabled and not read-only, and stands still.
    Fill,
    /// Can be seen and stands still.
    Scroll,
    /// Is there.
    Present,
}

impl Want<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Click(_) => "click",
            Self::Hover(_) => "hover",
            Self::Fill => "fill",
            Self::Scroll => "scroll",
            Self::Present => "present",
        }
    }

    fn offset(self) -> Value {
        let (Self::Click(Some(point)) | Self::Hover(Some(point))) = self else {
            return Value::Null;
        };
        let from = match point.origin {
            Origin::Center => "centre",
            Origin::TopLeft => "corner",
        };
        let pixels = |quantity: &Quantity| quantity.number().unwrap_or_default();
        json!({ "from": from, "x": pixels(&point.x), "y": pixels(&point.y) })
    }
}

/// What the page does with an element in the moment it is ready: one round trip less, and nothing can happen in between.
#[derive(Debug)]
pub(crate) struct Act {
    /// Defines `act(element, given)`, which returns nothing, what it did, or `{ refused }`: then the wait goes on.
    pub(crate) script: &'static str,
    /// An object; `again` becomes true when an answer was lost, so that the act may have been done already.
    pub(crate) given: Value,
}

impl Act {
    pub(crate) const NOTHING: &str = "const act = () => null;";

    pub(crate) fn nothing() -> Self {
        Self { script: Self::NOTHING, given: json!({}) }
    }
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
    /// The same point, from the corner of the frame's view.
    pub(crate) at: (f64, f64),
    /// What the act answered.
    pub(crate) done: Value,
}

impl Ready {
    fn read(mut answer: Value) -> Self {
        let number = |field: &str| answer[field].as_f64().unwrap_or_default();
        let (x, y) = (number("x"), number("y"));
        let alternative =
            answer["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        let at = (number("left"), number("top"));
        let (element, done) = (answer["element"].take(), answer["done"].take());
        Self { alternative, element, x, y, at, done }
    }
}

/// Returns a script that can call the functions of `locate.js`.
pub(crate) fn with_locate(script: &str) -> String {
    format!("{LOCATE}\n{script}")
}

impl Session<'_> {
    /// Waits until an alternative's first element is ready, and lets the page act on it.
    pub(crate) async fn ready(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        want: Want<'_>,
        mut act: Act,
        deadline: Instant,
    ) -> Result<Ready, Stop> {
        let (name, offset) = (want.name(), want.offset());
        let script = with_locate(&format!("{}\n{READY}", act.script));
        let mut seen = Value::Null;
        loop {
            self.enter(step, deadline).await?;
            let left = deadline.saturating_duration_since(Instant::now()).min(LOOK).as_millis();
            let look = async |session: &Self| {
                let (glance, all) = tokio::join!(
                    Box::pin(session.glance(selectors, deadline)),
                    session.alternatives(selectors, deadline),
                );
                let args = json!([all?, name, offset, act.given, left, glance]);
                session.examine(&script, args, deadline).await
            };
            match look(self).await {
                Ok(answer) if !answer["element"].is_null() => return Ok(Ready::read(answer)),
                // A dialog makes the answer null, whatever had been done before it opened.
                Ok(Value::Null) => act.given["again"] = json!(true),
                Ok(answer) => seen = answer,
                // One that stays open for a later step was opened by the act; without an act the step cannot go on.
                Err(error)
                    if error.is_open_dialog()
                        && act.given["again"] == true
                        && act.script != Act::NOTHING =>
                {
                    return Ok(Ready::read(Value::Null));
                }
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
        if error.is_fatal() || (error.is_open_dialog() && self.holds()) {
            return Err(error.into());
        }
        self.lose_way();
        Ok(())
    }

    /// Looks where the element probably is while the browser is asked for names; null where it is not asked, or takes each
    /// question for itself. The look after it shows whether the element stands still.
    async fn glance(&self, selectors: &Selectors, deadline: Instant) -> Value {
        let (named, plain): (Vec<_>, Vec<_>) =
            selectors.0.iter().partition(|chain| is_asked_for(chain));
        if named.is_empty() || plain.is_empty() || self.near().is_none() {
            return Value::Null;
        }
        let plain: Vec<_> = plain.into_iter().map(alternative).collect();
        self.examine(&with_locate(GLANCE), json!([plain]), deadline).await.unwrap_or_default()
    }

    /// Returns the alternatives as `locate.js` takes them.
    pub(crate) async fn alternatives(
        &self,
        selectors: &Selectors,
        deadline: Instant,
    ) -> Result<Value, DriverError> {
        let mut all = Vec::with_capacity(selectors.0.len());
        for chain in &selectors.0 {
            all.push(if is_asked_for(chain) {
                json!({ "elements": self.walk(chain, deadline).await?, "unique": chain.unique })
            } else {
                alternative(chain)
            });
        }
        Ok(Value::Array(all))
    }

    /// Walks a chain that the browser is asked for, part by part.
    async fn walk(&self, chain: &Chain, deadline: Instant) -> Result<Vec<Value>, DriverError> {
        // None is the document.
        let mut found = vec![None];
        for each in &chain.parts {
            let mut next: Vec<Option<Value>> = Vec::new();
            for root in &found {
                let hits = match each {
                    Selector::Aria { name, role } => {
                        let wanted = (name.as_deref(), role.as_deref());
                        self.accessible(root.as_ref(), wanted, deadline).await?
                    }
                    Selector::LinkText(text) => {
                        self.links(root.as_ref(), ("link text", text), deadline).await?
                    }
                    Selector::PartialLinkText(text) => {
                        self.links(root.as_ref(), ("partial link text", text), deadline).await?
                    }
                    other => {
                        let script = with_locate(
                            "const [root, one] = arguments; return part(root ? inside(root) : document, one);",
                        );
                        let given = json!([root, part(other)]);
                        let hits = self.examine(&script, given, deadline).await?;
                        hits.as_array().cloned().unwrap_or_default()
                    }
                };
                for hit in hits.into_iter().map(Some) {
                    if !next.contains(&hit) {
                        next.push(hit);
                    }
                }
            }
            found = next;
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Finds links by what can be read of them, below an element or in the whole document.
    async fn links(
        &self,
        root: Option<&Value>,
        (using, text): (&str, &str),
        deadline: Instant,
    ) -> Result<Vec<Value>, DriverError> {
        let path = match root {
            None => "elements".to_owned(),
            Some(root) => {
                let script = with_locate("return inside(arguments[0]);");
                // Only the driver names shadow roots.
                let inside = self.execute(&script, json!([root]), deadline).await?;
                let id = |mark: &str| inside[mark].as_str();
                match (id(SHADOW), id(ELEMENT)) {
                    (Some(id), _) => format!("shadow/{id}/elements"),
                    (_, id) => format!("element/{}/elements", id.unwrap_or_default()),
                }
            }
        };
        let found = json!({ "using": using, "value": text });
        let found = self.driver.tell(&path, found, limit(deadline)).await?;
        Ok(found.as_array().cloned().unwrap_or_default())
    }
}

/// Tells whether the browser must be asked what is meant, since no script can find it.
fn is_asked_for(chain: &Chain) -> bool {
    let asked = |part: &Selector| {
        matches!(part, Selector::Aria { .. } | Selector::LinkText(_) | Selector::PartialLinkText(_))
    };
    chain.parts.iter().any(asked)
}

fn alternative(chain: &Chain) -> Value {
    json!({ "parts": chain.parts.iter().map(part).collect::<Vec<_>>(), "unique": chain.unique })
}

fn part(selector: &Selector) -> Value {
    match selector {
        Selector::Css(value) => json!({ "kind": "css", "value": value }),
        Selector::Text(value) => json!({ "kind": "text", "value": value }),
        Selector::XPath(value) => json!({ "kind": "xpath", "value": value }),
        Selector::Pierce(value) => json!({ "kind": "pierce", "value": value }),
        Selector::HasText { css, text } => json!({ "kind": "has", "value": css, "text": text }),
        Selector::Aria { .. } | Selector::LinkText(_) | Selector::PartialLinkText(_) => {
            json!({ "kind": "asked for" })
        }
    }
}

/// Says why no alternative was ready: none found anything, what was found was not fit, or the act was refused.
fn not_ready(selectors: &Selectors, seen: &Value) -> Stop {
    if let Some(refused) = seen["refused"]["refused"].as_str() {
        let has = seen["refused"].get("has");
        let found =
            has.map_or_else(|| refused.to_owned(), |has| format!("{refused}; it has {has}"));
        let class =
            if has.is_some() { FailureClass::ElementNotFound } else { FailureClass::Assertion };
        return Stop::failure(class, "the element cannot do what the step asks")
            .because(format!("an element that can: {selectors}"), found);
    }
    let reasons: Vec<_> =
        seen["why"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let found = reasons.iter().any(|reason| reason.contains(" is "));
    let class = if found { FailureClass::Timeout } else { FailureClass::ElementNotFound };
    let message = if found {
        "the element did not become ready in time"
    } else {
        "no element was found in time"
    };
    let seen = if reasons.is_empty() { "nothing".to_owned() } else { reasons.join("; ") };
    Stop::failure(class, message).because(format!("an element ready to use: {selectors}"), seen)
}

/// Says that no alternative has found anything.
pub(crate) fn not_found(selectors: &Selectors, why: &str) -> Stop {
    let found = if why.is_empty() { "nothing" } else { why };
    Stop::failure(FailureClass::ElementNotFound, "no element was found in time")
        .because(format!("an element: {selectors}"), found)
}

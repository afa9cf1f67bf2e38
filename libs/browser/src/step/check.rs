//! Checks: something of the page, the browser or a variable, compared with what it should be; and the same things kept in
//! variables.

use gauntlet_core::flow::{
    Check, Comparison, FailureClass, Selectors, Source, Step, Subject, Value,
};
use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::Done;
use crate::{
    error::DriverError,
    locate::{self, ELEMENT, with_locate},
    session::{POLL, Session, Stop, limit},
    value::{from_page, truthy},
};

const OBSERVE: &str = include_str!("../js/observe.js");

/// What one look saw.
#[derive(Debug, Default)]
struct Seen {
    /// `None` is that what is looked at is not there.
    value: Option<Value>,
    /// The selector alternative that found it.
    alternative: Option<usize>,
    /// Why there is nothing.
    why: String,
}

impl Session<'_> {
    /// Compares; looks again until the claim holds if the check waits for it, and always until there is something to look at.
    pub(super) async fn check(
        &mut self,
        step: &Step,
        check: &Check,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        loop {
            let seen = self.look(step, &check.subject, deadline).await?;
            if let Some(holds) = verdict(check, seen.value.as_ref()) {
                if holds {
                    return Ok(Done::maybe_by(seen.alternative));
                }
                if !check.wait {
                    return Err(refuted(check, &seen));
                }
            }
            if Instant::now() >= deadline {
                return Err(refuted(check, &seen));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Gives a variable what it says.
    pub(super) async fn store(
        &mut self,
        step: &Step,
        variable: &str,
        source: &Source,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let mut alternative = None;
        let value = match source {
            Source::Text(text) => Value::Text(text.clone()),
            Source::Json(text) => serde_json::from_str(text).map(from_page).map_err(|error| {
                Stop::failure(FailureClass::ImportError, "what should be stored is not JSON")
                    .because("JSON", error.to_string())
            })?,
            Source::Window => Value::Text(self.target(step, deadline).await?.0),
            Source::Title => Value::Text(self.title(step, deadline).await?),
            Source::Url => Value::Text(self.url(step, deadline).await?),
            Source::Count(selectors) => {
                let seen = self.observe(step, selectors, ("count", None), deadline).await?;
                seen.value.unwrap_or(Value::Number(0.0))
            }
            Source::ElementText(selectors) => {
                self.wait_to_read(step, selectors, ("text", None), &mut alternative, deadline)
                    .await?
            }
            Source::ElementValue(selectors) => {
                self.wait_to_read(step, selectors, ("value", None), &mut alternative, deadline)
                    .await?
            }
            Source::Attribute { selectors, name } => {
                let what = ("attribute", Some(name.as_str()));
                self.wait_to_read(step, selectors, what, &mut alternative, deadline).await?
            }
        };
        Ok(Done { stored: Some((variable.to_owned(), value)), ..Done::maybe_by(alternative) })
    }

    async fn wait_to_read(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        what: (&str, Option<&str>),
        alternative: &mut Option<usize>,
        deadline: Instant,
    ) -> Result<Value, Stop> {
        loop {
            let seen = self.observe(step, selectors, what, deadline).await?;
            if let Some(value) = seen.value {
                *alternative = seen.alternative;
                return Ok(value);
            }
            if Instant::now() >= deadline {
                return Err(locate::not_found(selectors, &seen.why));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn look(
        &mut self,
        step: &Step,
        subject: &Subject,
        deadline: Instant,
    ) -> Result<Seen, Stop> {
        let seen =
            |value: Option<String>| Seen { value: value.map(Value::Text), ..Seen::default() };
        match subject {
            Subject::Title => Ok(seen(Some(self.title(step, deadline).await?))),
            Subject::Url => Ok(seen(Some(self.url(step, deadline).await?))),
            Subject::Dialog(_) => Ok(seen(self.dialog_text(deadline).await?)),
            // What has no value is compared as JavaScript says it.
            Subject::Variable(name) => {
                let value = self
                    .scope
                    .get(name)
                    .map_or_else(|| "undefined".to_owned(), ToString::to_string);
                Ok(seen(Some(value)))
            }
            Subject::Expression(expression) => {
                let value = self.evaluate(step, expression, deadline).await?;
                Ok(Seen { value: Some(value), ..Seen::default() })
            }
            Subject::Attribute { selectors, name } => {
                self.observe(step, selectors, ("attribute", Some(name)), deadline).await
            }
            Subject::SelectedLabel(selectors) => {
                self.observe(step, selectors, ("label", None), deadline).await
            }
            Subject::Text(selectors)
            | Subject::Value(selectors)
            | Subject::Checked(selectors)
            | Subject::Editable(selectors)
            | Subject::Present(selectors)
            | Subject::Visible(selectors) => {
                self.observe(step, selectors, (subject.name(), None), deadline).await
            }
        }
    }

    /// Reads something of an element, once.
    async fn observe(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        (subject, key): (&str, Option<&str>),
        deadline: Instant,
    ) -> Result<Seen, Stop> {
        self.enter(step, deadline).await?;
        let script = with_locate(OBSERVE);
        let look = async |session: &Self| {
            let all = session.alternatives(selectors, deadline).await?;
            let mut answer = session.examine(&script, json!([all, subject, key]), deadline).await?;
            // As whoever speaks WebDriver sees it: no two other definitions agree with that one.
            let what = match subject {
                "text" | "label" => "text",
                "visible" => "displayed",
                _ => return Ok(answer),
            };
            if let Some(id) = answer["found"][ELEMENT].as_str() {
                let path = format!("element/{id}/{what}");
                answer["value"] = session.driver.ask(Method::GET, &path, limit(deadline)).await?;
            }
            Ok::<_, DriverError>(answer)
        };
        match look(self).await {
            Ok(mut answer) if answer["index"].is_u64() => {
                let alternative =
                    answer["index"].as_u64().and_then(|index| usize::try_from(index).ok());
                Ok(Seen {
                    value: Some(from_page(answer["value"].take())),
                    alternative,
                    why: String::new(),
                })
            }
            Ok(answer) => {
                let why =
                    answer["why"].as_array().into_iter().flatten().filter_map(|why| why.as_str());
                Ok(Seen { why: why.collect::<Vec<_>>().join("; "), ..Seen::default() })
            }
            Err(error) => {
                self.survive(error)?;
                Ok(Seen { why: "the page changed".to_owned(), ..Seen::default() })
            }
        }
    }

    async fn title(&mut self, step: &Step, deadline: Instant) -> Result<String, Stop> {
        self.enter(step, deadline).await?;
        self.tell("title", deadline).await
    }

    async fn url(&mut self, step: &Step, deadline: Instant) -> Result<String, Stop> {
        self.enter(step, deadline).await?;
        self.tell("url", deadline).await
    }

    async fn tell(&mut self, what: &'static str, deadline: Instant) -> Result<String, Stop> {
        loop {
            match self.driver.call(Method::GET, what, None, limit(deadline)).await {
                Ok(text) => return Ok(text.as_str().unwrap_or_default().to_owned()),
                Err(error @ DriverError::Remote { .. }) if Instant::now() >= deadline => {
                    return Err(error.into());
                }
                Err(error) => self.survive(error)?,
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Tells whether the claim holds; `None` if there is nothing yet to say so.
fn verdict(check: &Check, value: Option<&Value>) -> Option<bool> {
    let holds = match (&check.subject, value) {
        // That something is not there is an answer here.
        (Subject::Present(_) | Subject::Visible(_), None) => false,
        (_, None) => return None,
        (_, Some(value)) => match &check.comparison {
            Comparison::Holds => truthy(value),
            // An attribute that is not there is no text.
            _ if value.is_null() => false,
            comparison => comparison.matches(&value.to_string()),
        },
    };
    // To be gone is no reason to wait for somebody who is not there yet.
    let missing = value.is_none() && !check.negated;
    (!missing).then_some(holds != check.negated)
}

fn refuted(check: &Check, seen: &Seen) -> Stop {
    let Some(value) = &seen.value else {
        return match (&check.subject, check.subject.selectors()) {
            (Subject::Dialog(_), _) | (_, None) => {
                Stop::failure(FailureClass::Assertion, "no dialog is open")
                    .because("a dialog", "none")
            }
            (_, Some(selectors)) => locate::not_found(selectors, &seen.why),
        };
    };
    let not = |is_so: bool| if is_so { "" } else { "not " };
    let wanted = !check.negated;
    let (message, expected, found) = match (check.comparison.expected(), &check.subject) {
        (Some(text), subject) => (
            format!("the {} is not as expected", words(subject)),
            format!("{}{text:?}", not(wanted)),
            format!("{:?}", value.to_string()),
        ),
        (None, Subject::Expression(_)) => (
            "the expression is not as expected".to_owned(),
            format!("{}true", not(wanted)),
            value.to_string(),
        ),
        (None, state) => {
            let state = |is_so| format!("{}{}", not(is_so), words(state));
            (format!("the element is {}", state(!wanted)), state(wanted), state(!wanted))
        }
    };
    Stop::failure(FailureClass::Assertion, message).because(expected, found)
}

/// Says what is looked at as one would tell a person.
fn words(subject: &Subject) -> &'static str {
    match subject {
        Subject::SelectedLabel(_) => "selected label",
        other => other.name(),
    }
}

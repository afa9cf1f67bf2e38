//! The two assertions of recordings: `waitForElement` and `waitForExpression`.

use std::time::Duration;

use fantoccini::error::ErrorStatus;
use gauntlet_core::flow::{Code, FailureClass, Operator, Step, WaitForElement};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Done;
use crate::{
    error::DriverError,
    expression,
    locate::{LOOK, with_locate},
    session::{POLL, Session, Stop},
    value::to_page,
};

const COUNT: &str = include_str!("../js/count.js");
/// How long the explanation of a failure may take in the page.
const EXPLAIN_MS: u64 = 200;

impl Session<'_> {
    /// Polls until the condition holds; `visible: false` inverts it as a whole, as in the reference.
    pub(super) async fn wait_for_element(
        &mut self,
        step: &Step,
        wait: &WaitForElement,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let script = with_locate(COUNT);
        let properties =
            wait.properties.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let wanted = json!({
            "visible": wait.visible == Some(true),
            "attributes": wait.attributes,
            "properties": properties.unwrap_or_else(|| json!({})),
            "operator": wait.operator.symbol(), "count": wait.count, "not": wait.visible == Some(false),
        });
        let mut seen = None;
        loop {
            self.enter(step, deadline).await?;
            let look = async |session: &Self| {
                let alternatives = session.alternatives(&wait.selectors, deadline).await?;
                let left = deadline.saturating_duration_since(Instant::now()).min(LOOK).as_millis();
                session.examine(&script, json!([alternatives, wanted, left]), deadline).await
            };
            match look(self).await {
                // A dialog that opens during a script makes its answer null: that is no count.
                Ok(answer) if answer["count"].is_u64() => {
                    let count = u32::try_from(answer["count"].as_u64().unwrap_or_default())
                        .unwrap_or(u32::MAX);
                    let holds =
                        wait.operator.holds(count, wait.count) && answer["differs"].is_null();
                    if holds != (wait.visible == Some(false)) {
                        let alternative =
                            answer["index"].as_u64().and_then(|index| usize::try_from(index).ok());
                        return Ok(Done::maybe_by(alternative));
                    }
                    seen = Some((count, answer));
                }
                Ok(_) => {}
                Err(error) => self.survive(error)?,
            }
            if Instant::now() >= deadline {
                return Err(not_as_many(wait, seen.as_ref()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Polls in the page until the expression, or the promise it returns, is truthy.
    pub(super) async fn wait_for_expression(
        &mut self,
        step: &Step,
        expression: &str,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let Code { code, arguments } = self.scope.code(expression);
        let script = expression::wait_script(&code);
        let with = |budget_ms: u64| -> Value {
            arguments.iter().map(to_page).chain([Value::from(budget_ms)]).collect()
        };
        let mut shown = "the page changed all the time".to_owned();
        loop {
            self.enter(step, deadline).await?;
            let budget = deadline.saturating_duration_since(Instant::now()).as_millis();
            let budget_ms = u64::try_from(budget).unwrap_or(u64::MAX);
            match self.examine(&script, with(budget_ms), deadline).await {
                Ok(answer) if answer["truthy"] == true => return Ok(Done::default()),
                Ok(answer) => {
                    if let Some(value) = answer["shown"].as_str() {
                        value.clone_into(&mut shown);
                    }
                }
                Err(error) => match compile_error(&error) {
                    Some(message) => {
                        let stop = Stop::failure(
                            FailureClass::Assertion,
                            "the expression is not valid JavaScript",
                        );
                        return Err(stop.because(expression, message));
                    }
                    None => self.survive(error)?,
                },
            }
            if Instant::now() >= deadline {
                return Err(self.not_true(expression, &code, with(EXPLAIN_MS / 2), shown).await);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Says what the expression was; for a comparison with a text, also what was compared.
    async fn not_true(
        &mut self,
        expression: &str,
        code: &str,
        arguments: Value,
        shown: String,
    ) -> Stop {
        let stop =
            Stop::failure(FailureClass::Assertion, "the expression did not become true in time");
        if let Some((script, _literal)) = expression::explain(code) {
            let soon = Instant::now() + Duration::from_millis(EXPLAIN_MS);
            if let Ok(answer) = self.examine(&script, arguments, soon).await
                && let Some(left) = answer["left"].as_str()
            {
                return stop.because(expression, left);
            }
        }
        stop.because(expression, shown)
    }
}

/// Errors thrown while an expression runs are caught in the page, so what is left is one that does not compile.
fn compile_error(error: &DriverError) -> Option<String> {
    let text = error.to_string();
    (error.status() == Some(ErrorStatus::JavascriptError.description())
        && text.contains("SyntaxError"))
    .then_some(text)
}

fn not_as_many(wait: &WaitForElement, seen: Option<&(u32, Value)>) -> Stop {
    let not = if wait.visible == Some(false) { "not " } else { "" };
    let visible = if wait.visible == Some(true) { "visible " } else { "" };
    let mut expected = format!(
        "{not}{} {} {visible}elements: {}",
        wait.operator.symbol(),
        wait.count,
        wait.selectors
    );
    for (name, value) in &wait.attributes {
        expected.push_str(&format!(", attribute {name}={value:?}"));
    }
    if let Some(properties) = &wait.properties {
        expected.push_str(&format!(", properties {properties}"));
    }
    let (count, differs, hidden) = match seen {
        Some((count, answer)) => {
            (*count, answer["differs"].as_str(), answer["hidden"].as_u64().unwrap_or_default())
        }
        None => (0, None, 0),
    };
    let missing = count == 0
        && hidden == 0
        && wait.visible != Some(false)
        && wait.operator != Operator::AtMost
        && wait.count > 0;
    let class = if missing { FailureClass::ElementNotFound } else { FailureClass::Assertion };
    let mut found = count.to_string();
    if let Some(differs) = differs {
        found.push_str(&format!(", but {differs}"));
    }
    if hidden > 0 {
        found.push_str(&format!(", and {hidden} hidden"));
    }
    let message =
        if missing { "no element was found in time" } else { "the elements are not as expected" };
    Stop::failure(class, message).because(expected, found)
}

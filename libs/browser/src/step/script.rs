//! Code that runs in the page. Variables go into it as arguments, never as text.

use fantoccini::error::ErrorStatus;
use gauntlet_core::flow::{Code, FailureClass, Script, ScriptKind, Step, Value};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::Done;
use crate::{
    error::DriverError,
    session::{Session, Stop},
    value::{from_page, to_page},
};

impl Session<'_> {
    /// Runs a script once, and keeps its result if it is asked to.
    pub(super) async fn script(
        &mut self,
        step: &Step,
        script: &Script,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        self.enter(step, deadline).await?;
        let Code { code, arguments } = self.scope.code(&script.code);
        let code = match script.kind {
            ScriptKind::Body => code,
            // It may be an expression or end in a `return`: the promise is what stands last. An error of it is a value, too.
            ScriptKind::Promise => format!(
                "return new Promise((callback) => {{ {}\n.then(callback).catch((error) => callback(error instanceof Error ? String(error) : error)); }});",
                bare(&code)
            ),
        };
        let value = self.run_code(&code, &arguments, deadline).await?;
        let stored = script.store.as_ref().map(|variable| (variable.clone(), value));
        Ok(Done { stored, ..Done::default() })
    }

    /// Evaluates an expression once.
    pub(crate) async fn evaluate(
        &mut self,
        step: &Step,
        expression: &str,
        deadline: Instant,
    ) -> Result<Value, Stop> {
        self.enter(step, deadline).await?;
        let Code { code, arguments } = self.scope.code(expression);
        self.run_code(&format!("return ({}\n);", bare(&code)), &arguments, deadline).await
    }

    async fn run_code(
        &self,
        code: &str,
        arguments: &[Value],
        deadline: Instant,
    ) -> Result<Value, Stop> {
        let arguments: Json = arguments.iter().map(to_page).collect();
        let budget = deadline.saturating_duration_since(Instant::now()).as_millis();
        let budget_ms = u64::try_from(budget).unwrap_or(u64::MAX);
        let script = bounded(code);
        match self.execute(&script, json!([arguments, budget_ms]), deadline).await {
            Ok(answer) if answer["late"] == true => Err(too_long()),
            Ok(mut answer) => Ok(from_page(answer["value"].take())),
            Err(error) if error.is_fatal() || error.is_open_dialog() => Err(error.into()),
            Err(error) => Err(thrown(&error)),
        }
    }
}

/// Runs code as a function of its own, with its own arguments, and awaits a promise that it returns only as long as the step
/// may take: the driver would wait much longer.
fn bounded(code: &str) -> String {
    format!(
        "const [given, budget] = arguments; const value = (function () {{
{code}
}}).apply(null, given);
if (!value || typeof value.then !== 'function') return {{ value }};
const late = new Promise((done) => setTimeout(done, budget, {{ late: true }}));
return Promise.race([late, value.then((value) => ({{ value }}))]);"
    )
}

/// An expression that its writer ended like a statement.
fn bare(expression: &str) -> &str {
    expression.trim().trim_end_matches(';')
}

fn thrown(error: &DriverError) -> Stop {
    let message = if error.status() == Some(ErrorStatus::JavascriptError.description()) {
        "the script threw an error"
    } else if error.status() == Some(ErrorStatus::ScriptTimeout.description()) {
        return too_long();
    } else {
        "the script could not be run"
    };
    Stop::failure(FailureClass::Assertion, message)
        .because("a script that ends well", error.to_string())
}

fn too_long() -> Stop {
    Stop::failure(FailureClass::Timeout, "the script did not end in time")
}

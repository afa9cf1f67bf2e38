//! Code that runs in the page. Variables go into it as arguments, never as text.

use fantoccini::error::ErrorStatus;
use gauntlet_core::flow::{Code, FailureClass, Script, ScriptKind, Step, Value};
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
        let value = match script.kind {
            ScriptKind::Body => self.run_code(&code, &arguments, deadline).await?,
            ScriptKind::Promise => {
                let code = format!(
                    "return ({}\n).then((value) => value, (error) => error instanceof Error ? String(error) : error);",
                    bare(&code)
                );
                self.run_code(&code, &arguments, deadline).await?
            }
        };
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
        match self.execute(code, arguments.iter().map(to_page).collect(), deadline).await {
            Ok(value) => Ok(from_page(value)),
            Err(error) if error.is_fatal() => Err(error.into()),
            Err(error) => Err(thrown(&error)),
        }
    }
}

/// An expression that its writer ended like a statement.
fn bare(expression: &str) -> &str {
    expression.trim().trim_end_matches(';')
}

fn thrown(error: &DriverError) -> Stop {
    let message = if error.status() == Some(ErrorStatus::JavascriptError.description()) {
        "the script threw an error"
    } else if error.status() == Some(ErrorStatus::ScriptTimeout.description()) {
        return Stop::failure(FailureClass::Timeout, "the script did not end in time");
    } else {
        "the script could not be run"
    };
    Stop::failure(FailureClass::Assertion, message)
        .because("a script that ends well", error.to_string())
}

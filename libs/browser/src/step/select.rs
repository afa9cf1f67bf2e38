//! Options, boxes that can be checked, editable content, and forms that are submitted.

use gauntlet_core::flow::{FailureClass, OptionBy, SelectMode, SelectOption, Selectors, Step};
use serde_json::json;
use tokio::time::Instant;

use super::Done;
use crate::{
    locate::{Act, Want},
    session::{POLL, Session, Stop},
};

const SELECT: &str = include_str!("../js/act/select.js");
const STATE: &str = include_str!("../js/act/state.js");
const CONTENT: &str = include_str!("../js/act/content.js");
const SUBMIT: &str = include_str!("../js/act/submit.js");

impl Session<'_> {
    /// Chooses an option, adds one to those chosen, or takes one away.
    pub(super) async fn select(
        &mut self,
        step: &Step,
        select: &SelectOption,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let how = match select.mode {
            SelectMode::Set => "set",
            SelectMode::Click => "click",
            SelectMode::Add => "add",
            SelectMode::Remove => "remove",
        };
        let ways: Vec<_> = select.option.iter().map(way).collect();
        let act = Act { script: SELECT, given: json!({ "how": how, "ways": ways }) };
        let ready = self.ready(step, &select.selectors, Want::Fill, act, deadline).await?;
        Ok(Done::by(ready.alternative))
    }

    /// Clicks what can be checked unless it is as wanted, and waits until it is.
    pub(super) async fn set_checked(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        on: bool,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let look = || Act { script: STATE, given: json!({}) };
        let ready = self.ready(step, selectors, Want::Click(None), look(), deadline).await?;
        let done = Done::by(ready.alternative);
        if ready.done["on"] == on {
            return Ok(done);
        }
        self.press_at(&ready, deadline).await?;
        loop {
            match self.ready(step, selectors, Want::Present, look(), deadline).await {
                Ok(now) if now.done["on"] == on => return Ok(done),
                // The click has opened a dialog, which hides the page until a step answers it.
                _ if self.holds() => return Ok(done),
                // A page may take the box away once it has been clicked.
                Err(Stop::Failure(problem)) if problem.class == FailureClass::ElementNotFound => {
                    return Ok(done);
                }
                Err(stop) => return Err(stop),
                Ok(_) if Instant::now() >= deadline => {
                    let say = |on: bool| if on { "checked" } else { "not checked" };
                    let message = "the click did not change the state of the box";
                    return Err(
                        Stop::failure(FailureClass::Assertion, message).because(say(on), say(!on))
                    );
                }
                Ok(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Replaces what an editable element says.
    pub(super) async fn set_content(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        value: &str,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let act = Act { script: CONTENT, given: json!({ "value": value }) };
        let ready = self.ready(step, selectors, Want::Fill, act, deadline).await?;
        Ok(Done::by(ready.alternative))
    }

    /// Submits the form that an element is in, as its own `submit` method would after its listeners agreed.
    pub(super) async fn submit(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let act = Act { script: SUBMIT, given: json!({}) };
        let ready = self.ready(step, selectors, Want::Present, act, deadline).await?;
        let script = "const form = arguments[0].closest('form'); if (form.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }))) HTMLFormElement.prototype.submit.call(form);";
        match self.examine(script, json!([ready.element]), deadline).await {
            Err(error) if error.is_fatal() => Err(error.into()),
            // Whatever else the answer is, the page may have gone already: a form is not submitted twice.
            _ => Ok(Done::by(ready.alternative)),
        }
    }
}

fn way(by: &OptionBy) -> (&str, &str) {
    match by {
        OptionBy::Label(text) => ("label", text),
        OptionBy::MostlyLabel(text) => ("text", text),
        OptionBy::Value(text) => ("value", text),
        OptionBy::Id(text) => ("id", text),
        OptionBy::NthChild(text) => ("child", text),
    }
}

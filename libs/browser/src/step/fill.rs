//! Fills in form controls. Values may be secrets: nothing here puts one into an error.

use gauntlet_core::flow::{Selectors, Step};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Done;
use crate::{
    keys,
    locate::{Act, Want},
    session::{Session, Stop, limit},
};

const FILL: &str = include_str!("../js/act/fill.js");
/// Characters typed by one command, so that a long text is not one long command.
const TYPED_PER_COMMAND: usize = 200;

impl Session<'_> {
    pub(super) async fn change(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        value: &str,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let act = Act { script: FILL, given: json!({ "value": value }) };
        let ready = self.ready(step, selectors, Want::Fill, act, deadline).await?;
        if let Some(text) = ready.done["type"].as_str() {
            self.type_text(text, deadline).await?;
            if ready.done["cleared"] == true {
                self.tell_cleared(&ready.element, deadline).await?;
            }
        }
        Ok(Done { alternative: Some(ready.alternative) })
    }

    async fn type_text(&self, text: &str, deadline: Instant) -> Result<(), Stop> {
        // The driver's keyboard knows the basic plane only; anything beyond it is inserted like pasted text.
        if text.chars().any(|c| u32::from(c) > 0xFFFF) {
            self.driver.cdp("Input.insertText", json!({ "text": text }), limit(deadline)).await?;
            return Ok(());
        }
        let typed: Vec<char> = text.chars().filter_map(keys::typed).collect();
        for some in typed.chunks(TYPED_PER_COMMAND) {
            let actions = some.iter().flat_map(|key| {
                [
                    json!({ "type": "keyDown", "value": key }),
                    json!({ "type": "keyUp", "value": key }),
                ]
            });
            self.keyboard(actions.collect(), deadline).await?;
        }
        Ok(())
    }

    /// Nothing was typed, so no event has told the page that the control is empty now.
    async fn tell_cleared(&self, element: &Value, deadline: Instant) -> Result<(), Stop> {
        let script = "for (const name of ['input', 'change']) arguments[0].dispatchEvent(new Event(name, { bubbles: true }));";
        self.execute(script, json!([element]), deadline).await?;
        Ok(())
    }
}

//! Fills in form controls. Values may be secrets: nothing here puts one into an error.

use gauntlet_core::flow::{Selectors, Step};
use serde_json::json;
use tokio::time::Instant;

use super::Done;
use crate::{
    locate::{Act, Want},
    session::{Session, Stop},
};

const FILL: &str = include_str!("../js/act/fill.js");

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
        if ready.done["click"] == true {
            let want = Want::Click(None);
            let ready = self.ready(step, selectors, want, Act::nothing(), deadline).await?;
            self.press_at(&ready, deadline).await?;
        } else if ready.done["file"] == true {
            self.give_files(&ready.element, value, deadline).await?;
        } else if let Some(text) = ready.done["type"].as_str() {
            self.type_text(text, deadline).await?;
            if ready.done["cleared"] == true {
                self.tell_cleared(&ready.element, deadline).await?;
            }
        }
        Ok(Done::by(ready.alternative))
    }
}

//! Clicks, hovers and keys, as W3C actions: what a user's hand does.

use std::time::Duration;

use gauntlet_core::flow::{Button, Click, FailureClass, Origin, Quantity, Selectors, Step};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Done, not_performed_yet};
use crate::{
    keys,
    locate::{Ready, Want},
    session::{Session, Stop},
};

/// How long a button stays down when the recording does not say.
const PRESS: Duration = Duration::ZERO;

impl Session<'_> {
    pub(super) async fn click(
        &mut self,
        step: &Step,
        click: &Click,
        count: u8,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let at = |quantity: &Quantity| quantity.number().unwrap_or_default();
        let offset = match (click.point.origin, at(&click.point.x), at(&click.point.y)) {
            (Origin::TopLeft, x, y) => Some((x, y)),
            (Origin::Center, 0.0, 0.0) => None,
            (Origin::Center, ..) => return Err(not_performed_yet()),
        };
        if !click.modifiers.is_empty() {
            return Err(not_performed_yet());
        }
        let want = Want::Click(offset);
        let ready = self.ready(step, &click.selectors, want, deadline).await?;
        let button = match click.button {
            Button::Primary => 0,
            Button::Auxiliary => 1,
            Button::Secondary => 2,
            Button::Back => 3,
            Button::Forward => 4,
        };
        let press = click.duration.unwrap_or(PRESS).as_millis();
        let mut actions = vec![towards(&ready)];
        for _ in 0..count {
            actions.push(json!({ "type": "pointerDown", "button": button }));
            actions.push(json!({ "type": "pause", "duration": press }));
            actions.push(json!({ "type": "pointerUp", "button": button }));
        }
        self.point(actions, deadline + click.duration.unwrap_or(PRESS)).await?;
        Ok(Done { alternative: Some(ready.alternative) })
    }

    pub(super) async fn hover(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let ready = self.ready(step, selectors, Want::Hover, deadline).await?;
        self.point(vec![towards(&ready)], deadline).await?;
        Ok(Done { alternative: Some(ready.alternative) })
    }

    async fn point(&self, actions: Vec<Value>, deadline: Instant) -> Result<(), Stop> {
        let source = json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": actions });
        self.post("actions", json!({ "actions": [source] }), deadline).await?;
        Ok(())
    }

    /// Presses or releases a key on the main page; it stays down over steps, so that modifiers work.
    pub(super) async fn key(
        &mut self,
        key: &str,
        down: bool,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let Some(value) = keys::value_of(key) else {
            let stop = Stop::failure(
                FailureClass::ImportError,
                "the recording names a key that does not exist",
            );
            return Err(stop.because("a key name such as Enter, Shift or a", key));
        };
        let main = Step::new(gauntlet_core::flow::StepKind::Close);
        self.enter(&main, deadline).await?;
        let kind = if down { "keyDown" } else { "keyUp" };
        self.keyboard(vec![json!({ "type": kind, "value": value })], deadline).await?;
        if down {
            self.keys_down.insert(key.to_owned());
        } else {
            self.keys_down.remove(key);
        }
        Ok(Done::default())
    }

    /// Plays key actions on the one keyboard of the test.
    pub(super) async fn keyboard(
        &self,
        actions: Vec<Value>,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let source = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", json!({ "actions": [source] }), deadline).await?;
        Ok(())
    }
}

fn towards(ready: &Ready) -> Value {
    json!({ "type": "pointerMove", "duration": 0, "origin": ready.element, "x": ready.x, "y": ready.y })
}

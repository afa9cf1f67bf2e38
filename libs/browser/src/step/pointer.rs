//! Clicks, hovers, presses and drags, as W3C actions: what a user's hand does.

use std::time::Duration;

use gauntlet_core::flow::{Button, Click, Pointer, PointerAction, Selectors, Step};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Done, keys::key_of};
use crate::{
    locate::{Act, Ready, Want},
    session::{Session, Stop},
};

/// How long a button stays down when the recording does not say.
const PRESS: Duration = Duration::ZERO;
/// Pixels of the first movement of a drag: less would be no drag to some pages.
const TUG: f64 = 8.0;
/// Measured: in Firefox and `WebKit` actions begin a drag of the desktop, whose end no page hears of. So the page is told of
/// one, and the mouse is left alone.
const DROP: &str = include_str!("../js/drop.js");
const OUT: &str = include_str!("../js/act/out.js");

impl Session<'_> {
    pub(super) async fn click(
        &mut self,
        step: &Step,
        click: &Click,
        count: u8,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let want = Want::Click(Some(&click.point));
        let ready = self.ready(step, &click.selectors, want, Act::nothing(), deadline).await?;
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
        let held: Vec<_> = click.modifiers.iter().map(|modifier| key_of(*modifier)).collect();
        self.point(actions, &held, deadline + click.duration.unwrap_or(PRESS)).await?;
        Ok(Done::by(ready.alternative))
    }

    /// Clicks what is ready for it, in its middle.
    pub(super) async fn press_at(&self, ready: &Ready, deadline: Instant) -> Result<(), Stop> {
        let [down, up] =
            ["pointerDown", "pointerUp"].map(|kind| json!({ "type": kind, "button": 0 }));
        self.point(vec![towards(ready), down, up], &[], deadline).await
    }

    pub(super) async fn hover(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let want = Want::Hover(None);
        let ready = self.ready(step, selectors, want, Act::nothing(), deadline).await?;
        self.point(vec![towards(&ready)], &[], deadline).await?;
        Ok(Done::by(ready.alternative))
    }

    /// Moves the pointer to or away from an element, and may press or release its button there.
    pub(super) async fn pointer(
        &mut self,
        step: &Step,
        pointer: &Pointer,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let out = pointer.action == PointerAction::Out;
        let act = if out { Act { script: OUT, given: json!({}) } } else { Act::nothing() };
        let want = if out { Want::Scroll } else { Want::Hover(Some(&pointer.point)) };
        let mut ready = self.ready(step, &pointer.selectors, want, act, deadline).await?;
        if out {
            ready.x = ready.done["x"].as_f64().unwrap_or_default();
            ready.y = ready.done["y"].as_f64().unwrap_or_default();
        }
        let mut actions = vec![towards(&ready)];
        match pointer.action {
            PointerAction::Move | PointerAction::Out => {}
            PointerAction::Down => actions.push(json!({ "type": "pointerDown", "button": 0 })),
            PointerAction::Up => actions.push(json!({ "type": "pointerUp", "button": 0 })),
        }
        self.button_down |= pointer.action == PointerAction::Down;
        self.point(actions, &[], deadline).await?;
        Ok(Done::by(ready.alternative))
    }

    /// Drags one element onto another.
    pub(super) async fn drag(
        &mut self,
        step: &Step,
        (from, onto): (&Selectors, &Selectors),
        deadline: Instant,
    ) -> Result<Done, Stop> {
        // A place to drop that never comes must not leave the button down.
        self.ready(step, onto, Want::Scroll, Act::nothing(), deadline).await?;
        let want = Want::Hover(None);
        let held = self.ready(step, from, want, Act::nothing(), deadline).await?;
        if !self.driver.has_cdp() {
            let target = self.ready(step, onto, want, Act::nothing(), deadline).await?;
            let both = json!([held.element, target.element]);
            if self.execute(DROP, both, deadline).await? == true {
                return Ok(Done::by(held.alternative));
            }
        }
        let down = json!({ "type": "pointerDown", "button": 0 });
        let tug = move_to(&held, TUG);
        self.point(vec![towards(&held), down, tug], &[], deadline).await?;
        let up = json!({ "type": "pointerUp", "button": 0 });
        match self.ready(step, onto, want, Act::nothing(), deadline).await {
            Ok(target) => {
                let drop = vec![move_to(&target, 1.0), towards(&target), up];
                self.point(drop, &[], deadline).await?;
                Ok(Done::by(held.alternative))
            }
            Err(stop) => {
                self.point(vec![up], &[], deadline).await?;
                Err(stop)
            }
        }
    }

    /// Plays pointer actions on the one mouse of the test, with keys held down meanwhile.
    async fn point(
        &self,
        actions: Vec<Value>,
        held: &[char],
        deadline: Instant,
    ) -> Result<(), Stop> {
        let pause = || json!({ "type": "pause", "duration": 0 });
        let pauses = |count: usize| (0..count).map(|_| pause());
        let keys = |kind: &str| {
            held.iter().map(|key| json!({ "type": kind, "value": key })).collect::<Vec<_>>()
        };
        let mut all = Vec::new();
        if !held.is_empty() {
            let keyboard: Vec<_> = keys("keyDown")
                .into_iter()
                .chain(pauses(actions.len()))
                .chain(keys("keyUp"))
                .collect();
            all.push(json!({ "type": "key", "id": "keyboard", "actions": keyboard }));
        }
        let mouse: Vec<_> = pauses(held.len()).chain(actions).collect();
        all.push(json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": mouse }));
        self.post("actions", json!({ "actions": all }), deadline).await?;
        Ok(())
    }
}

fn towards(ready: &Ready) -> Value {
    move_to(ready, 0.0)
}

/// Moves to so many pixels right of where the element is ready.
fn move_to(ready: &Ready, right: f64) -> Value {
    json!({ "type": "pointerMove", "duration": 0, "origin": ready.element, "x": ready.x + right, "y": ready.y })
}

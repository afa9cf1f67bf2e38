//! Clicks, hovers, presses and drags: what a user's hand does.

use std::time::Duration;

use gauntlet_core::flow::{Button, Click, Pointer, PointerAction, Selectors, Step};
use serde_json::json;
use tokio::time::Instant;

use super::{Done, keys::key_of};
use crate::{
    hand::{Gesture, PRIMARY, Spot},
    keys::Stroke,
    locate::{Act, Ready, Want},
    session::{Session, Stop},
};

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
        let act = Act { given: json!({ "opaque": click.opaque }), ..Act::nothing() };
        let ready = self.ready(step, &click.selectors, want, act, deadline).await?;
        let button = match click.button {
            Button::Primary => 0,
            Button::Auxiliary => 1,
            Button::Secondary => 2,
            Button::Back => 3,
            Button::Forward => 4,
        };
        let pressed = click.duration.unwrap_or_default();
        let keys = || click.modifiers.iter().map(|modifier| key_of(*modifier));
        let held = keys().map(|key| Gesture::Key(Stroke::Down(key)));
        let clicks = (1..=count).flat_map(|nth| Gesture::click(button, nth, pressed));
        let released = keys().map(|key| Gesture::Key(Stroke::Up(key)));
        let gestures: Vec<_> =
            held.chain([Gesture::towards(&ready)]).chain(clicks).chain(released).collect();
        self.play(&gestures, deadline + pressed).await?;
        Ok(Done::by(ready.alternative))
    }

    /// Clicks what is ready for it, in its middle.
    pub(super) async fn press_at(&mut self, ready: &Ready, deadline: Instant) -> Result<(), Stop> {
        let click = Gesture::click(PRIMARY, 1, Duration::ZERO);
        let gestures: Vec<_> = [Gesture::towards(ready)].into_iter().chain(click).collect();
        self.play(&gestures, deadline).await
    }

    pub(super) async fn hover(
        &mut self,
        step: &Step,
        selectors: &Selectors,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let want = Want::Hover(None);
        let ready = self.ready(step, selectors, want, Act::nothing(), deadline).await?;
        self.play(&[Gesture::towards(&ready)], deadline).await?;
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
        let ready = self.ready(step, &pointer.selectors, want, act, deadline).await?;
        let beside = |field: &str| ready.done[field].as_f64().unwrap_or_default();
        let place = if out { (beside("x"), beside("y")) } else { (0.0, 0.0) };
        let mut gestures = vec![Gesture::Move(Spot::beside(&ready, place))];
        match pointer.action {
            PointerAction::Move | PointerAction::Out => {}
            PointerAction::Down => gestures.push(Gesture::Down(PRIMARY, 1)),
            PointerAction::Up => gestures.push(Gesture::Up(PRIMARY, 1)),
        }
        self.play(&gestures, deadline).await?;
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
        let tug = Gesture::Move(Spot::beside(&held, (TUG, 0.0)));
        let (down, up) = (Gesture::Down(PRIMARY, 1), Gesture::Up(PRIMARY, 1));
        self.play(&[Gesture::towards(&held), down, tug], deadline).await?;
        match self.ready(step, onto, want, Act::nothing(), deadline).await {
            Ok(target) => {
                let near = Gesture::Move(Spot::beside(&target, (1.0, 0.0)));
                self.play(&[near, Gesture::towards(&target), up], deadline).await?;
                Ok(Done::by(held.alternative))
            }
            Err(stop) => {
                self.play(&[up], deadline).await?;
                Err(stop)
            }
        }
    }
}

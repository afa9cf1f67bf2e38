//! Mouse and keyboard by `DevTools`: no driver in between, and the page hears of a click at once.
//!
//! A click's movements are sent together, as the reference runner does: the browser takes them in order. After a key the page is
//! heard first, as it may move the focus; and so it is after each movement of a drag, as it may say what becomes of it.

use futures_util::future::try_join_all;
use gauntlet_core::flow::{KEYPAD, Key};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::DevTools;
use crate::{
    bidi::Events,
    driver::Place,
    error::DriverError,
    hand::{Gesture, Hand},
    keys::Stroke,
    pages::no_such_frame,
    session::{Session, limit},
};

const MOUSE: &str = "Input.dispatchMouseEvent";
const KEY: &str = "Input.dispatchKeyEvent";

impl Session<'_> {
    pub(crate) async fn play_by_devtools(
        &mut self,
        devtools: &DevTools,
        gestures: &[Gesture],
        deadline: Instant,
    ) -> Result<(), DriverError> {
        if self.holds() {
            return Err(DriverError::open_dialog("input"));
        }
        let place = self.driver.place();
        let Place { page, path } = place.unwrap_or_else(|| Place::page(&self.main));
        let frame = self.pages.events().frame_at(&page, &path).ok_or_else(no_such_frame)?;
        let moves = gestures.iter().any(|gesture| matches!(gesture, Gesture::Move(_)));
        let corner = if moves { devtools.corner_of(&frame, deadline).await? } else { (0.0, 0.0) };
        let mut rest = gestures;
        while let Some(first) = rest.first() {
            if let Gesture::Pause(pause) = first {
                tokio::time::sleep(*pause).await;
                rest = &rest[1..];
                continue;
            }
            let (some, others) = rest.split_at(together(&self.hand, rest));
            let orders: Vec<_> =
                some.iter().filter_map(|gesture| order(&mut self.hand, gesture, corner)).collect();
            self.send_together(devtools, &page, orders, deadline).await?;
            rest = others;
        }
        Ok(())
    }

    async fn send_together(
        &self,
        devtools: &DevTools,
        page: &str,
        orders: Vec<(&'static str, Value)>,
        deadline: Instant,
    ) -> Result<(), DriverError> {
        let is_there = || devtools.known().events.context(page).is_some();
        if !is_there() {
            return Err(devtools.gone(page, "input"));
        }
        let sent = orders
            .into_iter()
            .map(|(method, params)| devtools.page(page, method, params, limit(deadline)));
        // A dialog that waits for a step keeps the page from answering.
        let held = |events: &Events| events.held.then_some(());
        let answers = tokio::select! {
            answers = try_join_all(sent) => answers.map(drop),
            Some(()) = self.pages.wait_for(deadline, held) => return Ok(()),
        };
        match answers {
            // It may have closed the page.
            Err(error) if !error.is_fatal() && !is_there() => Ok(()),
            answers => answers,
        }
    }
}

/// Returns how many of the first gestures are sent together: a stroke of a key, or clicks with the way to them.
fn together(hand: &Hand, gestures: &[Gesture]) -> usize {
    let is_up = |gesture: &&Gesture| matches!(gesture, Gesture::Key(Stroke::Up(_)));
    match &gestures[0] {
        Gesture::Key(Stroke::Down(_)) => 1 + usize::from(gestures.get(1).filter(is_up).is_some()),
        Gesture::Key(_) => 1,
        _ if !hand.buttons.is_empty() => 1,
        _ => {
            let on = |gesture: &Gesture| matches!(gesture, Gesture::Down(..) | Gesture::Up(..));
            let next = gestures.iter().skip(1).position(|gesture| !on(gesture));
            next.map_or(gestures.len(), |next| next + 1)
        }
    }
}

/// Returns the command of a gesture, and notes what it holds; `corner` is where the frame's view is in the page's.
fn order(hand: &mut Hand, gesture: &Gesture, corner: (f64, f64)) -> Option<(&'static str, Value)> {
    if let Gesture::Move(spot) = gesture {
        hand.at = (corner.0 + spot.at.0, corner.1 + spot.at.1);
    }
    let repeats = matches!(gesture, Gesture::Key(Stroke::Down(key)) if hand.keys.contains(key));
    hand.note(gesture);
    let (x, y) = hand.at;
    let held = |button: &u8| match button {
        0 => ("left", 1),
        1 => ("middle", 4),
        2 => ("right", 2),
        3 => ("back", 8),
        _ => ("forward", 16),
    };
    let buttons: u8 = hand.buttons.iter().map(|button| held(button).1).sum();
    let modifiers = modifiers(hand);
    let mouse = |kind: &str, button: &str, count: u8| {
        let order = json!({
            "type": kind, "x": x, "y": y, "button": button, "buttons": buttons,
            "clickCount": count, "modifiers": modifiers,
        });
        Some((MOUSE, order))
    };
    match gesture {
        Gesture::Move(_) => {
            let first = hand.buttons.first().map_or("none", |button| held(button).0);
            mouse("mouseMoved", first, 0)
        }
        Gesture::Down(button, nth) => mouse("mousePressed", held(button).0, *nth),
        Gesture::Up(button, nth) => mouse("mouseReleased", held(button).0, *nth),
        Gesture::Key(stroke) => {
            let (Stroke::Down(key) | Stroke::Up(key)) = stroke;
            let key = if modifiers & SHIFT == 0 { key.clone() } else { key.clone().with_shift() };
            // With another modifier than Shift a key is an order, and no text.
            let text = key.text().filter(|_| modifiers & !SHIFT == 0);
            let mut order = json!({
                "type": "keyUp", "modifiers": modifiers, "key": key.name, "code": key.code,
                "windowsVirtualKeyCode": key.number, "location": key.location,
                "isKeypad": key.location == KEYPAD,
            });
            if let Stroke::Down(_) = stroke {
                order["type"] = json!(if text.is_some() { "keyDown" } else { "rawKeyDown" });
                order["autoRepeat"] = json!(repeats);
                if let Some(text) = text {
                    (order["text"], order["unmodifiedText"]) = (json!(text), json!(text));
                }
            }
            Some((KEY, order))
        }
        Gesture::Pause(_) => None,
    }
}

const SHIFT: u8 = 8;

fn modifiers(hand: &Hand) -> u8 {
    let of = |key: &Key| match key.name.as_str() {
        "Alt" => 1,
        "Control" => 2,
        "Meta" => 4,
        "Shift" => SHIFT,
        _ => 0,
    };
    hand.keys.iter().fold(0, |all, key| all | of(key))
}

impl DevTools {
    /// Returns where the view of a frame begins in the view of its page.
    async fn corner_of(&self, frame: &str, deadline: Instant) -> Result<(f64, f64), DriverError> {
        let (mut x, mut y, mut at) = (0.0, 0.0, frame.to_owned());
        loop {
            let parent = self.known().events.context(&at).and_then(|frame| frame.parent.clone());
            let Some(parent) = parent else { return Ok((x, y)) };
            let owner = json!({ "frameId": at });
            let owner = self.page(&parent, "DOM.getFrameOwner", owner, limit(deadline)).await?;
            let owner = json!({ "backendNodeId": owner["backendNodeId"] });
            let model = self.page(&parent, "DOM.getBoxModel", owner, limit(deadline)).await?;
            let content = &model["model"]["content"];
            x += content[0].as_f64().unwrap_or_default();
            y += content[1].as_f64().unwrap_or_default();
            // It is told from the corner of the outermost frame of the same process.
            at = parent;
            while !self.known().targets.has_session(&at) {
                let above = self.known().events.context(&at).and_then(|frame| frame.parent.clone());
                let Some(above) = above else { break };
                at = above;
            }
        }
    }
}

//! A test's mouse and keyboard: what the hand does, and what it holds.
//!
//! [`Session::play`] is the seam. A Chromium of this machine takes its input from `DevTools`; any other from the driver, as W3C
//! actions. Nobody else moves the mouse or a key, so what is held is known here.

use std::{collections::BTreeSet, time::Duration};

use gauntlet_core::flow::{FailureClass, Key};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    driver::GRACE,
    error::DriverError,
    keys::Stroke,
    locate::Ready,
    session::{Session, Stop},
};

/// The primary button of the mouse.
pub(crate) const PRIMARY: u8 = 0;

/// One thing that a hand does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gesture {
    /// Moves the mouse to where an element is ready.
    Move(Spot),
    /// Presses a button, by its W3C number; for the how manieth time in a row.
    Down(u8, u8),
    /// Releases a button.
    Up(u8, u8),
    /// Moves a key.
    Key(Stroke),
    /// Waits.
    Pause(Duration),
}

/// A place on an element, told in two ways.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spot {
    element: Value,
    /// Pixels from the middle of the element's visible part.
    offset: (f64, f64),
    /// Pixels from the corner of the frame's view.
    pub(crate) at: (f64, f64),
}

impl Spot {
    /// Returns the place so many pixels right of and below where an element is ready.
    pub(crate) fn beside(ready: &Ready, (right, down): (f64, f64)) -> Self {
        Self {
            element: ready.element.clone(),
            offset: (ready.x + right, ready.y + down),
            at: (ready.at.0 + right, ready.at.1 + down),
        }
    }
}

impl Gesture {
    /// Moves the mouse to where an element is ready.
    pub(crate) fn towards(ready: &Ready) -> Self {
        Self::Move(Spot::beside(ready, (0.0, 0.0)))
    }

    /// Presses a button and releases it.
    pub(crate) fn click(button: u8, nth: u8, pressed: Duration) -> Vec<Self> {
        let pause = (!pressed.is_zero()).then_some(Self::Pause(pressed));
        [Self::Down(button, nth)].into_iter().chain(pause).chain([Self::Up(button, nth)]).collect()
    }
}

/// What is held down, and where the mouse is.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    /// From the corner of the page's view.
    pub(crate) at: (f64, f64),
    /// By their W3C numbers.
    pub(crate) buttons: BTreeSet<u8>,
    pub(crate) keys: BTreeSet<Key>,
}

impl Hand {
    /// Tells whether anything is held down.
    pub(crate) fn holds(&self) -> bool {
        !self.buttons.is_empty() || !self.keys.is_empty()
    }

    /// Notes what a gesture holds from now on, or no longer.
    pub(crate) fn note(&mut self, gesture: &Gesture) {
        match gesture {
            Gesture::Down(button, _) => drop(self.buttons.insert(*button)),
            Gesture::Up(button, _) => drop(self.buttons.remove(button)),
            Gesture::Key(Stroke::Down(key)) => drop(self.keys.insert(key.clone())),
            Gesture::Key(Stroke::Up(key)) => drop(self.keys.remove(key)),
            Gesture::Move(_) | Gesture::Pause(_) => {}
        }
    }
}

impl Session<'_> {
    /// Does what a hand does, in order, in the page and frame that commands go to.
    pub(crate) async fn play(
        &mut self,
        gestures: &[Gesture],
        deadline: Instant,
    ) -> Result<(), Stop> {
        match self.pages.devtools() {
            Some(devtools) => self.play_by_devtools(devtools, gestures, deadline).await?,
            None => {
                if let Some(key) = gestures.iter().find_map(beyond_webdriver) {
                    return Err(Stop::failure(
                        FailureClass::ImportError,
                        "the browser's driver cannot press this key",
                    )
                    .because("a key that WebDriver knows", &key.name));
                }
                let actions = json!({ "actions": sources(gestures, self.aims_by_view()) });
                self.post("actions", actions, deadline).await?;
                gestures.iter().for_each(|gesture| self.hand.note(gesture));
            }
        }
        Ok(())
    }

    /// Tells whether the mouse is sent to a place in the view. Measured: of an element in a box that shows only some of it the
    /// drivers of Chromium and `WebKit` find another middle, or refuse it. But where a frame's view is, not all of them know.
    fn aims_by_view(&self) -> bool {
        self.driver.place().is_none_or(|place| place.path.is_empty())
    }

    /// Releases what is held.
    pub(crate) async fn let_go(&mut self) -> Result<(), DriverError> {
        if self.pages.devtools().is_some() {
            // Of keys only this hand knows; a button may be dragging something, which outlives the page.
            let buttons: Vec<_> =
                self.hand.buttons.iter().map(|button| Gesture::Up(*button, 1)).collect();
            // A page that is gone, or shows a dialog, holds nothing that the next test could meet.
            let _ = self.play(&buttons, Instant::now() + GRACE).await;
            return Ok(());
        }
        // Refused while a dialog is open: then the browser is not used again.
        self.driver.call(Method::DELETE, "actions", None, GRACE).await.map(drop)
    }
}

/// Returns the key of a gesture if it is one that only `DevTools` can press.
fn beyond_webdriver(gesture: &Gesture) -> Option<&Key> {
    match gesture {
        Gesture::Key(Stroke::Down(key) | Stroke::Up(key)) => {
            Some(key).filter(|key| key.value.is_none())
        }
        _ => None,
    }
}

/// Returns the input sources of W3C actions, each with a pause where another one does something.
fn sources(gestures: &[Gesture], by_view: bool) -> Vec<Value> {
    let mut mouse = Vec::with_capacity(gestures.len());
    let mut keyboard = Vec::with_capacity(gestures.len());
    for gesture in gestures {
        let mut pause = json!({ "type": "pause", "duration": 0 });
        let action = match gesture {
            Gesture::Move(Spot { at: (x, y), .. }) if by_view => {
                json!({ "type": "pointerMove", "duration": 0, "x": x.round(), "y": y.round() })
            }
            Gesture::Move(Spot { element, offset: (x, y), .. }) => {
                json!({ "type": "pointerMove", "duration": 0, "origin": element, "x": x, "y": y })
            }
            Gesture::Down(button, _) => json!({ "type": "pointerDown", "button": button }),
            Gesture::Up(button, _) => json!({ "type": "pointerUp", "button": button }),
            Gesture::Key(Stroke::Down(key)) => json!({ "type": "keyDown", "value": key.value }),
            Gesture::Key(Stroke::Up(key)) => json!({ "type": "keyUp", "value": key.value }),
            Gesture::Pause(duration) => {
                pause["duration"] = json!(duration.as_millis());
                pause.clone()
            }
        };
        let (here, there) = match gesture {
            Gesture::Key(_) => (&mut keyboard, &mut mouse),
            _ => (&mut mouse, &mut keyboard),
        };
        here.push(action);
        there.push(pause);
    }
    let moves = |actions: &[Value]| actions.iter().any(|action| action["type"] != "pause");
    let mut sources = Vec::new();
    if moves(&keyboard) {
        sources.push(json!({ "type": "key", "id": "keyboard", "actions": keyboard }));
    }
    if moves(&mouse) {
        let kind = json!({ "pointerType": "mouse" });
        sources.push(
            json!({ "type": "pointer", "id": "mouse", "parameters": kind, "actions": mouse }),
        );
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mouse_and_keyboard_wait_for_each_other() {
        let gestures = [
            Gesture::Key(Stroke::Down(Key::of('a'))),
            Gesture::Down(PRIMARY, 1),
            Gesture::Up(PRIMARY, 1),
            Gesture::Key(Stroke::Up(Key::of('a'))),
        ];
        let kinds = |source: &Value| -> Vec<String> {
            let actions = source["actions"].as_array().unwrap().iter();
            actions.map(|action| action["type"].as_str().unwrap().to_owned()).collect()
        };
        let [keyboard, mouse] = &sources(&gestures, false)[..] else { panic!("two sources") };
        assert_eq!(kinds(keyboard), ["keyDown", "pause", "pause", "keyUp"]);
        assert_eq!(kinds(mouse), ["pause", "pointerDown", "pointerUp", "pause"]);
        assert_eq!(sources(&gestures[1..3], false).len(), 1, "no keyboard without a key");
    }
}

//! Keys: texts typed into an element, single presses with modifiers, and files given to an element that takes them.

use std::path::{Path, PathBuf};

use gauntlet_core::flow::{FailureClass, Key, KeyName, Modifier, Selectors, Step, StepKind, Type};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Done;
use crate::{
    hand::Gesture,
    keys::{self, Stroke},
    locate::{Act, ELEMENT, Want},
    session::{Session, Stop, limit},
};

const FOCUS: &str = include_str!("../js/act/focus.js");
/// Movements of keys in one command, so that a long text is not one long command.
const STROKES_PER_COMMAND: usize = 400;

impl Session<'_> {
    /// Types into an element, after emptying it if asked to; a control for files gets files.
    pub(super) async fn type_keys(
        &mut self,
        step: &Step,
        typing: &Type,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let text = &typing.text;
        let strokes = if typing.keys {
            keys::strokes(text).map_err(|name| no_such_key(&name))?
        } else {
            keys::plain(text)
        };
        let act = Act { script: FOCUS, given: json!({ "clear": typing.clear, "value": text }) };
        let ready = self.ready(step, &typing.selectors, Want::Fill, act, deadline).await?;
        if ready.done["file"] == true {
            self.give_files(&ready.element, text, deadline).await?;
        } else if ready.done["set"] != true {
            match typing.delay {
                Some(delay) if !delay.is_zero() => {
                    // A pause counts for the keys it separates, not against the time to find the element.
                    for stroke in &strokes {
                        self.stroke(std::slice::from_ref(stroke), Instant::now()).await?;
                        if matches!(stroke, Stroke::Up(_)) {
                            tokio::time::sleep(delay).await;
                        }
                    }
                }
                _ if self.beyond_keys(text) => self.insert(text, deadline).await?,
                _ => self.stroke(&strokes, deadline).await?,
            }
            if strokes.is_empty() && ready.done["cleared"] == true {
                self.tell_cleared(&ready.element, deadline).await?;
            }
        }
        Ok(Done::by(ready.alternative))
    }

    /// Types a text in which nothing is the name of a key, into what has the focus.
    pub(super) async fn type_text(&mut self, text: &str, deadline: Instant) -> Result<(), Stop> {
        if self.beyond_keys(text) {
            return self.insert(text, deadline).await;
        }
        self.stroke(&keys::plain(text), deadline).await
    }

    /// Tells whether a text has characters that the driver's keyboard does not know: for chromedriver those beyond the basic
    /// plane.
    fn beyond_keys(&self, text: &str) -> bool {
        let by_chromedriver = self.driver.has_cdp() && self.pages.devtools().is_none();
        by_chromedriver && text.chars().any(|c| u32::from(c) > 0xFFFF)
    }

    async fn insert(&self, text: &str, deadline: Instant) -> Result<(), Stop> {
        let text = json!({ "text": text });
        self.driver.cdp("Input.insertText", text, limit(deadline)).await?;
        Ok(())
    }

    async fn stroke(&mut self, strokes: &[Stroke], deadline: Instant) -> Result<(), Stop> {
        for some in strokes.chunks(STROKES_PER_COMMAND) {
            self.keyboard(some, deadline).await?;
        }
        Ok(())
    }

    /// Nothing was typed, so no event has told the page that the control is empty now.
    pub(super) async fn tell_cleared(
        &self,
        element: &Value,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let script = "for (const name of ['input', 'change']) arguments[0].dispatchEvent(new Event(name, { bubbles: true }));";
        self.examine(script, json!([element]), deadline).await?;
        Ok(())
    }

    /// Presses and releases one key with modifiers held down, on an element or on whatever has the focus.
    pub(super) async fn press(
        &mut self,
        step: &Step,
        selectors: Option<&Selectors>,
        (key, modifiers): (&KeyName, &[Modifier]),
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let mut done = Done::default();
        if let Some(selectors) = selectors {
            let act = Act { script: FOCUS, given: json!({ "clear": false, "value": "" }) };
            done = Done::by(
                self.ready(step, selectors, Want::Scroll, act, deadline).await?.alternative,
            );
        } else {
            self.enter(step, deadline).await?;
        }
        let keys = || modifiers.iter().map(|modifier| key_of(*modifier)).chain([key.key().clone()]);
        let strokes: Vec<_> = keys().map(Stroke::Down).collect();
        let released = keys().collect::<Vec<_>>().into_iter().rev().map(Stroke::Up);
        let strokes: Vec<_> = strokes.into_iter().chain(released).collect();
        self.keyboard(&strokes, deadline).await?;
        Ok(done)
    }

    /// Presses or releases a key on the main page; it stays down over steps, so that modifiers work.
    pub(super) async fn key(
        &mut self,
        key: &KeyName,
        down: bool,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        self.enter(&Step::new(StepKind::Close), deadline).await?;
        let key = key.key().clone();
        let stroke = if down { Stroke::Down(key) } else { Stroke::Up(key) };
        self.keyboard(&[stroke], deadline).await?;
        Ok(Done::default())
    }

    /// Plays movements of keys on the one keyboard of the test.
    async fn keyboard(&mut self, strokes: &[Stroke], deadline: Instant) -> Result<(), Stop> {
        let gestures: Vec<_> = strokes.iter().cloned().map(Gesture::Key).collect();
        self.play(&gestures, deadline).await
    }

    /// Gives files, one path a line, to a control that takes them.
    pub(super) async fn give_files(
        &self,
        element: &Value,
        paths: &str,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let folder = self.options.files_dir.as_deref();
        let files = paths.lines().filter(|path| !path.is_empty());
        let files: Vec<_> = files.map(|path| allowed(folder, path)).collect::<Result<_, _>>()?;
        let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        let id = element[ELEMENT].as_str().unwrap_or_default();
        let body = json!({ "text": files.join("\n") });
        self.driver.tell(&format!("element/{id}/value"), body, limit(deadline)).await?;
        Ok(())
    }
}

/// Returns the whole path of a file that a test may give away: one below the folder that the options allow, links followed.
fn allowed(folder: Option<&Path>, path: &str) -> Result<PathBuf, Stop> {
    let refused = |why: String| {
        Stop::failure(FailureClass::ImportError, "the file cannot be given to the page")
            .because("a file below the folder for test files", why)
    };
    let folder = folder.ok_or_else(|| refused("no such folder is configured".to_owned()))?;
    let folder = folder.canonicalize().map_err(|error| refused(format!("the folder: {error}")))?;
    let file =
        folder.join(path).canonicalize().map_err(|error| refused(format!("{path}: {error}")))?;
    if !file.starts_with(&folder) {
        return Err(refused(format!("{path} lies outside it")));
    }
    if !file.is_file() {
        return Err(refused(format!("{path} is no file")));
    }
    Ok(file)
}

pub(super) fn key_of(modifier: Modifier) -> Key {
    Key::of(match modifier {
        Modifier::Shift => '\u{E008}',
        Modifier::Control => '\u{E009}',
        Modifier::Alt => '\u{E00A}',
        Modifier::Meta => '\u{E03D}',
    })
}

fn no_such_key(name: &str) -> Stop {
    Stop::failure(FailureClass::ImportError, "the recording names a key that does not exist")
        .because("the name of a key, such as KEY_ENTER", format!("KEY_{name}"))
}

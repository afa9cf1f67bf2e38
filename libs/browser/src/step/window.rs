//! Windows and frames: which one the next steps act in, how big it is, and windows that a step opens.

use gauntlet_core::flow::{FailureClass, FrameChoice, OpensWindow, Step, Value};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::Done;
use crate::{
    devtools::node_of,
    locate::{Act, ELEMENT, Want},
    session::{Session, Stop, limit},
};

/// Returns the element that holds a frame.
const OWNER: &str = "const [index] = arguments;
return [...document.querySelectorAll('iframe, frame, object')].find((el) => window[index] && el.contentWindow === window[index]);";
const FRAME: &str = include_str!("../js/act/frame.js");

impl Session<'_> {
    /// Makes a window the current one; its main frame, too.
    pub(super) async fn select_window(
        &mut self,
        handle: &str,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let there = self.pages.wait_for(deadline, |events| {
            events.context(handle).is_some_and(|page| page.parent.is_none()).then_some(())
        });
        if there.await.is_none() {
            return Err(Stop::failure(FailureClass::Navigation, "there is no such window")
                .because("the handle of an open window", handle));
        }
        self.current = Some((handle.to_owned(), Vec::new()));
        Ok(Done::default())
    }

    /// Makes a frame of the current window the current one.
    pub(super) async fn select_frame(
        &mut self,
        step: &Step,
        choice: &FrameChoice,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let (page, mut path) = self.target(step, deadline).await?;
        let mut done = Done::default();
        match choice {
            FrameChoice::Top => path.clear(),
            FrameChoice::Parent => {
                path.pop();
            }
            FrameChoice::Index(text) => {
                let index = text.trim().parse().map_err(|_| {
                    Stop::failure(FailureClass::ImportError, "the index of a frame is not a number")
                        .because("a number", text)
                })?;
                path.push(self.frame_counted(step, index, deadline).await?);
            }
            FrameChoice::Element(selectors) => {
                let act = Act { script: FRAME, given: json!({}) };
                let ready = self.ready(step, selectors, Want::Present, act, deadline).await?;
                let index = ready.done["index"].as_u64().unwrap_or_default();
                let index = u16::try_from(index).unwrap_or(u16::MAX);
                path.push(self.frame_of(&ready.element, deadline).await.unwrap_or(index));
                done = Done::by(ready.alternative);
            }
        }
        let before = self.current.replace((page, path));
        // A frame that never comes is this step's failure, not the next one's.
        if let Err(stop) = self.enter(step, deadline).await {
            self.current = before;
            return Err(stop);
        }
        Ok(done)
    }

    /// Returns which of the frames it is that the page itself counts as `index`.
    async fn frame_counted(
        &mut self,
        step: &Step,
        index: u16,
        deadline: Instant,
    ) -> Result<u16, Stop> {
        self.enter(step, deadline).await?;
        // Where it is not there yet, who enters it waits for it.
        let owner = self.examine(OWNER, json!([index]), deadline).await.unwrap_or_default();
        Ok(self.frame_of(&owner, deadline).await.unwrap_or(index))
    }

    /// Returns which of the frames it is that an element holds, where the browser tells: in the order in which they were made,
    /// those in shadow trees, too. The page itself counts otherwise.
    async fn frame_of(&self, owner: &Json, deadline: Instant) -> Option<u16> {
        let (id, limit) = (owner[ELEMENT].as_str()?, limit(deadline));
        let parent = self.frame()?;
        let held = if let Some(devtools) = self.pages.devtools() {
            let order = json!({ "backendNodeId": node_of(id)? });
            let mut owner = devtools.page(&parent, "DOM.describeNode", order, limit).await.ok()?;
            owner["node"]["frameId"].take()
        } else {
            let order = json!({
                "functionDeclaration": "(el) => el.contentWindow", "awaitPromise": false,
                "target": { "context": parent }, "arguments": [{ "sharedId": id }],
            });
            let mut told = self.pages.command("script.callFunction", order, limit).await.ok()?;
            told["result"]["value"]["context"].take()
        };
        let frames = self.pages.events().children(&parent);
        let index = frames.iter().position(|frame| held.as_str() == Some(frame.as_str()));
        index.and_then(|index| u16::try_from(index).ok())
    }

    /// Waits for the window that a step has opened since `mark`, and returns its handle.
    pub(super) async fn opened(
        &mut self,
        opens: &OpensWindow,
        mark: u64,
        done: Done,
    ) -> Result<Done, Stop> {
        let deadline = Instant::now() + opens.timeout;
        let context = self.user_context.as_deref();
        let found = self.pages.wait_for(deadline, |events| events.opened_since(context, mark));
        let Some(handle) = found.await else {
            let message = "the step opened no window in time";
            return Err(
                Stop::failure(FailureClass::Navigation, message).because("a new window", "none")
            );
        };
        let stored = opens.variable.clone().map(|variable| (variable, Value::Text(handle)));
        Ok(Done { stored, ..done })
    }

    /// Sets the outer size of the window.
    pub(super) async fn resize_window(
        &mut self,
        step: &Step,
        (width, height): (f64, f64),
        deadline: Instant,
    ) -> Result<Done, Stop> {
        self.enter(step, deadline).await?;
        self.lasting = Some("a change of the window's size");
        // An emulated screen would hide the size that the window gets.
        self.show_window(limit(deadline)).await?;
        let size = json!({ "width": width.round(), "height": height.round() });
        self.post("window/rect", size, deadline).await?;
        Ok(Done::default())
    }
}

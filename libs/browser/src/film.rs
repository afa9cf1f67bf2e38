//! Films a test while it runs: frames as files, with the time of each; [`Encoder`] makes a video of them afterwards.
//!
//! Chromium sends a frame when its page changes (`film/screencast.rs`, by a socket of its own beside the driver's). Other
//! sessions with `BiDi`, and a Chromium whose socket is out of reach, as in a grid, are asked for pictures again and again.
//! Frames are bounded in number, in bytes and in a second. Filming never fails a test: what went wrong is told with the
//! film. Nothing runs on its own: filming is part of the test's future and ends with it.

mod encode;
mod screencast;

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use gauntlet_core::limits::{VIDEO_FRAME_BYTES_MAX, VIDEO_FRAMES_MAX, VIDEO_FRAMES_PER_S_MAX};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{capture, driver::Driver, driver::lock, pages::Pages};

pub use encode::{Chapter, EncodeError, Encoder};

/// Shortest time between two frames.
const FRAME_PAUSE: Duration = Duration::from_millis(1_000 / VIDEO_FRAMES_PER_S_MAX as u64);
/// Time between two pictures where they have to be asked for: each costs the page some work.
const PICTURE_PAUSE: Duration = Duration::from_millis(500);
/// How long a picture may take.
const PICTURE_LIMIT: Duration = Duration::from_secs(2);

/// The frames of one test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Film {
    /// In order.
    pub frames: Vec<Frame>,
    /// Why there are none, or none after the last.
    pub problem: Option<String>,
    /// Size of all of them.
    pub bytes: u64,
    /// How long the test took; the last frame is shown until then.
    pub length: Duration,
}

/// One picture of a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// A JPEG.
    pub file: PathBuf,
    /// When it was taken, after the start of the test.
    pub offset: Duration,
}

/// Films one test. Clones share the film.
#[derive(Debug, Clone)]
pub(crate) struct Camera {
    folder: PathBuf,
    began: Instant,
    film: Arc<Mutex<Film>>,
}

impl Camera {
    pub(crate) fn new(folder: &Path, began: Instant) -> Self {
        Self { folder: folder.to_owned(), began, film: Arc::default() }
    }

    /// Returns what has been filmed so far.
    pub(crate) fn film(&self) -> Film {
        Film { length: self.began.elapsed(), ..lock(&self.film).clone() }
    }

    /// Films for as long as it is polled.
    pub(crate) async fn roll(&self, driver: &Driver, pages: &Pages) -> Infallible {
        if let Some(address) = debugger_address(driver)
            && let Err(problem) = screencast::run(self, &address, driver).await
        {
            tracing::debug!(problem, "no screencast, taking pictures instead");
        }
        if pages.has_user_contexts() {
            self.take_pictures(driver, pages).await;
        } else {
            self.stop("the session gives no pictures beside the commands of the test");
        }
        std::future::pending().await
    }

    /// Takes the picture that the film ends with.
    pub(crate) async fn last(&self, driver: &Driver, pages: &Pages) {
        if pages.has_user_contexts() && !self.is_full() {
            self.take_picture(driver, pages).await;
        }
    }

    async fn take_pictures(&self, driver: &Driver, pages: &Pages) {
        let mut ticks = tokio::time::interval(PICTURE_PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.is_full() {
            ticks.tick().await;
            self.take_picture(driver, pages).await;
        }
    }

    /// A page that is just going, or busy, has no picture; the next time it may.
    async fn take_picture(&self, driver: &Driver, pages: &Pages) {
        let Some(place) = driver.place() else { return };
        let format = json!({ "type": "image/jpeg", "quality": 0.6 });
        let order = json!({ "context": place.page, "format": format });
        let taken = pages.command("browsingContext.captureScreenshot", order, PICTURE_LIMIT);
        if let Ok(taken) = taken.await {
            self.keep(&taken["data"]).await;
        }
    }

    /// Adds a picture, which is text in base64, to the film.
    async fn keep(&self, data: &Value) {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::STANDARD;
        let Some(jpeg) = data.as_str().and_then(|data| engine.decode(data).ok()) else { return };
        let (offset, name) = (self.began.elapsed(), lock(&self.film).frames.len());
        let Some(file) = capture::write(&self.folder, &format!("{name:06}.jpg"), &jpeg).await
        else {
            return;
        };
        let mut film = lock(&self.film);
        film.bytes += jpeg.len() as u64;
        film.frames.push(Frame { file, offset });
    }

    /// Tells whether the film has reached a limit, and notes that.
    fn is_full(&self) -> bool {
        let film = lock(&self.film);
        let full = film.frames.len() >= VIDEO_FRAMES_MAX || film.bytes >= VIDEO_FRAME_BYTES_MAX;
        drop(film);
        if full {
            self.stop("the test is too long to be filmed to its end");
        }
        full
    }

    fn stop(&self, problem: &str) {
        lock(&self.film).problem = Some(problem.to_owned());
    }
}

/// Returns where a Chromium of this machine takes more connections.
fn debugger_address(driver: &Driver) -> Option<String> {
    let options = driver.capability("goog:chromeOptions")?;
    options["debuggerAddress"].as_str().map(str::to_owned)
}

//! Frames of a Chromium page over a `DevTools` socket of our own: one whenever the page changes.
//!
//! The browser sends the next frames only when the last were acknowledged, and each is acknowledged no sooner than the next
//! may come: so the browser encodes no more than is kept. What changed while it was waiting may be missed; a single picture
//! once the page is quiet makes up for it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{time::Instant, time::sleep_until, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{Camera, FRAME_PAUSE, PICTURE_LIMIT};
use crate::{
    cdp::{self, Socket},
    driver::Driver,
};

/// How long a page must have been quiet before its picture is taken.
const QUIET: std::time::Duration = std::time::Duration::from_millis(600);
/// The longest side of a frame.
const SIDE_PIXELS_MAX: u32 = 1_280;

/// Films the page that commands go to, from one to the next, until the film is full or the browser cannot be reached.
pub(super) async fn run(camera: &Camera, address: &str, driver: &Driver) -> Result<(), String> {
    let mut ticks = tokio::time::interval(FRAME_PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !camera.is_full() {
        ticks.tick().await;
        let Some(place) = driver.place() else { continue };
        let url = format!("ws://{address}/devtools/page/{}", place.page);
        let connected = timeout(PICTURE_LIMIT, cdp::open(url)).await;
        let socket = connected
            .map_err(|_| "the page's socket does not open".to_owned())?
            .map_err(|error| error.to_string())?;
        let mut reel = Reel { camera, socket, next_id: 1, quiet_at: Some(Instant::now() + QUIET) };
        // A page that is closed ends its socket; the next one is looked for.
        let _ = reel.page(driver, &place.page).await;
    }
    Ok(())
}

struct Reel<'c> {
    camera: &'c Camera,
    socket: Socket,
    next_id: u64,
    /// When the page will have been quiet for long enough; none once its picture was taken.
    quiet_at: Option<Instant>,
}

impl Reel<'_> {
    /// Films one page until commands go to another; none when its socket closes.
    async fn page(&mut self, driver: &Driver, page: &str) -> Option<()> {
        let cast = json!({
            "format": "jpeg", "quality": 60, "maxWidth": SIDE_PIXELS_MAX, "maxHeight": SIDE_PIXELS_MAX,
        });
        self.send("Page.startScreencast", cast).await?;
        let mut ticks = tokio::time::interval(FRAME_PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.camera.is_full() {
            let quiet_at = self.quiet_at.unwrap_or_else(|| Instant::now() + QUIET);
            tokio::select! {
                message = self.socket.next() => self.take(&message?.ok()?).await?,
                () = sleep_until(quiet_at), if self.quiet_at.is_some() => {
                    self.quiet_at = None;
                    let format = json!({ "format": "jpeg", "quality": 60 });
                    self.send("Page.captureScreenshot", format).await?;
                }
                _ = ticks.tick() => {
                    if driver.place().is_some_and(|place| place.page != page) {
                        return Some(());
                    }
                }
            }
        }
        Some(())
    }

    async fn take(&mut self, message: &Message) -> Option<()> {
        let Message::Text(text) = message else { return Some(()) };
        let message: Value = serde_json::from_str(text).ok()?;
        if message["method"] == "Page.screencastFrame" {
            let began = Instant::now();
            self.camera.keep(&message["params"]["data"]).await;
            sleep_until(began + FRAME_PAUSE).await;
            let session = json!({ "sessionId": message["params"]["sessionId"] });
            self.send("Page.screencastFrameAck", session).await?;
            self.quiet_at = Some(Instant::now() + QUIET);
        } else if message["result"]["data"].is_string() {
            self.camera.keep(&message["result"]["data"]).await;
        }
        Some(())
    }

    async fn send(&mut self, method: &str, params: Value) -> Option<()> {
        let order = json!({ "id": self.next_id, "method": method, "params": params });
        self.next_id += 1;
        self.socket.send(Message::text(order.to_string())).await.ok()
    }
}

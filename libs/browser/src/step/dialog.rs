//! Dialogs that steps read and answer themselves. They are asked for by classic commands, which every browser has.

use gauntlet_core::flow::{DialogAction, DialogTime, FailureClass};
use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::Done;
use crate::{
    bidi::Answer,
    error::DriverError,
    session::{POLL, Session, Stop, limit},
};

impl Session<'_> {
    /// Returns what the open dialog says; `None` if none is open.
    pub(super) async fn dialog_text(
        &self,
        deadline: Instant,
    ) -> Result<Option<String>, DriverError> {
        match self.driver.call(Method::GET, "alert/text", None, limit(deadline)).await {
            Ok(text) => Ok(Some(text.as_str().unwrap_or_default().to_owned())),
            Err(error) if error.is_fatal() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Answers the dialog that is open, waiting for it to open; or says how the next one is answered.
    pub(super) async fn dialog(
        &mut self,
        (action, time): (&DialogAction, DialogTime),
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let answer = match action {
            DialogAction::Accept => Answer::Accept(None),
            DialogAction::Answer(text) => Answer::Accept(Some(text.clone())),
            DialogAction::Dismiss => Answer::Dismiss,
        };
        if time == DialogTime::Next {
            self.pages.events().planned.push_back(answer);
            return Ok(Done::default());
        }
        while self.dialog_text(deadline).await?.is_none() {
            if Instant::now() >= deadline {
                let message = "no dialog opened in time";
                return Err(
                    Stop::failure(FailureClass::Assertion, message).because("a dialog", "none")
                );
            }
            tokio::time::sleep(POLL).await;
        }
        let order = match &answer {
            Answer::Accept(text) => {
                if let Some(text) = text {
                    let body = json!({ "text": text });
                    self.driver.post("alert/text", body, limit(deadline)).await?;
                }
                "alert/accept"
            }
            Answer::Dismiss => "alert/dismiss",
        };
        self.driver.post(order, json!({}), limit(deadline)).await?;
        self.pages.events().held = false;
        Ok(Done::default())
    }

    /// Dismisses the dialog that hides the page at the end of a test.
    pub(crate) async fn clear_view(&mut self) {
        if self.holds() {
            let soon = Instant::now();
            let _ = self.dialog((&DialogAction::Dismiss, DialogTime::Now), soon).await;
        }
    }
}

//! Dialogs that steps read and answer themselves: where `DevTools` tell of them, by these; else by classic commands, which every
//! browser has.

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
        if self.pages.devtools().is_some() {
            let events = self.pages.events();
            return Ok(events.open_dialog.as_ref().map(|dialog| dialog.message.clone()));
        }
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
        self.give(answer, deadline).await?;
        self.pages.events().held = false;
        Ok(Done::default())
    }

    /// Answers the dialog that is open.
    async fn give(&self, answer: Answer, deadline: Instant) -> Result<(), DriverError> {
        if self.pages.devtools().is_some() {
            let Some(dialog) = self.pages.events().open_dialog.take() else { return Ok(()) };
            let mut order = json!({ "context": dialog.page, "accept": answer != Answer::Dismiss });
            if let Answer::Accept(text) = answer
                && let Some(text) = text.or(dialog.default)
            {
                order["userText"] = json!(text);
            }
            let handle = "browsingContext.handleUserPrompt";
            return self.pages.command(handle, order, limit(deadline)).await.map(drop);
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
        self.driver.post(order, json!({}), limit(deadline)).await.map(drop)
    }

    /// Dismisses the dialog that hides the page at the end of a test.
    pub(crate) async fn clear_view(&mut self) {
        if self.holds() {
            let soon = Instant::now();
            let _ = self.dialog((&DialogAction::Dismiss, DialogTime::Now), soon).await;
        }
    }
}

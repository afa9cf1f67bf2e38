//! Sends deliveries: claimed in the database, sent outside any transaction, recorded after.
//!
//! A crash while sending leaves the claim to run out, and the next process sends again under the same id. Nothing of a URL
//! but its origin is ever logged: it may carry a token.

use crate::config::Config;
use crate::guard::{self, Refused, Vetted};
use crate::sign::Secret;
use crate::store::{DueDelivery, Store, Tried};
use gauntlet_runtime::{Clock, Lifecycle, error_chain, jitter};
use std::time::Duration;

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a claimed delivery is left alone: a try and its record.
const HOLD: Duration = Duration::from_secs(30);
/// Deliveries sent at once.
const BATCH_MAX: i64 = 16;
/// How often the table is read when nobody announced a delivery.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How far the waits between tries are spread.
const JITTER: f64 = 0.2;

/// The sender of this process.
pub(crate) struct Sender {
    pub(crate) store: Store,
    pub(crate) secret: Secret,
    pub(crate) allow_loopback: bool,
    pub(crate) retry_schedule: Vec<Duration>,
    pub(crate) lifecycle: Lifecycle,
}

impl Sender {
    pub(crate) fn new(store: Store, config: &Config, lifecycle: &Lifecycle) -> Self {
        Self {
            store,
            secret: config.secret.clone(),
            allow_loopback: config.allow_loopback,
            retry_schedule: config.retry_schedule.clone(),
            lifecycle: lifecycle.clone(),
        }
    }

    /// Sends until the drain; tries under way are finished first.
    pub(crate) async fn run(self) {
        while !self.lifecycle.is_draining() {
            match self.store.claim(BATCH_MAX, HOLD).await {
                Ok(due) if !due.is_empty() => {
                    futures_util::future::join_all(due.iter().map(|due| self.deliver(due))).await;
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "no deliveries could be claimed");
                }
            }
            tokio::select! {
                () = self.lifecycle.draining() => return,
                () = self.store.created() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    async fn deliver(&self, due: &DueDelivery) {
        let tried = match guard::vet(&due.url, self.allow_loopback).await {
            Ok(vetted) => self.post(due, &vetted).await,
            Err(refused) => self.refused(due, &refused),
        };
        match &tried {
            Tried::Succeeded => tracing::info!(delivery.id = due.delivery_id, "delivered"),
            Tried::Failed { error, .. } => {
                tracing::warn!(
                    delivery.id = due.delivery_id,
                    error,
                    "delivery failed, tried again later"
                );
            }
            Tried::Dead { error } => {
                tracing::warn!(delivery.id = due.delivery_id, error, "delivery given up");
            }
        }
        // What cannot be recorded is sent again under the same id when the claim runs out.
        if let Err(error) = self.store.finish(due, &tried).await {
            tracing::warn!(error = %error_chain(&error), "a delivery's outcome was not recorded");
        }
    }

    fn refused(&self, due: &DueDelivery, refused: &Refused) -> Tried {
        if refused.may_pass_later() {
            return self.failed(due, refused.to_string());
        }
        Tried::Dead { error: refused.to_string() }
    }

    fn failed(&self, due: &DueDelivery, error: String) -> Tried {
        let tries = usize::try_from(due.attempt_count).unwrap_or(usize::MAX);
        match self.retry_schedule.get(tries.saturating_sub(1)) {
            Some(wait) => Tried::Failed { error, retry_in: jitter(*wait, JITTER) },
            None => Tried::Dead { error },
        }
    }

    async fn post(&self, due: &DueDelivery, vetted: &Vetted) -> Tried {
        let status = match self.request(due, vetted).await {
            Ok(status) => status,
            // The library's text may repeat the URL.
            Err(error) => return self.failed(due, transport_error(&error.without_url())),
        };
        match status {
            200..=299 => Tried::Succeeded,
            410 => Tried::Dead { error: "the receiver answered 410 gone".to_owned() },
            status => self.failed(due, format!("the receiver answered {status}")),
        }
    }

    async fn request(&self, due: &DueDelivery, vetted: &Vetted) -> Result<u16, reqwest::Error> {
        let client = reqwest::Client::builder()
            .resolve_to_addrs(&vetted.host, &[vetted.addr])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TRY_TIMEOUT)
            .build()?;
        let timestamp_s = Clock::system().now().as_second();
        let response = client
            .post(vetted.url.clone())
            .header("content-type", "application/json")
            .header("user-agent", concat!("gauntlet/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &due.delivery_id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", self.secret.sign(&due.delivery_id, timestamp_s, &due.body))
            .body(due.body.clone())
            .send()
            .await?;
        Ok(response.status().as_u16())
    }
}

fn transport_error(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "the receiver took too long"
    } else if error.is_connect() {
        "the receiver could not be reached"
    } else {
        "the call failed"
    };
    kind.to_owned()
}

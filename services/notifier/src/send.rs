//! Sends deliveries: claimed in the database one by one as there is room, sent outside any transaction, recorded after.
//!
//! A slow receiver fills its own share and no more, so that the others are called when they are due. A crash while sending
//! leaves the claim to run out, and the next process sends again under the same id.

use crate::post::{Answer, Poster};
use crate::store::{DueDelivery, Store, Tried};
use gauntlet_runtime::{Lifecycle, error_chain, jitter};
use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::Instrument as _;

/// How long a claimed delivery is left alone: a try and its record.
const HOLD: Duration = Duration::from_secs(30);
/// Deliveries in flight at once.
const IN_FLIGHT_MAX: usize = 64;
/// Deliveries in flight to one receiver.
const IN_FLIGHT_PER_RECEIVER_MAX: usize = 4;
/// How often the table is read when nobody announced a delivery.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How far the waits between tries are spread.
const JITTER: f64 = 0.2;

/// The sender of this process.
pub(crate) struct Sender {
    courier: Arc<Courier>,
    lifecycle: Lifecycle,
    in_flight: JoinSet<String>,
    /// Receivers with deliveries in flight, and how many.
    busy: HashMap<String, usize>,
}

impl Sender {
    pub(crate) fn new(
        store: Store,
        poster: Poster,
        retry_schedule: Vec<Duration>,
        lifecycle: &Lifecycle,
    ) -> Self {
        Self {
            courier: Arc::new(Courier { store, poster, retry_schedule }),
            lifecycle: lifecycle.clone(),
            in_flight: JoinSet::new(),
            busy: HashMap::new(),
        }
    }

    /// Sends until the drain; tries in flight are finished then, as long as the lifecycle's grace lasts.
    pub(crate) async fn run(mut self) {
        let lifecycle = self.lifecycle.clone();
        while !lifecycle.is_draining() {
            self.start_due().await;
            tokio::select! {
                () = lifecycle.draining() => break,
                Some(ended) = self.in_flight.join_next() => {
                    let receiver = ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
                    self.free(receiver);
                }
                () = self.courier.store.created() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
        while self.in_flight.join_next().await.is_some() {}
    }

    /// Starts what is due while there is room for it.
    async fn start_due(&mut self) {
        while self.in_flight.len() < IN_FLIGHT_MAX && !self.lifecycle.is_draining() {
            let full = self.busy.iter().filter(|(_, count)| **count >= IN_FLIGHT_PER_RECEIVER_MAX);
            let full: Vec<&str> = full.map(|(receiver, _)| receiver.as_str()).collect();
            match self.courier.store.claim(&full, HOLD).await {
                Ok(Some(due)) => {
                    *self.busy.entry(due.receiver.clone()).or_default() += 1;
                    let span = tracing::info_span!("deliver", delivery.id = due.delivery_id, run.id = %due.run_id);
                    gauntlet_rpc::link(&span, &due.traceparent);
                    self.in_flight.spawn(self.courier.clone().deliver(due).instrument(span));
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "no delivery could be claimed");
                    return;
                }
            }
        }
    }

    fn free(&mut self, receiver: String) {
        if let Some(count) = self.busy.get_mut(&receiver) {
            *count -= 1;
            if *count == 0 {
                self.busy.remove(&receiver);
            }
        }
    }
}

/// Carries a claimed delivery out.
struct Courier {
    store: Store,
    poster: Poster,
    /// Waits before each further try; a delivery is dead after the last.
    retry_schedule: Vec<Duration>,
}

impl Courier {
    /// Returns the receiver that has room again.
    async fn deliver(self: Arc<Self>, due: DueDelivery) -> String {
        let tried = match self.poster.post(&due).await {
            Answer::Accepted => Tried::Succeeded,
            Answer::Failed(error) => self.failed(&due, error),
            Answer::Hopeless(error) => Tried::Dead { error },
        };
        // Nothing of a URL is logged: it may carry a token.
        let id = &due.delivery_id;
        match &tried {
            Tried::Succeeded => tracing::info!(delivery.id = id, "delivered"),
            Tried::Failed { error, .. } => {
                tracing::warn!(delivery.id = id, error, "delivery failed, tried again later");
            }
            Tried::Dead { error } => tracing::warn!(delivery.id = id, error, "delivery given up"),
        }
        // What cannot be recorded is sent again under the same id when the claim runs out.
        if let Err(error) = self.store.finish(&due, &tried).await {
            tracing::warn!(error = %error_chain(&error), "a delivery's outcome was not recorded");
        }
        due.receiver
    }

    fn failed(&self, due: &DueDelivery, error: String) -> Tried {
        let tries = usize::try_from(due.attempt_count).unwrap_or(usize::MAX);
        match self.retry_schedule.get(tries.saturating_sub(1)) {
            Some(wait) => Tried::Failed { error, retry_in: jitter(*wait, JITTER) },
            None => Tried::Dead { error },
        }
    }
}

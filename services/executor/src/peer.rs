//! The other services as this one sees them: channels, and what a failed call means for the work it was about.
//!
//! Owns that judgement and nothing durable. Every call of this contract can be repeated, so a crash of either side costs a
//! repeat.

use crate::config::Config;
use gauntlet_core::limits::RECORDING_BYTES_MAX;
use gauntlet_proto::v1::{
    ingest_service_client::IngestServiceClient, lease_service_client::LeaseServiceClient,
    scheduler_service_client::SchedulerServiceClient,
};
use gauntlet_rpc::{EndpointError, Peer, Reason, limited};
use gauntlet_runtime::Backoff;
use std::time::Duration;
use tonic::{Code, Status};

/// Room for the envelope of a message around a recording.
const ENVELOPE_BYTES: usize = 64 * 1024;
/// First and longest delay between tries.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Longest wait that a peer may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// Failures in a row that look like a bug of the peer before the work is given up.
pub(crate) const BUGS_MAX: u32 = 5;

/// Clients of the services an executor talks to. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    pub(crate) leases: LeaseServiceClient<Peer>,
    pub(crate) catalog: SchedulerServiceClient<Peer>,
    pub(crate) ingest: IngestServiceClient<Peer>,
}

impl Peers {
    pub(crate) fn connect(config: &Config) -> Result<Self, EndpointError> {
        let scheduler = Peer::connect_lazy(&config.scheduler)?;
        let results = Peer::connect_lazy(&config.results)?;
        Ok(Self {
            leases: limited!(LeaseServiceClient::new(scheduler.clone())),
            catalog: SchedulerServiceClient::new(scheduler)
                .max_decoding_message_size(RECORDING_BYTES_MAX + ENVELOPE_BYTES),
            ingest: limited!(IngestServiceClient::new(results)),
        })
    }
}

/// What a failed call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Nothing of this lease counts any more.
    LeaseLost,
    /// The session has ended; open a new one.
    SessionLost,
    /// The peer, its database or the way to it is down: the same call again, later.
    Unavailable,
    /// It looks like a bug: worth a few more tries.
    Bug,
    /// The same call will fail again.
    Refused,
}

/// Returns what `status` means.
pub(crate) fn judge(status: &Status) -> Failed {
    match gauntlet_rpc::reason_of(status) {
        Some(Reason::LeaseLost | Reason::Sealed | Reason::RunTerminal | Reason::RunNotFound) => {
            return Failed::LeaseLost;
        }
        Some(Reason::SessionLost) => return Failed::SessionLost,
        _ => {}
    }
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::ResourceExhausted
        | Code::Cancelled
        | Code::Ok => Failed::Unavailable,
        Code::Unknown if gauntlet_rpc::is_unavailable(status) => Failed::Unavailable,
        Code::Unknown | Code::Internal | Code::DataLoss => Failed::Bug,
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => Failed::Refused,
    }
}

/// Returns whether the scheduler answered and only its database did not: then nobody can reap.
pub(crate) fn is_store_down(status: &Status) -> bool {
    matches!(
        gauntlet_rpc::reason_of(status),
        Some(Reason::StoreUnavailable | Reason::OutcomeUnknown)
    )
}

/// Counts failures in a row and waits between tries; ends the work when a bug does not go away.
#[derive(Debug)]
pub(crate) struct Patience {
    backoff: Backoff,
    bugs: u32,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { backoff: Backoff::new(RETRY_FIRST, RETRY_MAX), bugs: 0 }
    }

    /// Starts over; call it after a success.
    pub(crate) fn reset(&mut self) {
        self.backoff.reset();
        self.bugs = 0;
    }

    /// Judges a failure (none: the peer went silent), and waits when the call is worth another try.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait; the failure stays counted.
    pub(crate) async fn after(&mut self, status: Option<&Status>) -> Failed {
        let mut failed = status.map_or(Failed::Unavailable, judge);
        if failed == Failed::Bug {
            self.bugs += 1;
            if self.bugs >= BUGS_MAX {
                failed = Failed::Refused;
            }
        }
        if matches!(failed, Failed::Unavailable | Failed::Bug) {
            let delay = self.backoff.next_delay().unwrap_or_default();
            let asked = status.and_then(gauntlet_rpc::retry_after).unwrap_or_default();
            tokio::time::sleep(delay.max(asked.min(RETRY_AFTER_MAX))).await;
        }
        failed
    }
}

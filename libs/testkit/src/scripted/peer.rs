//! The services a scripted executor talks to, and what a failed call means for a lease.

use gauntlet_proto::v1::ingest_service_client::IngestServiceClient;
use gauntlet_proto::v1::lease_service_client::LeaseServiceClient;
use gauntlet_rpc::{Peer, Reason, limited, reason_of};
use tonic::{Code, Status};

use super::ScriptedConfig;

/// Clients; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    pub(crate) leases: LeaseServiceClient<Peer>,
    pub(crate) ingest: IngestServiceClient<Peer>,
}

impl Peers {
    pub(crate) fn connect(config: &ScriptedConfig) -> anyhow::Result<Self> {
        Ok(Self {
            leases: limited!(LeaseServiceClient::new(Peer::connect_lazy(&config.scheduler)?)),
            ingest: limited!(IngestServiceClient::new(Peer::connect_lazy(&config.results)?)),
        })
    }
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Nothing of the lease counts any more.
    LeaseVoid,
    /// The session is over.
    SessionLost,
    /// The same call again, later.
    Again,
    /// The same call will fail again.
    Refused,
}

pub(crate) fn judge(status: &Status) -> Failed {
    match reason_of(status) {
        Some(Reason::LeaseLost | Reason::Sealed | Reason::RunTerminal | Reason::RunNotFound) => {
            Failed::LeaseVoid
        }
        Some(Reason::SessionLost) => Failed::SessionLost,
        _ if is_refused(status) => Failed::Refused,
        _ => Failed::Again,
    }
}

/// Returns whether repeating the call cannot help.
pub(crate) fn is_refused(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::Unimplemented | Code::FailedPrecondition | Code::OutOfRange
    )
}

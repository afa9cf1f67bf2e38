//! Recordings by content hash, fetched once and kept within a bound of bytes.
//!
//! Owns that cache, of one executor. Content never changes under its hash, so nothing is ever stale; every fetch is checked
//! against its hash. A crash costs fetching again.

use crate::{
    cancel::Stop,
    peer::{Failed, Patience},
};
use gauntlet_core::flow::Flow;
use gauntlet_proto::edge;
use gauntlet_proto::v1::{self, scheduler_service_client::SchedulerServiceClient};
use gauntlet_rpc::Peer;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use tonic::Code;

/// Why a recording cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevisionError {
    /// The work stopped first.
    #[error("the work stopped")]
    Stopped,
    /// It does not exist, or cannot be read: this test cannot run anywhere.
    #[error("{0}")]
    Unreadable(String),
    /// The scheduler does not give it out.
    #[error("the recording could not be fetched: {0}")]
    Fetch(String),
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Revisions {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    flows: HashMap<String, (Arc<Flow>, usize)>,
    oldest_first: VecDeque<String>,
    bytes: usize,
}

impl Revisions {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// Returns the flow behind `hash`, fetching it if need be for as long as the work goes on.
    pub(crate) async fn flow(
        &self,
        catalog: &SchedulerServiceClient<Peer>,
        hash: &str,
        stop: &Stop,
    ) -> Result<Arc<Flow>, RevisionError> {
        if let Some(flow) = self.find(hash) {
            return Ok(flow);
        }
        let fetched = tokio::select! {
            () = stop.stopped() => return Err(RevisionError::Stopped),
            fetched = fetch(catalog.clone(), hash) => fetched?,
        };
        if sha256_hex(&fetched.content) != hash {
            return Err(RevisionError::Fetch("its content does not have its hash".to_owned()));
        }
        let flow = gauntlet_recordings::parse(&fetched.content, &fetched.file)
            .map_err(|errors| RevisionError::Unreadable(errors.to_string()))?;
        let flow = Arc::new(flow);
        self.keep(hash, &flow, fetched.content.len());
        Ok(flow)
    }

    fn find(&self, hash: &str) -> Option<Arc<Flow>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.flows.get(hash).map(|(flow, _)| Arc::clone(flow))
    }

    fn keep(&self, hash: &str, flow: &Arc<Flow>, bytes: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes > self.bytes_max || kept.flows.contains_key(hash) {
            return;
        }
        kept.flows.insert(hash.to_owned(), (Arc::clone(flow), bytes));
        kept.oldest_first.push_back(hash.to_owned());
        kept.bytes += bytes;
        while kept.bytes > self.bytes_max {
            let Some(oldest) = kept.oldest_first.pop_front() else { break };
            let freed = kept.flows.remove(&oldest).map_or(0, |(_, bytes)| bytes);
            kept.bytes -= freed;
        }
    }
}

async fn fetch(
    mut catalog: SchedulerServiceClient<Peer>,
    hash: &str,
) -> Result<v1::GetTestRevisionResponse, RevisionError> {
    let mut patience = Patience::new();
    loop {
        let request = v1::GetTestRevisionRequest { revision_hash: hash.to_owned() };
        let status = match catalog.get_test_revision(request).await {
            Ok(reply) => return Ok(reply.into_inner()),
            Err(status) => status,
        };
        if status.code() == Code::NotFound {
            return Err(RevisionError::Unreadable(format!("no recording has the hash {hash}")));
        }
        match patience.after(Some(&status)).await {
            Failed::Unavailable | Failed::Bug => {}
            Failed::Refused | Failed::LeaseLost | Failed::SessionLost => {
                return Err(RevisionError::Fetch(status.message().to_owned()));
            }
        }
    }
}

/// Returns the SHA-256 of `bytes` in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    edge::hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_within_its_bytes() {
        let flow = Arc::new(Flow::new("", Vec::new()));
        let cache = Revisions::new(100);
        cache.keep("a", &flow, 60);
        cache.keep("b", &flow, 60);
        cache.keep("c", &flow, 101);
        assert!(
            cache.find("a").is_none() && cache.find("b").is_some() && cache.find("c").is_none()
        );
    }
}

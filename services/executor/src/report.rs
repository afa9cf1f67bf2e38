//! Reports of one shard: a bounded spool and the stream that empties it.
//!
//! Promises that an attempt leaves the spool only when results acknowledged it: whatever ends the stream, the rest is sent
//! again, which natural keys make harmless (SH-3). No attempt is on disk: after a crash the shard's next holder runs again what
//! was not acknowledged, and only that.

use crate::{
    artifact::{Artifact, Courier},
    cancel::{Stop, StopReason},
    peer::{Failed, Patience},
};
use gauntlet_core::limits::{REPORT_ATTEMPTS_MAX, REPORT_BYTES_MAX};
use gauntlet_proto::v1;
use gauntlet_rpc::Peer;
use prost::Message as _;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;
use v1::ingest_service_client::IngestServiceClient;

/// Room in one shard's spool.
const SPOOL_KIB_MAX: u32 = 16 * 1024;
/// Longest time without an answer while one is due.
const ACK_SILENCE_MAX: Duration = Duration::from_secs(15);
/// Room left in a message for what surrounds the attempts.
const ENVELOPE_BYTES: usize = 4 * 1024;

/// Why reporting ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReportError {
    /// Nothing of the lease counts any more.
    #[error("the lease is void")]
    LeaseVoid,
    /// Results will never take it.
    #[error("results refused a report: {message}")]
    Refused {
        /// What it said.
        message: String,
    },
}

/// Where workers put attempts.
#[derive(Debug)]
pub(crate) struct Spool {
    attempts: mpsc::UnboundedSender<Spooled>,
    room: Arc<Semaphore>,
}

/// An attempt on its way.
#[derive(Debug)]
pub(crate) struct Spooled {
    pub(crate) attempt: v1::Attempt,
    /// What belongs to it and is not stored yet.
    pub(crate) artifacts: Vec<Artifact>,
    _room: OwnedSemaphorePermit,
}

impl Spool {
    /// Puts an attempt into the spool, waiting for room. Returns false when nobody reports any more.
    ///
    /// # Cancel safety
    /// Dropping the future while it waits leaves the attempt unreported.
    pub(crate) async fn push(&self, attempt: v1::Attempt, artifacts: Vec<Artifact>) -> bool {
        let kib = u32::try_from(attempt.encoded_len() / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib.min(SPOOL_KIB_MAX));
        tokio::select! {
            () = self.attempts.closed() => false,
            room = room => match room {
                Ok(room) => self.attempts.send(Spooled { attempt, artifacts, _room: room }).is_ok(),
                Err(_) => false,
            },
        }
    }
}

/// Empties the spool of one shard.
#[derive(Debug)]
pub(crate) struct Reporter {
    shard: v1::ShardRef,
    attempts: mpsc::UnboundedReceiver<Spooled>,
    unacknowledged: VecDeque<Vec<Spooled>>,
    acknowledged_count: i32,
    is_open: bool,
}

/// Returns the two ends of a shard's spool, and what stores artifacts in between; `acknowledged_count` is what results said
/// when the shard was opened.
pub(crate) fn spool(shard: v1::ShardRef, acknowledged_count: i32) -> (Spool, Courier, Reporter) {
    // Unbounded in number, bounded in bytes: every attempt holds its share of `room` until it is acknowledged.
    let (sender, carried) = mpsc::unbounded_channel();
    let (onward, attempts) = mpsc::unbounded_channel();
    let courier = Courier { shard: shard.clone(), attempts: carried, onward };
    let room = Arc::new(Semaphore::new(SPOOL_KIB_MAX as usize));
    let reporter = Reporter {
        shard,
        attempts,
        unacknowledged: VecDeque::new(),
        acknowledged_count,
        is_open: true,
    };
    (Spool { attempts: sender, room }, courier, reporter)
}

enum StreamEnd {
    /// The spool is closed and empty.
    Finished,
    /// The lease became void.
    Void,
    /// Results ended it, or went silent; `progress` tells whether it acknowledged anything.
    Broken { status: Option<Status>, progress: bool },
}

impl Reporter {
    /// Reports until the spool is closed and all of it acknowledged; returns the acknowledged count.
    ///
    /// A refusal because of the lease trips `stop` at once, so that browsers die.
    pub(crate) async fn run(
        mut self,
        mut ingest: IngestServiceClient<Peer>,
        stop: &Stop,
    ) -> Result<i32, ReportError> {
        let mut patience = Patience::new();
        loop {
            let status = match self.stream(&mut ingest, stop).await {
                StreamEnd::Finished => return Ok(self.acknowledged_count),
                StreamEnd::Void => return Err(ReportError::LeaseVoid),
                StreamEnd::Broken { status, progress } => {
                    if progress {
                        patience.reset();
                    }
                    status
                }
            };
            let failed = tokio::select! {
                () = stop.voided() => return Err(ReportError::LeaseVoid),
                failed = patience.after(status.as_ref()) => failed,
            };
            match failed {
                Failed::Unavailable | Failed::Bug => {
                    tracing::debug!(
                        shard.index = self.shard.shard_index,
                        "report stream ended, sending the rest again"
                    );
                }
                Failed::LeaseLost | Failed::SessionLost => {
                    stop.trip(StopReason::LeaseLost);
                    return Err(ReportError::LeaseVoid);
                }
                Failed::Refused => {
                    let message = status.map(|status| status.message().to_owned());
                    return Err(ReportError::Refused { message: message.unwrap_or_default() });
                }
            }
        }
    }

    /// One stream: first what was not acknowledged, then what comes. It is opened only when there is something to say.
    async fn stream(&mut self, ingest: &mut IngestServiceClient<Peer>, stop: &Stop) -> StreamEnd {
        if self.unacknowledged.is_empty() {
            tokio::select! {
                biased;
                () = stop.voided() => return StreamEnd::Void,
                first = self.attempts.recv() => match first {
                    Some(first) => self.gather(first),
                    None => return StreamEnd::Finished,
                },
            }
        }
        let (requests, out) = mpsc::unbounded_channel();
        let mut sequence = 0;
        for batch in &self.unacknowledged {
            sequence += 1;
            let _ = requests.send(self.request(sequence, batch));
        }
        let call = ingest.report_attempts(UnboundedReceiverStream::new(out));
        let answers = tokio::select! {
            () = stop.voided() => return StreamEnd::Void,
            answers = tokio::time::timeout(ACK_SILENCE_MAX, call) => answers,
        };
        match answers {
            Ok(Ok(answers)) => self.converse(requests, answers.into_inner(), sequence, stop).await,
            Ok(Err(status)) => StreamEnd::Broken { status: Some(status), progress: false },
            Err(_) => StreamEnd::Broken { status: None, progress: false },
        }
    }

    async fn converse(
        &mut self,
        requests: mpsc::UnboundedSender<v1::ReportAttemptsRequest>,
        mut answers: tonic::Streaming<v1::ReportAttemptsResponse>,
        mut sequence: i64,
        stop: &Stop,
    ) -> StreamEnd {
        let mut progress = false;
        let mut due = Instant::now() + ACK_SILENCE_MAX;
        loop {
            if self.unacknowledged.is_empty() && !self.is_open {
                return StreamEnd::Finished;
            }
            tokio::select! {
                biased;
                () = stop.voided() => return StreamEnd::Void,
                answer = answers.message() => match answer {
                    Ok(Some(answer)) if self.acknowledge(&answer, sequence) => {
                        progress = true;
                        due = Instant::now() + ACK_SILENCE_MAX;
                    }
                    Ok(_) => return StreamEnd::Broken { status: None, progress },
                    Err(status) => return StreamEnd::Broken { status: Some(status), progress },
                },
                next = self.attempts.recv(), if self.is_open => match next {
                    Some(first) => {
                        if self.unacknowledged.is_empty() {
                            due = Instant::now() + ACK_SILENCE_MAX;
                        }
                        self.gather(first);
                        sequence += 1;
                        let batch = self.unacknowledged.back().map_or(&[][..], Vec::as_slice);
                        let _ = requests.send(self.request(sequence, batch));
                    }
                    None => self.is_open = false,
                },
                () = tokio::time::sleep_until(due), if !self.unacknowledged.is_empty() => {
                    return StreamEnd::Broken { status: None, progress };
                }
            }
        }
    }

    /// Takes an answer; returns false when it is not about the oldest message in flight.
    fn acknowledge(&mut self, answer: &v1::ReportAttemptsResponse, newest: i64) -> bool {
        let in_flight = i64::try_from(self.unacknowledged.len()).unwrap_or(i64::MAX);
        if in_flight == 0 || answer.sequence != newest - in_flight + 1 {
            tracing::warn!(sequence = answer.sequence, newest, "results answered out of order");
            return false;
        }
        self.unacknowledged.pop_front();
        self.acknowledged_count = self.acknowledged_count.max(answer.acknowledged_count);
        true
    }

    /// Makes one message of `first` and whatever else is waiting.
    fn gather(&mut self, first: Spooled) {
        let mut bytes = first.attempt.encoded_len() + ENVELOPE_BYTES;
        let mut batch = vec![first];
        let room_for_one = gauntlet_core::limits::ATTEMPT_BYTES_MAX;
        while batch.len() < REPORT_ATTEMPTS_MAX && bytes + room_for_one < REPORT_BYTES_MAX {
            let Ok(next) = self.attempts.try_recv() else { break };
            bytes += next.attempt.encoded_len() + 8;
            batch.push(next);
        }
        self.unacknowledged.push_back(batch);
    }

    fn request(&self, sequence: i64, batch: &[Spooled]) -> v1::ReportAttemptsRequest {
        let attempts = batch.iter().map(|spooled| spooled.attempt.clone()).collect();
        v1::ReportAttemptsRequest { shard: Some(self.shard.clone()), sequence, attempts }
    }
}

//! Telling the scheduler how a lease ended, until it answers.
//!
//! Owns the repeats, which the scheduler makes harmless: a repeat is told DUPLICATE. A crash between the last
//! acknowledgement and the answer costs a lease: the next holder finds every result final and completes at once.

use crate::{
    app::Executor,
    cancel::Stop,
    leases::{Ended, GrantKey, Lease},
    peer::{Failed, Patience},
    session::Session,
    shard::ShardEnd,
};
use gauntlet_proto::v1;

/// Longest message for people, in characters.
const MESSAGE_CHARS_MAX: usize = 1_024;

/// Returns what to tell the scheduler; none when nothing of the lease counts.
pub(crate) fn completion(lease: &Lease, end: ShardEnd) -> Option<v1::ShardCompletion> {
    let blank = handed_back(&lease.key);
    Some(match end {
        ShardEnd::Void => return None,
        ShardEnd::HandBack => blank,
        ShardEnd::Done { reported_count, deferred_ordinals } => {
            let kind = v1::CompletionKind::Done.into();
            v1::ShardCompletion { kind, reported_count, deferred_ordinals, ..blank }
        }
        ShardEnd::Failed { class, message } => v1::ShardCompletion {
            kind: v1::CompletionKind::Failed.into(),
            failure_class: class.as_str().to_owned(),
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
            ..blank
        },
    })
}

/// Returns the completion that gives a grant back.
pub(crate) fn handed_back(key: &GrantKey) -> v1::ShardCompletion {
    v1::ShardCompletion {
        run_id: key.run_id.to_string(),
        shard_index: key.shard_index,
        epoch: key.wire_epoch(),
        kind: v1::CompletionKind::HandedBack.into(),
        ..v1::ShardCompletion::default()
    }
}

/// Sends a completion until it is answered or the lease is void. A call in flight is waited for even then: the renewal that
/// says "lost" may have seen this very completion.
pub(crate) async fn complete(
    executor: &Executor,
    session: &Session,
    completion: v1::ShardCompletion,
    stop: &Stop,
) -> Ended {
    let request = v1::CompleteShardsRequest {
        session_id: session.id.to_string(),
        completions: vec![completion],
    };
    let mut patience = Patience::new();
    while !stop.is_void() && !session.is_silent() {
        let mut leases = executor.peers.leases.clone();
        let status = match leases.complete_shards(request.clone()).await {
            Ok(reply) => return answered(reply.into_inner().outcomes.first()),
            Err(status) => status,
        };
        match patience.after(Some(&status)).await {
            Failed::Unavailable | Failed::Bug => {
                tracing::debug!(code = ?status.code(), "completion not answered, repeating it");
            }
            Failed::LeaseLost | Failed::SessionLost => return Ended::Dropped,
            Failed::Refused => {
                tracing::error!(code = ?status.code(), message = status.message(), "completion was refused");
                return Ended::Dropped;
            }
        }
    }
    Ended::Dropped
}

fn answered(outcome: Option<&v1::CompletionOutcome>) -> Ended {
    let result = outcome.map(v1::CompletionOutcome::result);
    match result {
        Some(
            v1::CompletionResult::Counted
            | v1::CompletionResult::Duplicate
            | v1::CompletionResult::Requeued,
        ) => tracing::debug!(?result, "completion answered"),
        Some(v1::CompletionResult::LeaseLost | v1::CompletionResult::RunClosed) => {
            tracing::info!(?result, "completion came too late");
        }
        Some(v1::CompletionResult::Unspecified) | None => {
            tracing::error!("scheduler did not say what became of a completion");
            return Ended::Dropped;
        }
    }
    Ended::Answered
}

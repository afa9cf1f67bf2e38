//! `LeaseService`: sessions, claims, beats, completions.

use super::Handlers;
use super::error::CallError;
use super::requests::name;
use crate::admit;
use crate::grants::Grant;
use crate::store::apply::Applied;
use crate::store::claim::Claimer;
use crate::store::rows::{epoch, epoch_column, ordinals, signed, unsigned};
use crate::store::sessions::{Held, NewSession};
use gauntlet_core::limits::{
    BEAT_INTERVAL, EXECUTOR_SLOTS_MAX, LEASE_TTL, POLL_TIMEOUT_MAX, PROTOCOL_VERSION,
    PROTOCOL_VERSION_MIN, SHARD_TESTS_MAX, SHARD_WORKERS_MAX,
};
use gauntlet_core::protocol::{Command, Completion, Outcome, Running};
use gauntlet_core::{RunId, SessionId};
use gauntlet_proto::edge::{self, Violations, wire_duration};
use gauntlet_proto::v1::{self, lease_service_server::LeaseService};
use gauntlet_rpc::{draining, invalid_fields, status};
use gauntlet_runtime::error_chain;
use std::collections::HashMap;
use tonic::{Request, Response, Status};

const COMPLETIONS_MAX: usize = 256;
const MESSAGE_CHARS_MAX: usize = 1_024;
/// What sets an executor apart.
const ATTRIBUTES_MAX: usize = 16;
const ATTRIBUTE_CHARS_MAX: usize = 64;

#[tonic::async_trait]
impl LeaseService for Handlers {
    async fn open_session(
        &self,
        request: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        let request = request.into_inner();
        let spoken = PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION;
        if !u32::try_from(request.protocol_version).is_ok_and(|version| spoken.contains(&version)) {
            return Err(status(&CallError::ProtocolUnsupported(request.protocol_version)));
        }
        let new = new_session(&request)?;
        let opened = self.store.open_session(&new).await;
        if !opened.map_err(|error| status(&CallError::Store(error)))? {
            return Err(status(&CallError::SessionLost));
        }
        tracing::info!(executor = new.name, slots = new.slots, "executor connected");
        Ok(Response::new(v1::OpenSessionResponse {
            lease_ttl: Some(wire_duration(LEASE_TTL)),
            beat_interval: Some(wire_duration(BEAT_INTERVAL)),
        }))
    }

    async fn claim_shards(
        &self,
        request: Request<v1::ClaimShardsRequest>,
    ) -> Result<Response<v1::ClaimShardsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let session = violations.take(edge::uuid("session_id", &request.session_id));
        let free = u32::try_from(request.free_slots).unwrap_or(0);
        let rule = format!("must be between 1 and {EXECUTOR_SLOTS_MAX}");
        violations.check((1..=EXECUTOR_SLOTS_MAX).contains(&free), "free_slots", rule);
        let timeout = request.poll_timeout.unwrap_or_default();
        let timeout = violations.take(edge::duration("poll_timeout", &timeout));
        violations.finish().map_err(|v| invalid_fields(&v))?;
        let session = SessionId(session.unwrap_or_default());
        let offer = self.store.find_session(session).await;
        let offer = offer.map_err(|error| status(&CallError::Store(error)))?;
        let offer = offer.ok_or_else(|| status(&CallError::SessionLost))?;
        let claimer =
            Claimer { session, free_slots: free, slots: offer.slots, browsers: offer.browsers };
        let timeout = timeout.unwrap_or_default().min(POLL_TIMEOUT_MAX);
        let grants = tokio::select! {
            grants = self.dispatcher.poll(claimer, timeout) => grants,
            () = self.lifecycle.draining() => return Err(draining()),
        };
        Ok(Response::new(v1::ClaimShardsResponse { grants: self.messages(grants) }))
    }

    async fn renew_leases(
        &self,
        request: Request<v1::RenewLeasesRequest>,
    ) -> Result<Response<v1::RenewLeasesResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session_id)?;
        let held = held(&request.held)?;
        let beat = self.store.renew_session(session, &held, request.draining).await;
        let beat = beat.map_err(|error| status(&CallError::Store(error)))?;
        let beat = beat.ok_or_else(|| status(&CallError::SessionLost))?;
        let leases = beat.leases.into_iter().map(|renewed| v1::RenewedLease {
            run_id: renewed.held.run_id.to_string(),
            shard_index: signed(renewed.held.shard_index),
            epoch: epoch_column(renewed.held.epoch),
            abort_requested: renewed.cancelled,
            lost: renewed.lost,
        });
        Ok(Response::new(v1::RenewLeasesResponse {
            expire_time: Some(edge::timestamp(beat.expires_at)),
            leases: leases.collect(),
            unnamed_grants: self.messages(beat.unnamed),
        }))
    }

    async fn complete_shards(
        &self,
        request: Request<v1::CompleteShardsRequest>,
    ) -> Result<Response<v1::CompleteShardsResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session_id)?;
        let count = request.completions.len();
        let mut violations = Violations::default();
        let rule = format!("must have 1 to {COMPLETIONS_MAX} items");
        violations.check((1..=COMPLETIONS_MAX).contains(&count), "completions", rule);
        let parsed: Vec<_> =
            request.completions.iter().filter_map(|c| completion(c, &mut violations)).collect();
        violations.finish().map_err(|v| invalid_fields(&v))?;
        let items = parsed.into_iter().map(|item| self.complete(session, item));
        let outcomes = futures_util::future::try_join_all(items).await?;
        Ok(Response::new(v1::CompleteShardsResponse { outcomes }))
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        let session = session_id(&request.into_inner().session_id)?;
        let closed = self.store.close_session(session).await;
        closed.map_err(|error| status(&CallError::Store(error)))?;
        Ok(Response::new(v1::CloseSessionResponse {}))
    }
}

/// A completion, checked at the edge.
struct ParsedCompletion {
    run_id: RunId,
    shard_index: u32,
    epoch: gauntlet_core::LeaseEpoch,
    completion: Completion,
}

impl Handlers {
    async fn complete(
        &self,
        session: SessionId,
        item: ParsedCompletion,
    ) -> Result<v1::CompletionOutcome, Status> {
        let ParsedCompletion { run_id, shard_index, epoch, completion } = item;
        let parked = self.finalizations.waiting();
        let command = Command::Complete { session, epoch, completion, parked };
        let applied = self.committer.commit(run_id, Some(shard_index), command).await;
        let applied = applied.map_err(|error| status(&CallError::Commit(error)))?;
        let result = match applied {
            Applied::NotFound => v1::CompletionResult::LeaseLost,
            Applied::Decided { outcome, .. } => {
                self.finalizations.deliver_elected(run_id, &outcome);
                completion_result(&outcome)
            }
        };
        Ok(v1::CompletionOutcome {
            run_id: run_id.to_string(),
            shard_index: signed(shard_index),
            result: result.into(),
        })
    }
}

fn completion_result(outcome: &Outcome) -> v1::CompletionResult {
    match outcome {
        Outcome::Counted { .. } => v1::CompletionResult::Counted,
        Outcome::Duplicate => v1::CompletionResult::Duplicate,
        Outcome::Requeued => v1::CompletionResult::Requeued,
        // A failed shard that ends its run at once (STOP_RUN) closes it too.
        Outcome::RunClosed | Outcome::Closed => v1::CompletionResult::RunClosed,
        Outcome::LeaseLost
        | Outcome::Unchanged
        | Outcome::Granted
        | Outcome::FinalizerElected(_)
        | Outcome::Stopped { .. }
        | Outcome::Retried
        | Outcome::AlreadyRetried
        | Outcome::NotTerminal(_)
        | Outcome::AlreadyClosed
        | Outcome::AlreadyAborted
        | Outcome::AlreadyTerminal(_)
        | Outcome::FinalizationLost => v1::CompletionResult::LeaseLost,
    }
}

fn completion(item: &v1::ShardCompletion, violations: &mut Violations) -> Option<ParsedCompletion> {
    let run_id = violations.take(edge::uuid("completions.run_id", &item.run_id))?;
    let reported_count = unsigned(item.reported_count);
    let completion = match item.kind() {
        v1::CompletionKind::Done => {
            let few = item.deferred_ordinals.len() <= SHARD_TESTS_MAX as usize;
            let rule = format!("at most {SHARD_TESTS_MAX}");
            violations.check(few, "completions.deferred_ordinals", rule);
            let deferred = ordinals(item.deferred_ordinals.clone());
            Some(Completion::Done { reported_count, deferred })
        }
        v1::CompletionKind::Failed => {
            if !item.message.is_empty() {
                let message: String = item.message.chars().take(MESSAGE_CHARS_MAX).collect();
                tracing::warn!(
                    run.id = item.run_id,
                    shard.index = item.shard_index,
                    class = item.failure_class,
                    message,
                    "shard failed"
                );
            }
            let class = match item.failure_class.as_str() {
                "" => "UNKNOWN".to_owned(),
                class => class.chars().take(64).collect(),
            };
            Some(Completion::Failed { class, reported_count })
        }
        v1::CompletionKind::HandedBack => Some(Completion::HandedBack),
        v1::CompletionKind::Unspecified => None,
    };
    violations.check(completion.is_some(), "completions.kind", "must be set to a known value");
    Some(ParsedCompletion {
        run_id: RunId(run_id),
        shard_index: unsigned(item.shard_index),
        epoch: epoch(item.epoch),
        completion: completion?,
    })
}

fn new_session(request: &v1::OpenSessionRequest) -> Result<NewSession, Status> {
    let mut violations = Violations::default();
    let session = violations.take(edge::uuid("session_id", &request.session_id));
    violations.take(name("name", &request.name));
    let slots = u32::try_from(request.slots).unwrap_or(0);
    let rule = format!("must be between 1 and {EXECUTOR_SLOTS_MAX}");
    violations.check((1..=EXECUTOR_SLOTS_MAX).contains(&slots), "slots", rule);
    let attributes = &request.attributes;
    let short = attributes.iter().all(|text| text.chars().count() <= ATTRIBUTE_CHARS_MAX);
    let rule = format!("at most {ATTRIBUTES_MAX}, each up to {ATTRIBUTE_CHARS_MAX} characters");
    violations.check(short && attributes.len() <= ATTRIBUTES_MAX, "attributes", rule);
    violations.finish().map_err(|v| invalid_fields(&v))?;
    Ok(NewSession {
        session: SessionId(session.unwrap_or_default()),
        name: request.name.clone(),
        browsers: admit::offered(request.browsers(), request.films, request.filters_egress),
        slots,
        protocol_version: request.protocol_version,
        attributes: attributes.clone(),
    })
}

fn held(leases: &[v1::HeldLease]) -> Result<Vec<Held>, Status> {
    let mut violations = Violations::default();
    let held = leases.iter().filter_map(|lease| {
        let run_id = violations.take(edge::uuid("held.run_id", &lease.run_id))?;
        Some(Held {
            run_id: RunId(run_id),
            shard_index: unsigned(lease.shard_index),
            epoch: epoch(lease.epoch),
            running: running(lease),
        })
    });
    let held = held.collect();
    violations.finish().map_err(|v| invalid_fields(&v))?;
    Ok(held)
}

/// Returns the running tests of a lease; an executor of version 1 names their ordinals only.
fn running(lease: &v1::HeldLease) -> Vec<Running> {
    let known = lease.running.iter().map(|test| Running {
        ordinal: unsigned(test.ordinal),
        attempt: unsigned(test.attempt),
        step: u32::try_from(test.step_index).ok(),
    });
    let named = lease.running_ordinals.iter().map(|ordinal| Running {
        ordinal: unsigned(*ordinal),
        attempt: 0,
        step: None,
    });
    let named = named.filter(|_| lease.running.is_empty());
    known.chain(named).take(SHARD_WORKERS_MAX as usize).collect()
}

fn session_id(text: &str) -> Result<SessionId, Status> {
    edge::uuid("session_id", text).map(SessionId).map_err(|v| invalid_fields(&[v]))
}

impl Handlers {
    /// Returns grants as executors get them, secrets in clear.
    fn messages(&self, grants: Vec<Grant>) -> Vec<v1::ShardGrant> {
        let message = |grant: Grant| {
            let secrets = self.vault.open(&grant.secrets).unwrap_or_else(|error| {
                // It opened at admission. The tests go on without, and say what they miss.
                tracing::error!(run.id = %grant.run_id, error = %error_chain(&error), "a grant goes out without its secrets");
                HashMap::new()
            });
            v1::ShardGrant { secrets, ..grant.message }
        };
        grants.into_iter().map(message).collect()
    }
}

//! Events of a run: from the protocol's to the wire's, and their place in the log and the feed.
//!
//! Invariants: RN-2 (unique index), RN-4 (revisions from the locked run), FD-1 (feed lane locked last).

use crate::store::{rows::signed, sql};
use gauntlet_core::limits::FEED_LANES;
use gauntlet_core::protocol::{Event, RunState, Running, StopReason};
use gauntlet_core::{RunId, SessionId};
use gauntlet_pg::{Flight, params};
use gauntlet_proto::v1;
use prost::Message as _;
use std::collections::{BTreeSet, HashMap};

/// What an event's text needs besides the protocol's event.
pub(crate) struct Context<'a> {
    pub(crate) names: &'a HashMap<SessionId, String>,
    pub(crate) test_count: i32,
    pub(crate) trigger: &'a [u8],
    pub(crate) traceparent: &'a str,
    pub(crate) verdict: Option<&'a [u8]>,
}

/// An event with its place, ready to append.
pub(crate) struct NewEvent {
    run_id: RunId,
    revision: u64,
    generation: u32,
    terminal: bool,
    payload: Vec<u8>,
}

impl NewEvent {
    /// Returns the wire form of a protocol event.
    pub(crate) fn of(
        run_id: RunId,
        generation: u32,
        revision: u64,
        event: &Event,
        context: &Context<'_>,
    ) -> Self {
        let terminal = matches!(event, Event::Terminal { .. });
        Self::new(run_id, generation, revision, terminal, wire(event, context))
    }

    /// Returns the first event of a run.
    pub(crate) fn admitted(run_id: RunId, test_count: i32, shard_count: i32) -> Self {
        let event = v1::RunAdmitted { test_count, shard_count };
        Self::new(run_id, 1, 1, false, v1::run_event::Event::Admitted(event))
    }

    fn new(
        run_id: RunId,
        generation: u32,
        revision: u64,
        terminal: bool,
        event: v1::run_event::Event,
    ) -> Self {
        let message = v1::RunEvent {
            run_id: run_id.to_string(),
            revision: i64::try_from(revision).unwrap_or(i64::MAX),
            generation: signed(generation),
            create_time: None,
            event: Some(event),
        };
        Self { run_id, revision, generation, terminal, payload: message.encode_to_vec() }
    }
}

/// Returns the lane of the feed that carries a run's events.
pub(crate) fn feed_lane(run_id: RunId) -> u32 {
    // The last byte of a UUIDv7 is random.
    u32::from(run_id.0.as_bytes()[15]) % FEED_LANES
}

/// Returns the session an event names, if it does.
pub(crate) fn session_of(event: &Event) -> Option<SessionId> {
    match event {
        Event::ShardGranted { session, .. } => Some(*session),
        Event::ShardLost { session, .. } => *session,
        Event::ShardDone { .. }
        | Event::Finalizing { .. }
        | Event::Retried { .. }
        | Event::Terminal { .. } => None,
    }
}

/// Appends events. Must be the last statements of the transaction: they lock feed lanes.
pub(crate) fn append(flight: &mut Flight<'_>, events: &[NewEvent]) {
    macro_rules! column {
        ($event:ident => $value:expr) => {
            events.iter().map(|$event| $value).collect::<Vec<_>>()
        };
    }
    let lanes: BTreeSet<u32> = events.iter().map(|event| feed_lane(event.run_id)).collect();
    let lanes: Vec<i32> = lanes.into_iter().map(signed).collect();
    flight.add(sql::EVENTS_LOCK_FEED_LANES, params![lanes]);
    flight.add(
        sql::EVENTS_APPEND,
        params![
            column!(event => event.run_id.0),
            column!(event => i64::try_from(event.revision).unwrap_or(i64::MAX)),
            column!(event => signed(event.generation)),
            column!(event => i16::try_from(feed_lane(event.run_id)).unwrap_or(0)),
            column!(event => event.terminal),
            column!(event => event.payload.clone()),
        ],
    );
}

fn wire(event: &Event, context: &Context<'_>) -> v1::run_event::Event {
    use v1::run_event::Event as Wire;
    let name = |session: Option<SessionId>| {
        session.and_then(|s| context.names.get(&s).cloned()).unwrap_or_default()
    };
    let number = |epoch: gauntlet_core::LeaseEpoch| i64::try_from(epoch.0).unwrap_or(i64::MAX);
    match event {
        Event::ShardGranted { shard_index, epoch, session } => {
            Wire::ShardGranted(v1::ShardGranted {
                shard_index: signed(*shard_index),
                epoch: number(*epoch),
                executor: name(Some(*session)),
            })
        }
        Event::ShardLost { shard_index, epoch, session, reason, running } => {
            Wire::ShardLost(v1::ShardLost {
                shard_index: signed(*shard_index),
                epoch: number(*epoch),
                executor: name(*session),
                reason: reason.clone(),
                running_ordinals: running.iter().map(|test| signed(test.ordinal)).collect(),
                running: running.iter().map(running_test).collect(),
            })
        }
        Event::ShardDone {
            shard_index,
            epoch,
            open_shard_count,
            failure_class,
            deferred_count,
        } => Wire::ShardDone(v1::ShardDone {
            shard_index: signed(*shard_index),
            epoch: number(*epoch),
            open_shard_count: signed(*open_shard_count),
            failure_class: failure_class.clone().unwrap_or_default(),
            deferred_count: signed(*deferred_count),
        }),
        Event::Finalizing { finalizer_epoch, stop_reason } => Wire::Finalizing(v1::RunFinalizing {
            finalizer_epoch: i64::from(*finalizer_epoch),
            stop_reason: wire_stop_reason(*stop_reason).into(),
        }),
        Event::Retried { test_count, shard_count } => Wire::Retried(v1::RunRetried {
            test_count: signed(*test_count),
            shard_count: signed(*shard_count),
        }),
        Event::Terminal { state, reason } => Wire::Terminal(terminal(*state, reason, context)),
    }
}

fn terminal(state: RunState, reason: &Option<String>, context: &Context<'_>) -> v1::RunTerminal {
    // The scheduler wrote both blobs itself; one it cannot read any more is shown as absent.
    let trigger = v1::Trigger::decode(context.trigger).unwrap_or_default();
    let verdict = context.verdict.and_then(|bytes| v1::Verdict::decode(bytes).ok());
    v1::RunTerminal {
        state: wire_state(state).into(),
        verdict,
        reason: reason.clone().unwrap_or_default(),
        callback_url: trigger.callback_url,
        test_count: context.test_count,
        traceparent: context.traceparent.to_owned(),
    }
}

fn running_test(test: &Running) -> v1::RunningTest {
    v1::RunningTest {
        ordinal: signed(test.ordinal),
        step_index: test.step.map_or(-1, signed),
        attempt: signed(test.attempt),
    }
}

/// Returns the wire's name of a reason to stop.
pub(crate) fn wire_stop_reason(reason: Option<StopReason>) -> v1::StopReason {
    match reason {
        None => v1::StopReason::Unspecified,
        Some(StopReason::FailFast) => v1::StopReason::FailFast,
        Some(StopReason::Deadline) => v1::StopReason::Deadline,
    }
}

/// Returns the wire's name of a state.
pub(crate) fn wire_state(state: RunState) -> v1::RunState {
    match state {
        RunState::Queued => v1::RunState::Queued,
        RunState::Running => v1::RunState::Running,
        RunState::Finalizing => v1::RunState::Finalizing,
        RunState::Passed => v1::RunState::Passed,
        RunState::Failed => v1::RunState::Failed,
        RunState::Errored => v1::RunState::Errored,
        RunState::Aborted => v1::RunState::Aborted,
    }
}

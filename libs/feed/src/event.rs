//! What the feed tells, checked: services see no malformed event.

use gauntlet_core::RunId;
use gauntlet_core::limits::FEED_LANES;
use gauntlet_proto::v1::{self, RunState};
use gauntlet_proto::{FieldViolation, edge};
use uuid::Uuid;

/// Where a service stands in one lane of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Lane, one of those that the feed has.
    pub lane: i32,
    /// Feed that the position belongs to.
    pub feed_id: Uuid,
    /// Last event that was acted on.
    pub position: i64,
}

impl Cursor {
    /// Returns where a message stands.
    pub(crate) fn parse(feed_id: &str, at: v1::FeedCursor) -> Result<Self, FieldViolation> {
        // A lane that no feed has would be refused with every later request.
        if u32::try_from(at.lane).ok().is_none_or(|lane| lane >= FEED_LANES) {
            return Err(FieldViolation::new("cursor.lane", "must be a lane of the feed"));
        }
        let feed_id = edge::uuid("feed_id", feed_id)?;
        Ok(Self { lane: at.lane, feed_id, position: at.position })
    }
}

/// A generation of a run that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The run.
    pub run_id: RunId,
    /// Its generation, from 1.
    pub generation: i32,
    /// PASSED, FAILED, ERRORED or ABORTED.
    pub state: RunState,
    /// Number of planned tests.
    pub test_count: u32,
    /// The event. Its text holds no NUL, which Postgres could not store.
    pub terminal: v1::RunTerminal,
}

impl Ended {
    /// Returns the end that an event tells of; none when it tells something else.
    pub(crate) fn parse(event: v1::RunEvent) -> Result<Option<Self>, FieldViolation> {
        let run_id = RunId(edge::uuid("event.run_id", &event.run_id)?);
        let Some(v1::run_event::Event::Terminal(terminal)) = event.event else { return Ok(None) };
        let violation = |field: &str, what| FieldViolation::new(format!("event.{field}"), what);
        if event.generation < 1 {
            return Err(violation("generation", "must be at least 1"));
        }
        let state = terminal.state();
        if !matches!(
            state,
            RunState::Passed | RunState::Failed | RunState::Errored | RunState::Aborted
        ) {
            return Err(violation("terminal.state", "must be the state of a run that has ended"));
        }
        let test_count = u32::try_from(terminal.test_count)
            .map_err(|_| violation("terminal.test_count", "must not be negative"))?;
        if terminal.callback_url.contains('\0') {
            return Err(violation("terminal.callback_url", "must not hold NUL"));
        }
        Ok(Some(Self { run_id, generation: event.generation, state, test_count, terminal }))
    }
}

//! What results makes of the feed: runs that ended without a verdict (aborted, stopped) are sealed here.
//!
//! The cursor moves in the transaction that seals, so a crash repeats an event and the seal is idempotent.

use crate::store::{Store, StoreError};
use gauntlet_core::seal::{Ending, Rest};
use gauntlet_feed::{Cursor, Ended, Subscriber};
use gauntlet_proto::v1::RunState;
use std::collections::BTreeSet;

impl Subscriber for Store {
    type Error = StoreError;

    async fn list_cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        self.list_cursors().await
    }

    async fn reset_cursors(&self) -> Result<(), StoreError> {
        self.reset_cursors().await
    }

    async fn advance(&self, cursor: Cursor) -> Result<(), StoreError> {
        self.advance(cursor).await
    }

    fn needs(&self, ended: &Ended) -> bool {
        // Whoever computed the verdict has sealed.
        ended.terminal.verdict.is_none()
    }

    async fn act(&self, ended: &Ended, cursor: Cursor) -> Result<(), StoreError> {
        let rest = match ended.state {
            RunState::Aborted => Rest::Aborted,
            _ => Rest::Ended { errored: BTreeSet::new(), stopped: None },
        };
        // The event does not name the tests of the generation: those without a result keep what they had.
        let (generation, test_count) = (ended.generation, ended.test_count);
        let ending = Ending { generation, test_count, planned: None, rest };
        self.seal_at(ended.run_id, &ending, cursor).await
    }
}

//! Rows of the notifier: deliveries and cursors.

pub(crate) mod sql;

use gauntlet_core::RunId;
use gauntlet_feed::Cursor;
use gauntlet_pg::{PgError, Pool, Row, Transaction, Tx};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A delivery to create.
#[derive(Debug, Clone)]
pub(crate) struct NewDelivery {
    pub(crate) delivery_id: String,
    pub(crate) run_id: RunId,
    pub(crate) generation: i32,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) traceparent: String,
}

/// A delivery that is due.
pub(crate) struct DueDelivery {
    pub(crate) delivery_id: String,
    pub(crate) url: String,
    /// Host and port of the URL, by which receivers are told apart.
    pub(crate) receiver: String,
    pub(crate) body: String,
    pub(crate) attempt_count: i32,
    pub(crate) run_id: RunId,
    /// Trace that the run was triggered in; may be empty.
    pub(crate) traceparent: String,
}

/// A delivery as people see it.
pub(crate) struct DeliveryRow {
    pub(crate) delivery_id: String,
    pub(crate) run_id: RunId,
    pub(crate) generation: i32,
    pub(crate) url: String,
    pub(crate) state: String,
    pub(crate) attempt_count: i32,
    pub(crate) last_error: String,
    pub(crate) next_attempt_at: Timestamp,
    pub(crate) created_at: Timestamp,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    Succeeded,
    /// Again after a wait.
    Failed {
        error: String,
        retry_in: Duration,
    },
    Dead {
        error: String,
    },
}

/// Creates the delivery of an event, if it has one, and moves the cursor: both or neither (E2).
struct TakeEvent<'a> {
    cursor: Cursor,
    delivery: Option<&'a NewDelivery>,
}

impl Transaction for TakeEvent<'_> {
    const LABEL: &'static str = "take_event";
    type Output = ();
    type Error = PgError;

    async fn run(&self, tx: &Tx<'_>) -> Result<(), PgError> {
        if let Some(d) = self.delivery {
            let params: [&(dyn gauntlet_pg::ToSql + Sync); 6] =
                [&d.delivery_id, &d.run_id.0, &d.generation, &d.url, &d.body, &d.traceparent];
            tx.execute(sql::DELIVERIES_INSERT, &params).await?;
        }
        let Cursor { lane, feed_id, position } = &self.cursor;
        tx.execute(sql::CURSORS_ADVANCE, &[lane, feed_id, position]).await?;
        Ok(())
    }
}

/// Connections to the schema `notifier`, and the wake-up of who sends. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool,
    created: Arc<Notify>,
}

impl Store {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, created: Arc::default() }
    }

    pub(crate) async fn list_cursors(&self) -> Result<Vec<Cursor>, PgError> {
        let rows = self.pool.read().query(sql::CURSORS_LIST, &[]).await?;
        let cursor = |row: &Row| Cursor {
            lane: row.get("lane"),
            feed_id: row.get("feed_id"),
            position: row.get("position"),
        };
        Ok(rows.iter().map(cursor).collect())
    }

    /// Forgets where the follower stood: the feed was restored.
    pub(crate) async fn reset_cursors(&self) -> Result<(), PgError> {
        self.pool.read().query(sql::CURSORS_RESET, &[]).await?;
        Ok(())
    }

    pub(crate) async fn take_event(
        &self,
        cursor: Cursor,
        delivery: Option<&NewDelivery>,
    ) -> Result<(), PgError> {
        self.pool.transact(&TakeEvent { cursor, delivery }).await?;
        if delivery.is_some() {
            self.created.notify_one();
        }
        Ok(())
    }

    /// Waits until this process may have created a delivery: a hint to look.
    pub(crate) async fn created(&self) {
        self.created.notified().await;
    }

    /// Takes the delivery that is due longest and whose receiver is not full; nobody else takes it for `hold`.
    pub(crate) async fn claim(
        &self,
        full_receivers: &[&str],
        hold: Duration,
    ) -> Result<Option<DueDelivery>, PgError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 2] = [&full_receivers, &hold.as_secs_f64()];
        let row = self.pool.read().query_opt(sql::DELIVERIES_CLAIM, &params).await?;
        Ok(row.map(|row| DueDelivery {
            delivery_id: row.get("delivery_id"),
            url: row.get("url"),
            receiver: row.get("receiver"),
            body: row.get("body"),
            attempt_count: row.get("attempt_count"),
            run_id: RunId(row.get("run_id")),
            traceparent: row.get("traceparent"),
        }))
    }

    /// Records how a try ended.
    pub(crate) async fn finish(&self, due: &DueDelivery, tried: &Tried) -> Result<(), PgError> {
        let (state, error, wait) = match tried {
            Tried::Succeeded => ("SUCCEEDED", "", Duration::ZERO),
            Tried::Failed { error, retry_in } => ("PENDING", error.as_str(), *retry_in),
            Tried::Dead { error } => ("DEAD", error.as_str(), Duration::ZERO),
        };
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 5] =
            [&due.delivery_id, &due.attempt_count, &state, &error, &wait.as_secs_f64()];
        self.pool.read().query(sql::DELIVERIES_FINISH, &params).await?;
        Ok(())
    }

    /// Returns up to `limit` deliveries of a run after one of that age and id, oldest first.
    pub(crate) async fn list_deliveries(
        &self,
        run_id: RunId,
        (created_at, delivery_id): &(Timestamp, String),
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, PgError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] =
            [&run_id.0, created_at, delivery_id, &limit];
        let rows = self.pool.read().query(sql::DELIVERIES_PAGE_OF_RUN, &params).await?;
        let delivery = |row: &Row| DeliveryRow {
            delivery_id: row.get("delivery_id"),
            run_id: RunId(row.get("run_id")),
            generation: row.get("generation"),
            url: row.get("url"),
            state: row.get("state"),
            attempt_count: row.get("attempt_count"),
            last_error: row.get("last_error"),
            next_attempt_at: row.get("next_attempt_at"),
            created_at: row.get("created_at"),
        };
        Ok(rows.iter().map(delivery).collect())
    }
}

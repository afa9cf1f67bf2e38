//! Executor sessions: one row a beat.

use super::rows::{array_literal, epoch, epoch_column, signed, unsigned};
use super::{Store, StoreError, sql};
use crate::grants::{Grant, grant_of};
use gauntlet_core::limits::{BEAT_INTERVAL, LEASE_TTL};
use gauntlet_core::protocol::Running;
use gauntlet_core::{LeaseEpoch, RunId, SessionId};
use gauntlet_pg::{Flight, Transaction, Tx, params};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use uuid::Uuid;

/// Names kept at most; beyond that the cache starts over.
const NAMES_MAX: usize = 10_000;

/// Names of sessions, which never change.
#[derive(Default)]
pub(crate) struct NameCache(Mutex<HashMap<SessionId, String>>);

/// A session as its executor opened it.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    pub(crate) session: SessionId,
    pub(crate) name: String,
    pub(crate) browsers: Vec<String>,
    pub(crate) slots: u32,
    pub(crate) protocol_version: i32,
    /// What sets it apart, for people.
    pub(crate) attributes: Vec<String>,
}

/// What a session offers.
#[derive(Debug, Clone)]
pub(crate) struct SessionOffer {
    pub(crate) browsers: Vec<String>,
    pub(crate) slots: u32,
}

/// A living session for the list.
pub(crate) struct SessionRow {
    pub(crate) session: SessionId,
    pub(crate) name: String,
    pub(crate) slots: i32,
    pub(crate) browsers: Vec<String>,
    pub(crate) attributes: Vec<String>,
    pub(crate) draining: bool,
    pub(crate) leased_shard_count: i32,
    pub(crate) expires_at: Timestamp,
}

/// A lease as its holder names it in a beat.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) run_id: RunId,
    pub(crate) shard_index: u32,
    pub(crate) epoch: LeaseEpoch,
    pub(crate) running: Vec<Running>,
}

/// What became of a named lease.
pub(crate) struct Renewed {
    pub(crate) held: Held,
    pub(crate) cancelled: bool,
    pub(crate) lost: bool,
}

/// The answer to a beat; none when the session is gone.
pub(crate) struct Beat {
    pub(crate) expires_at: Timestamp,
    pub(crate) leases: Vec<Renewed>,
    pub(crate) unnamed: Vec<Grant>,
}

struct RenewSession<'a> {
    session: SessionId,
    held: &'a [Held],
    draining: bool,
}

impl Transaction for RenewSession<'_> {
    const LABEL: &'static str = "renew_session";
    type Output = Option<Beat>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Option<Beat>, StoreError> {
        let session = &self.session.0;
        let ttl = LEASE_TTL.as_secs_f64();
        let runs: Vec<Uuid> = self.held.iter().map(|h| h.run_id.0).collect();
        let indexes: Vec<i32> = self.held.iter().map(|h| signed(h.shard_index)).collect();
        let epochs: Vec<i64> = self.held.iter().map(|h| epoch_column(h.epoch)).collect();
        let running = self.held.iter().map(|h| array_literal(h.running.iter().map(|t| t.ordinal)));
        let running: Vec<String> = running.collect();
        let progress = self.held.iter().map(|h| array_literal(h.running.iter().flat_map(progress)));
        let progress: Vec<String> = progress.collect();
        // One flight: an abort hint makes every holder come at once. What a reaped session notes changes nothing that counts.
        let named = || params![session, runs.as_slice(), indexes.as_slice(), epochs.as_slice()];
        let mut flight = Flight::default();
        flight.add(sql::SESSIONS_RELAX_COMMIT, params![]);
        flight.add(sql::SESSIONS_RENEW, params![session, ttl, self.draining]);
        flight.add(
            sql::SHARDS_BEAT,
            [named(), params![running, progress]].into_iter().flatten().collect(),
        );
        flight.add(sql::SHARDS_HELD, named());
        flight.add(sql::SHARDS_LIST_UNNAMED, named());
        let answers = tx.commit_with(&flight).await?;
        let [_, renewed, _, leases, unnamed] = answers.as_slice() else {
            return Err(StoreError::Inconsistent {
                table: "executor_sessions",
                column: "session_id",
            });
        };
        let Some(renewed) = renewed.first() else { return Ok(None) };
        Ok(Some(Beat {
            expires_at: renewed.get("expires_at"),
            leases: leases.iter().map(renewed_of).collect(),
            unnamed: unnamed.iter().map(grant_of).collect::<Result<_, _>>()?,
        }))
    }
}

/// Returns the attempt and the step of a running test, as the column keeps them.
fn progress(test: &Running) -> [i64; 2] {
    [i64::from(test.attempt), test.step.map_or(-1, i64::from)]
}

fn renewed_of(row: &gauntlet_pg::Row) -> Renewed {
    Renewed {
        held: Held {
            run_id: RunId(row.get("run_id")),
            shard_index: unsigned(row.get("shard_index")),
            epoch: epoch(row.get("epoch")),
            running: Vec::new(),
        },
        cancelled: row.get("cancelled"),
        lost: !row.get::<_, bool>("held"),
    }
}

impl Store {
    /// Opens a session; false when that id was opened before and reaped.
    pub(crate) async fn open_session(&self, new: &NewSession) -> Result<bool, StoreError> {
        let opened = self
            .pool
            .write_idempotent()
            .query_opt(
                sql::SESSIONS_OPEN,
                &[
                    &new.session.0,
                    &new.name,
                    &new.browsers,
                    &signed(new.slots),
                    &new.protocol_version,
                    &new.attributes,
                    &LEASE_TTL.as_secs_f64(),
                ],
            )
            .await?;
        Ok(opened.is_some())
    }

    /// Returns what a living session offers.
    pub(crate) async fn find_session(
        &self,
        session: SessionId,
    ) -> Result<Option<SessionOffer>, StoreError> {
        let row = self.pool.read().query_opt(sql::SESSIONS_FIND_ALIVE, &[&session.0]).await?;
        Ok(row.map(|row| SessionOffer {
            browsers: row.get("browsers"),
            slots: unsigned(row.get("slots")),
        }))
    }

    /// Renews a session and tells what became of its leases; none when it was reaped.
    pub(crate) async fn renew_session(
        &self,
        session: SessionId,
        held: &[Held],
        draining: bool,
    ) -> Result<Option<Beat>, StoreError> {
        self.pool.transact(&RenewSession { session, held, draining }).await
    }

    /// Ends a session; what it still holds is reaped as lost sessions are.
    pub(crate) async fn close_session(&self, session: SessionId) -> Result<(), StoreError> {
        self.pool.write_idempotent().query(sql::SESSIONS_CLOSE, &[&session.0]).await?;
        Ok(())
    }

    /// Touches the tick and, unless there was a gap, marks expired sessions as reaped. Returns their names.
    pub(crate) async fn reap_sessions(&self) -> Result<Vec<String>, StoreError> {
        let gap_s = (BEAT_INTERVAL * 2).as_secs_f64();
        let ttl_s = LEASE_TTL.as_secs_f64();
        let reaped =
            self.pool.write_idempotent().query(sql::SESSIONS_REAP, &[&gap_s, &ttl_s]).await?;
        Ok(reaped.iter().map(|row| row.get("name")).collect())
    }

    /// Forgets sessions that ended long ago.
    pub(crate) async fn delete_idle_sessions(&self) -> Result<(), StoreError> {
        self.pool.write_idempotent().query(sql::SESSIONS_DELETE_IDLE, &[]).await?;
        Ok(())
    }

    /// Returns the living sessions, at most 1,000.
    pub(crate) async fn list_sessions(&self) -> Result<Vec<SessionRow>, StoreError> {
        let rows = self.pool.read().query(sql::SESSIONS_LIST_ALIVE, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| SessionRow {
                session: SessionId(row.get("session_id")),
                name: row.get("name"),
                slots: row.get("slots"),
                browsers: row.get("browsers"),
                attributes: row.get("attributes"),
                draining: row.get("draining"),
                leased_shard_count: row.get("leased_shard_count"),
                expires_at: row.get("expires_at"),
            })
            .collect())
    }

    /// Returns names of sessions, from the cache where it has them.
    pub(crate) async fn session_names(
        &self,
        tx: &Tx<'_>,
        sessions: &BTreeSet<SessionId>,
    ) -> Result<HashMap<SessionId, String>, StoreError> {
        let mut names = self.names.known(sessions);
        let missing: Vec<Uuid> =
            sessions.iter().filter(|s| !names.contains_key(s)).map(|s| s.0).collect();
        if !missing.is_empty() {
            let rows = tx.query(sql::SESSIONS_NAMES, &[&missing]).await?;
            let found = rows.iter().map(|row| (SessionId(row.get("session_id")), row.get("name")));
            let found: Vec<(SessionId, String)> = found.collect();
            self.names.remember(&found);
            names.extend(found);
        }
        Ok(names)
    }
}

impl NameCache {
    fn known(&self, sessions: &BTreeSet<SessionId>) -> HashMap<SessionId, String> {
        let cache = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sessions.iter().filter_map(|s| Some((*s, cache.get(s)?.clone()))).collect()
    }

    fn remember(&self, found: &[(SessionId, String)]) {
        let mut cache = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if cache.len() + found.len() > NAMES_MAX {
            cache.clear();
        }
        cache.extend(found.iter().cloned());
    }
}

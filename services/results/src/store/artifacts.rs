//! Which run names which content, what each run may keep of it, and which content nobody names any more.
//!
//! Lock order: the run's budget → what the run names → rows of contents, by hash where there are several. An eviction and an
//! upload of two runs may still meet in the wrong order; Postgres ends one of them and it is repeated. A crash after a charge
//! leaves a run charged for content that did not arrive, and its row suspect; the repeated upload is not charged again.

use super::{Store, StoreError, sql};
use crate::artifacts::Artifacts;
use gauntlet_core::{RunId, artifact};
use gauntlet_pg::{PgError, Row, Transaction, Tx};
use std::collections::HashSet;
use std::io;

/// Contents settled in one transaction.
const SUSPECTS_MAX: i64 = 100;
/// Artifacts given up for their age in one statement.
const EXPIRED_MAX: i64 = 1_000;

/// Content that a run wants to keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge<'a> {
    pub(crate) run_id: RunId,
    pub(crate) hash: &'a [u8],
    pub(crate) size_bytes: u64,
    /// See [`artifact::worth`].
    pub(crate) worth: i16,
    pub(crate) budget_bytes: u64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charged {
    /// The run keeps it, and its content is there.
    Stored,
    /// The run keeps it; its content has to come.
    Wanted,
    /// The run's budget has no room for it.
    Evicted,
}

/// What is known about content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether it may be there: it may also be on its way, or about to be removed.
    pub(crate) stored: bool,
    /// Why the run that was asked for has given it up, if it has.
    pub(crate) gone: Option<String>,
}

fn bytes(row: &Row) -> u64 {
    row.get::<_, i64>("size_bytes").unsigned_abs()
}

fn hashes(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().map(|row| row.get("hash")).collect()
}

impl Transaction for Charge<'_> {
    const LABEL: &'static str = "charge_artifact";
    type Output = Charged;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Charged, StoreError> {
        let Self { run_id, hash, worth, .. } = *self;
        let used: i64 =
            tx.query_one(sql::ARTIFACTS_LOCK_BUDGET, &[&run_id.0]).await?.get("used_bytes");
        let known = tx.query_opt(sql::ARTIFACTS_FIND_IN_RUN, &[&run_id.0, &hash]).await?;
        let known = known
            .map(|row| (row.get::<_, i16>("worth"), row.get::<_, Option<&str>>("gone").is_some()));
        if known.is_some_and(|(before, gone)| gone && worth <= before) {
            return Ok(Charged::Evicted);
        }
        if known.is_none_or(|(_, gone)| gone) && !self.make_room(tx, used.unsigned_abs()).await? {
            self.name(tx, Some("BUDGET")).await?;
            return Ok(Charged::Evicted);
        }
        self.name(tx, None).await?;
        let stored = tx.query_one(sql::ARTIFACTS_LOCK_CONTENT, &[&hash]).await?.get("stored");
        Ok(if stored { Charged::Stored } else { Charged::Wanted })
    }
}

impl Charge<'_> {
    async fn name(&self, tx: &Tx<'_>, gone: Option<&str>) -> Result<(), PgError> {
        let size_bytes = i64::try_from(self.size_bytes).unwrap_or(i64::MAX);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 5] =
            [&self.run_id.0, &self.hash, &self.worth, &size_bytes, &gone];
        tx.query(sql::ARTIFACTS_NAME_IN_RUN, &params).await.map(drop)
    }

    /// Charges the run, giving up what is worth less; false when even that does not make room.
    async fn make_room(&self, tx: &Tx<'_>, used_bytes: u64) -> Result<bool, PgError> {
        let fits = used_bytes + self.size_bytes <= self.budget_bytes;
        let lesser = match fits {
            true => Vec::new(),
            false => tx.query(sql::ARTIFACTS_LIST_LESSER, &[&self.run_id.0, &self.worth]).await?,
        };
        let sizes: Vec<u64> = lesser.iter().map(bytes).collect();
        let Some(count) = artifact::evict(&sizes, used_bytes, self.size_bytes, self.budget_bytes)
        else {
            return Ok(false);
        };
        let freed: u64 = sizes[..count].iter().sum();
        if count > 0 {
            let evicted = hashes(&lesser[..count]);
            tx.query(sql::ARTIFACTS_GIVE_UP, &[&self.run_id.0, &evicted]).await?;
            tx.query(sql::ARTIFACTS_SUSPECT, &[&evicted]).await?;
        }
        let used =
            i64::try_from(used_bytes.saturating_sub(freed) + self.size_bytes).unwrap_or(i64::MAX);
        tx.query(sql::ARTIFACTS_CHARGE, &[&self.run_id.0, &used]).await?;
        Ok(true)
    }
}

/// Removes content that nobody names, under the locks of its rows: whoever wants it meanwhile waits, and then finds that it
/// has to come again. To remove a file twice is to remove it once, so the transaction may be repeated. A crash in between
/// leaves suspects whose files are gone, which is what suspects are.
struct Settle<'a>(&'a Artifacts);

/// Why suspects could not be settled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    /// The rows could not be read or written.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The content could not be removed.
    #[error("artifacts cannot be removed")]
    Content(#[source] io::Error),
}

impl From<PgError> for SettleError {
    fn from(error: PgError) -> Self {
        Self::Store(error.into())
    }
}

/// What was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settled {
    pub(crate) looked_at: usize,
    pub(crate) removed: usize,
}

impl Transaction for Settle<'_> {
    const LABEL: &'static str = "settle_artifacts";
    type Output = Settled;
    type Error = SettleError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Settled, SettleError> {
        let suspects = hashes(&tx.query(sql::ARTIFACTS_LOCK_SUSPECTS, &[&SUSPECTS_MAX]).await?);
        if suspects.is_empty() {
            return Ok(Settled::default());
        }
        let kept = hashes(&tx.query(sql::ARTIFACTS_LIST_KEPT, &[&suspects]).await?);
        let kept: HashSet<Vec<u8>> = kept.into_iter().collect();
        let (named, nobodys): (Vec<_>, Vec<_>) =
            suspects.into_iter().partition(|hash| kept.contains(hash));
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for hash in named {
            let found = self.0.read(&gauntlet_proto::edge::hex(&hash)).await;
            if found.is_ok() { there.push(hash) } else { missing.push(hash) }
        }
        for hash in &nobodys {
            let removed = self.0.remove(&gauntlet_proto::edge::hex(hash)).await;
            removed.map_err(SettleError::Content)?;
        }
        tx.query(sql::ARTIFACTS_CLEAR, &[&there]).await?;
        // An upload is to bring them. They are looked at again after all others.
        tx.query(sql::ARTIFACTS_SUSPECT, &[&missing]).await?;
        tx.query(sql::ARTIFACTS_DELETE, &[&nobodys]).await?;
        let looked_at = there.len() + nobodys.len();
        Ok(Settled { looked_at, removed: nobodys.len() })
    }
}

/// Gives artifacts up for their age, and notes that nobody may name their content any more: both or neither.
struct Expire(RunId);

impl Transaction for Expire {
    const LABEL: &'static str = "expire_artifacts";
    type Output = usize;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<usize, StoreError> {
        let expired = hashes(&tx.query(sql::ARTIFACTS_EXPIRE, &[&self.0.0, &EXPIRED_MAX]).await?);
        tx.query(sql::ARTIFACTS_SUSPECT, &[&expired]).await?;
        Ok(expired.len())
    }
}

impl Store {
    /// Decides whether a run keeps content, and what it gives up for it. Idempotent.
    pub(crate) async fn charge_artifact(&self, charge: Charge<'_>) -> Result<Charged, StoreError> {
        self.pool.transact(&charge).await
    }

    /// Indexes an artifact whose content a run has put in place. Idempotent by hash.
    pub(crate) async fn insert_artifact(
        &self,
        run_id: RunId,
        hash: &[u8],
        kind: i32,
        size_bytes: i64,
    ) -> Result<(), StoreError> {
        let kind = i16::try_from(kind).unwrap_or(0);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] = [&hash, &kind, &size_bytes, &run_id.0];
        self.pool.write_idempotent().query(sql::ARTIFACTS_INSERT, &params).await?;
        Ok(())
    }

    /// Returns what is known of content, and of its fate in a run.
    pub(crate) async fn find_artifact(
        &self,
        hash: &[u8],
        run_id: Option<RunId>,
    ) -> Result<Known, StoreError> {
        let run_id = run_id.map(|run_id| run_id.0);
        let row = self.pool.read().query_one(sql::ARTIFACTS_FIND, &[&hash, &run_id]).await?;
        Ok(Known { stored: row.get("known"), gone: row.get("gone") })
    }

    /// Removes content that no run names any more, some of it.
    pub(crate) async fn settle_artifacts(
        &self,
        artifacts: &Artifacts,
    ) -> Result<Settled, SettleError> {
        self.pool.transact(&Settle(artifacts)).await
    }

    /// Gives up, for their age, artifacts of runs before `before`, some of them; returns how many.
    pub(crate) async fn expire_artifacts(&self, before: RunId) -> Result<usize, StoreError> {
        self.pool.transact(&Expire(before)).await
    }

    /// Makes content that no row knows suspect.
    pub(crate) async fn adopt_artifacts(&self, hashes: &[Vec<u8>]) -> Result<(), StoreError> {
        self.pool.write_idempotent().query(sql::ARTIFACTS_ADOPT, &[&hashes]).await?;
        Ok(())
    }
}

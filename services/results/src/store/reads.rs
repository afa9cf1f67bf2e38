//! Reads: pages of results, progress. Single statements, no locks. A page weighs its tests before it reads them.

use super::{Store, StoreError, signed, sql};
use gauntlet_core::RunId;
use gauntlet_core::verdict::{AttemptOutcome, Counts, TestOutcome, merge_attempts};
use gauntlet_pg::Row;
use gauntlet_proto::v1;
use prost::Message as _;
use std::collections::{BTreeMap, HashSet};

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest {
    pub(crate) run_id: RunId,
    pub(crate) generation: i32,
    /// Last ordinal of the page before; -1 for the first.
    pub(crate) after: i32,
    pub(crate) size: usize,
    /// Bytes of attempts after which a page takes no further test; the first test is always on it.
    pub(crate) bytes_max: i64,
}

/// A page of results, ascending.
pub(crate) struct Page {
    pub(crate) results: Vec<(i32, TestOutcome, Vec<v1::Attempt>)>,
    pub(crate) more: bool,
    pub(crate) sealed: bool,
}

/// A seal as stored.
struct SealRow {
    test_count: i32,
    skipped: HashSet<i32>,
    errored: HashSet<i32>,
    not_run: HashSet<i32>,
}

impl SealRow {
    fn outcome(&self, ordinal: i32) -> Option<TestOutcome> {
        if self.skipped.contains(&ordinal) {
            Some(TestOutcome::Skipped)
        } else if self.errored.contains(&ordinal) {
            Some(TestOutcome::Errored)
        } else if self.not_run.contains(&ordinal) {
            Some(TestOutcome::NotRun)
        } else {
            None
        }
    }
}

impl Store {
    /// Returns the newest generation that results knows; 1 when it knows none.
    pub(crate) async fn latest_generation(&self, run_id: RunId) -> Result<i32, StoreError> {
        let row = self.pool.read().query_one(sql::FENCES_LATEST_GENERATION, &[&run_id.0]).await?;
        Ok(row.get::<_, Option<i32>>("generation").unwrap_or(1))
    }

    async fn find_seal(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<Option<SealRow>, StoreError> {
        let row = self.pool.read().query_opt(sql::SEALS_FIND, &[&run_id.0, &generation]).await?;
        let set = |row: &Row, column| row.get::<_, Vec<i32>>(column).into_iter().collect();
        Ok(row.map(|row| SealRow {
            test_count: row.get("test_count"),
            skipped: set(&row, "skipped"),
            errored: set(&row, "errored"),
            not_run: set(&row, "not_run"),
        }))
    }

    /// Returns whether a generation is sealed.
    pub(crate) async fn is_sealed(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<bool, StoreError> {
        Ok(self.find_seal(run_id, generation).await?.is_some())
    }

    /// Returns a page: of tests with a final result while the generation is open, of all once it is sealed.
    pub(crate) async fn list_results(&self, page: PageRequest) -> Result<Page, StoreError> {
        match self.find_seal(page.run_id, page.generation).await? {
            Some(seal) => self.sealed_page(page, &seal).await,
            None => self.open_page(page).await,
        }
    }

    async fn open_page(&self, page: PageRequest) -> Result<Page, StoreError> {
        let limit = i64::try_from(page.size + 1).unwrap_or(i64::MAX);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] =
            [&page.run_id.0, &page.generation, &page.after, &limit];
        let sizes = self.pool.read().query(sql::ATTEMPTS_SIZES_OF_PAGE, &params).await?;
        let (fitting, cut) = fitting(&sizes, page);
        let mut tests = self.attempts_of(page, &fitting).await?;
        let results = fitting.into_iter().map(|ordinal| {
            let attempts = tests.remove(&ordinal).unwrap_or_default();
            // The page holds tests with a final attempt only, so there is an outcome.
            (ordinal, merged(&attempts).unwrap_or(TestOutcome::NotRun), attempts)
        });
        Ok(Page { results: results.collect(), more: cut, sealed: false })
    }

    async fn attempts_of(
        &self,
        page: PageRequest,
        ordinals: &[i32],
    ) -> Result<BTreeMap<i32, Vec<v1::Attempt>>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] =
            [&page.run_id.0, &page.generation, &ordinals];
        by_test(&self.pool.read().query(sql::ATTEMPTS_OF_TESTS, &params).await?)
    }

    async fn sealed_page(&self, page: PageRequest, seal: &SealRow) -> Result<Page, StoreError> {
        let size = signed(u32::try_from(page.size).unwrap_or(u32::MAX));
        let end = page.after.saturating_add(size).min(seal.test_count - 1);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] =
            [&page.run_id.0, &page.generation, &page.after, &end];
        let sizes = self.pool.read().query(sql::ATTEMPTS_SIZES_OF_RANGE, &params).await?;
        // What does not fit begins the next page; tests without attempts weigh nothing.
        let (fitting, cut) = fitting(&sizes, page);
        let last = fitting.last().copied().filter(|_| cut).unwrap_or(end);
        let mut tests = self.attempts_of(page, &fitting).await?;
        let results = (page.after + 1..=last).map(|ordinal| {
            let attempts = tests.remove(&ordinal).unwrap_or_default();
            let outcome = seal.outcome(ordinal).or_else(|| merged(&attempts));
            (ordinal, outcome.unwrap_or(TestOutcome::NotRun), attempts)
        });
        Ok(Page { results: results.collect(), more: last < seal.test_count - 1, sealed: true })
    }
    /// Returns how many tests have ended how so far.
    pub(crate) async fn progress(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<Counts, StoreError> {
        let row =
            self.pool.read().query_one(sql::FENCES_PROGRESS, &[&run_id.0, &generation]).await?;
        let count = |column| row.get::<_, i32>(column).unsigned_abs();
        Ok(Counts {
            passed: count("passed"),
            flaky: count("flaky"),
            failed: count("failed"),
            timed_out: count("timed_out"),
            errored: count("errored"),
            ..Counts::default()
        })
    }
}

/// Returns which of the weighed tests a page takes, and whether that is not all of them.
fn fitting(sizes: &[Row], page: PageRequest) -> (Vec<i32>, bool) {
    let mut bytes = 0;
    let fits = |row: &&Row| {
        let first = bytes == 0;
        bytes += row.get::<_, i64>("bytes");
        first || bytes <= page.bytes_max
    };
    let fitting: Vec<i32> =
        sizes.iter().take(page.size).take_while(fits).map(|row| row.get("ordinal")).collect();
    let cut = fitting.len() < sizes.len();
    (fitting, cut)
}

fn by_test(rows: &[Row]) -> Result<BTreeMap<i32, Vec<v1::Attempt>>, StoreError> {
    let mut tests: BTreeMap<i32, Vec<v1::Attempt>> = BTreeMap::new();
    for row in rows {
        let attempt = v1::Attempt::decode(row.get::<_, &[u8]>("payload"))
            .map_err(|_| StoreError::Inconsistent { table: "attempts", column: "payload" })?;
        tests.entry(row.get("ordinal")).or_default().push(attempt);
    }
    Ok(tests)
}

fn merged(attempts: &[v1::Attempt]) -> Option<TestOutcome> {
    let outcomes: Vec<AttemptOutcome> = attempts
        .iter()
        .map(|attempt| match attempt.outcome() {
            v1::AttemptOutcome::Passed => AttemptOutcome::Passed,
            v1::AttemptOutcome::Failed => AttemptOutcome::Failed,
            v1::AttemptOutcome::TimedOut => AttemptOutcome::TimedOut,
            v1::AttemptOutcome::Errored | v1::AttemptOutcome::Unspecified => {
                AttemptOutcome::Errored
            }
        })
        .collect();
    merge_attempts(&outcomes)
}

//! Reads: pages of results, progress. Single statements, no locks. A page weighs its tests before it reads them.

use super::outcomes::attempts_of;
use super::{Store, StoreError, signed, sql};
use gauntlet_core::RunId;
use gauntlet_core::seal::{Ending, Rest, Sealed, StoredAttempt, StoredSeal, TestEnd};
use gauntlet_core::verdict::{AttemptOutcome, Counts, SkipReason, TestOutcome, merge_attempts};
use gauntlet_pg::Row;
use gauntlet_proto::v1;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet, HashSet};

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
    pub(crate) results: Vec<PageTest>,
    pub(crate) more: bool,
    pub(crate) sealed: bool,
}

/// A test on a page.
pub(crate) struct PageTest {
    pub(crate) ordinal: i32,
    pub(crate) outcome: TestOutcome,
    pub(crate) skip_reason: Option<SkipReason>,
    /// Those that decided it, first to last.
    pub(crate) attempts: Vec<v1::Attempt>,
}

/// Where the tests of a page come from.
struct Merged {
    /// The generation's seal, or while it is open that of the one before.
    seal: StoredSeal,
    sealed: bool,
}

impl Store {
    /// Returns the newest generation that results knows; 1 when it knows none.
    pub(crate) async fn latest_generation(&self, run_id: RunId) -> Result<i32, StoreError> {
        let row = self.pool.read().query_one(sql::FENCES_LATEST_GENERATION, &[&run_id.0]).await?;
        Ok(row.get::<_, Option<i32>>("generation").unwrap_or(1))
    }

    /// Returns whether a generation is sealed.
    pub(crate) async fn is_sealed(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<bool, StoreError> {
        Ok(self.find_seal(run_id, generation).await?.is_some())
    }

    /// Returns how many tests of a generation have failed or timed out.
    pub(crate) async fn count_failures(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<i32, StoreError> {
        let key: [&(dyn gauntlet_pg::ToSql + Sync); 2] = [&run_id.0, &generation];
        Ok(self.pool.read().query_one(sql::FENCES_FAILURES, &key).await?.get("failures"))
    }

    /// Returns a page: of tests with a final result while the first generation is open, of all once one is sealed. While a
    /// later one is open, what it finished stands in the place of what the one before said.
    pub(crate) async fn list_results(&self, page: PageRequest) -> Result<Page, StoreError> {
        if let Some(seal) = self.find_seal(page.run_id, page.generation).await? {
            return self.merged_page(page, &Merged { seal, sealed: true }).await;
        }
        match self.find_seal(page.run_id, page.generation - 1).await? {
            Some(seal) => self.merged_page(page, &Merged { seal, sealed: false }).await,
            None => self.open_page(page).await,
        }
    }

    async fn open_page(&self, page: PageRequest) -> Result<Page, StoreError> {
        let limit = i64::try_from(page.size + 1).unwrap_or(i64::MAX);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] =
            [&page.run_id.0, &page.generation, &page.after, &limit];
        let sizes = self.pool.read().query(sql::ATTEMPTS_SIZES_OF_PAGE, &params).await?;
        let (fitting, cut) = fitting(&sizes, page);
        let generations = vec![page.generation; fitting.len()];
        let mut tests = self.attempts_of(page.run_id, &generations, &fitting).await?;
        let results = fitting.into_iter().map(|ordinal| {
            let attempts = tests.remove(&ordinal).unwrap_or_default();
            // The page holds tests with a final attempt only, so there is an outcome.
            let outcome = merged(&attempts).unwrap_or(TestOutcome::NotRun);
            PageTest { ordinal, outcome, skip_reason: None, attempts }
        });
        Ok(Page { results: results.collect(), more: cut, sealed: false })
    }

    async fn attempts_of(
        &self,
        run_id: RunId,
        generations: &[i32],
        ordinals: &[i32],
    ) -> Result<BTreeMap<i32, Vec<v1::Attempt>>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [&run_id.0, &generations, &ordinals];
        by_test(&self.pool.read().query(sql::ATTEMPTS_OF_TESTS, &params).await?)
    }

    async fn merged_page(&self, page: PageRequest, merged: &Merged) -> Result<Page, StoreError> {
        let Merged { seal, sealed } = merged;
        let size = signed(u32::try_from(page.size).unwrap_or(u32::MAX));
        let end = page.after.saturating_add(size).min(seal.test_count - 1);
        let newer = if *sealed { HashSet::new() } else { self.ended_in(page, end).await? };
        let origin = |ordinal: &i32| match newer.contains(ordinal) {
            true => page.generation,
            false => seal.origin(*ordinal),
        };
        let ordinals: Vec<i32> = (page.after + 1..=end).collect();
        let origins: Vec<i32> = ordinals.iter().map(origin).collect();
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [&page.run_id.0, &origins, &ordinals];
        let sizes = self.pool.read().query(sql::ATTEMPTS_SIZES_OF_TESTS, &params).await?;
        // What does not fit begins the next page; tests without attempts weigh nothing.
        let (fitting, cut) = fitting(&sizes, page);
        let last = fitting.last().copied().filter(|_| cut).unwrap_or(end);
        let origins: Vec<i32> = fitting.iter().map(origin).collect();
        let mut tests = self.attempts_of(page.run_id, &origins, &fitting).await?;
        let results = (page.after + 1..=last).map(|ordinal| {
            let attempts = tests.remove(&ordinal).unwrap_or_default();
            let decided = seal.decided.get(&ordinal).filter(|_| !newer.contains(&ordinal));
            let (outcome, skip_reason) = decided
                .copied()
                .unwrap_or_else(|| (self::merged(&attempts).unwrap_or(TestOutcome::NotRun), None));
            PageTest { ordinal, outcome, skip_reason, attempts }
        });
        Ok(Page { results: results.collect(), more: last < seal.test_count - 1, sealed: *sealed })
    }

    /// Returns the tests of a page, up to `end`, that have a final result in its generation.
    async fn ended_in(&self, page: PageRequest, end: i32) -> Result<HashSet<i32>, StoreError> {
        let PageRequest { run_id, generation, after, .. } = page;
        let attempts = self.list_outcomes(run_id, generation, after, end).await?;
        let last = attempts.iter().filter(|attempt| attempt.is_final);
        Ok(last.map(|attempt| signed(attempt.ordinal)).collect())
    }

    /// Returns the attempts of a generation for the ordinals after one and up to another, without payloads.
    async fn list_outcomes(
        &self,
        run_id: RunId,
        generation: i32,
        after: i32,
        end: i32,
    ) -> Result<Vec<StoredAttempt>, StoreError> {
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 4] = [&run_id.0, &generation, &after, &end];
        attempts_of(&self.pool.read().query(sql::ATTEMPTS_OUTCOMES_OF_RANGE, &params).await?)
    }

    /// Returns how the whole run stands while a later generation is open, given what the one before said.
    pub(crate) async fn merged_progress(
        &self,
        run_id: RunId,
        generation: i32,
        former: &[TestEnd],
    ) -> Result<Counts, StoreError> {
        let attempts = self.list_outcomes(run_id, generation, -1, i32::MAX).await?;
        let ending = Ending {
            generation,
            test_count: u32::try_from(former.len()).unwrap_or(u32::MAX),
            // What is not finished yet stands as before.
            planned: Some(attempts.iter().filter(|a| a.is_final).map(|a| a.ordinal).collect()),
            rest: Rest::Ended { errored: BTreeSet::new(), stopped: None },
        };
        Ok(Sealed::of(&ending, &attempts, former).counts())
    }

    /// Returns how many tests of a generation have ended how so far.
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

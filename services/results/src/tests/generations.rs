//! Promises of partial retries and stops: every generation speaks for the whole run (A10).

use super::{FAILED, PASSED, World, attempt, ending, not_run};
use crate::progress::Progress;
use crate::store::{Entered, Fence, NewAttempt};
use gauntlet_core::seal::{Ending, Rest, Sealed};
use gauntlet_core::verdict::{Counts, SkipReason, TestOutcome, digest};
use std::collections::BTreeSet;

use TestOutcome::{Errored, Failed, Flaky, NotRun, Passed, Skipped};

/// What a page shows of a test: outcome, skip reason, attempts.
pub(super) type Shown = (TestOutcome, Option<SkipReason>, usize);

impl World {
    /// Reports tests of a generation that ended at their first attempt.
    pub(super) async fn ran(&self, generation: i32, attempts: &[NewAttempt]) {
        let fence = Fence { run_id: self.run_id, generation, shard_index: generation, epoch: 1 };
        assert!(matches!(self.report(fence, attempts).await, Entered::Done(_)));
    }

    async fn seal_generation(&self, ending: &Ending) -> Sealed {
        let judge = |_: &Sealed| Vec::new();
        let sealed = self.store.seal_and_judge(self.run_id, ending, (1, &judge)).await;
        sealed.unwrap().expect("the newest finalizer")
    }

    /// Returns all tests as pages of two show them.
    pub(super) async fn shown(&self, generation: i32) -> Vec<Shown> {
        let (mut shown, mut after) = (Vec::new(), -1);
        loop {
            let page = self.page_of(generation, after, 2, 1024 * 1024).await;
            shown.extend(page.results.iter().map(|t| (t.outcome, t.skip_reason, t.attempts.len())));
            match page.results.last() {
                Some(last) if page.more => after = last.ordinal,
                _ => return shown,
            }
        }
    }

    async fn progress(&self, generation: i32) -> (Counts, bool) {
        let mut progress = Progress::new(self.store.clone(), self.run_id, generation);
        progress.look().await.unwrap()
    }
}

fn planned(generation: i32, count: u32, ordinals: &[u32], rest: Rest) -> Ending {
    let planned = Some(ordinals.iter().copied().collect());
    Ending { generation, test_count: count, planned, rest }
}

fn shown_digest(shown: &[Shown]) -> String {
    let tests = (0..).zip(shown);
    digest(tests.map(|(n, (outcome, _, tries))| (n, *outcome, u32::try_from(*tries).unwrap())))
}

#[tokio::test]
async fn a10_a_retry_speaks_for_the_whole_run_and_the_generation_before_stays_as_it_was() {
    let world = World::start().await;
    let first = [
        attempt(0, 1, PASSED, true),
        attempt(1, 1, FAILED, false),
        attempt(1, 2, FAILED, true),
        attempt(2, 1, FAILED, true),
        attempt(3, 1, FAILED, false),
        attempt(3, 2, PASSED, true),
    ];
    world.ran(1, &first).await;
    let sealed = world.seal_generation(&ending(1, 6, &not_run())).await;
    let before = world.shown(1).await;
    assert_eq!(sealed.digest(), shown_digest(&before), "FN-2");
    assert_eq!((sealed.retry_count(), sealed.failed_after_retry()), (2, 1));

    // Tests 1, 4 and 5 again; 5 is not run again either.
    world.ran(2, &[attempt(1, 1, PASSED, true), attempt(4, 1, PASSED, true)]).await;
    let again = world.seal_generation(&planned(2, 6, &[1, 4, 5], not_run())).await;
    let shown = [Passed, Passed, Failed, Flaky, Passed, NotRun];
    let tries = [1, 1, 1, 2, 1, 0];
    let expected: Vec<Shown> = shown.into_iter().zip(tries).map(|(o, n)| (o, None, n)).collect();
    assert_eq!(world.shown(2).await, expected);
    assert_eq!(again.digest(), shown_digest(&expected), "FN-2");
    assert_eq!((again.retry_count(), again.failed_after_retry()), (1, 0), "of the merged tests");
    assert_eq!((again.row_counts.get(&1), again.row_counts[&2]), (None, 2), "only its own rows");
    assert_eq!(world.shown(1).await, before, "RN-1");
    assert_eq!(world.progress(2).await, (again.counts(), true));

    // A third builds on the second, and a finalizer that comes late finds what was sealed.
    world.ran(3, &[attempt(5, 1, PASSED, true), attempt(2, 1, PASSED, true)]).await;
    let third = world.seal_generation(&planned(3, 6, &[2, 5], not_run())).await;
    assert_eq!(third.counts(), Counts { passed: 5, flaky: 1, ..Counts::default() });
    assert_eq!(world.seal_generation(&planned(3, 6, &[0], Rest::Aborted)).await, third);
    assert_eq!(shown_digest(&world.shown(3).await), third.digest());
}

#[tokio::test]
async fn a10_a_test_that_ran_again_without_a_result_is_not_what_it_was_before() {
    let world = World::start().await;
    let passed = [attempt(0, 1, PASSED, true), attempt(1, 1, PASSED, true)];
    world.ran(1, &[passed[0].clone(), passed[1].clone(), attempt(2, 1, FAILED, true)]).await;
    world.seal_generation(&ending(1, 3, &not_run())).await;
    let rest = Rest::Ended { errored: BTreeSet::from([2]), stopped: None };
    world.seal_generation(&planned(2, 3, &[1, 2], rest)).await;
    assert_eq!(world.shown(2).await, [(Passed, None, 1), (NotRun, None, 0), (Errored, None, 0)]);
}

#[tokio::test]
async fn a10_c1_an_aborted_retry_skips_what_it_did_not_finish_and_leaves_the_rest_as_it_was() {
    let world = World::start().await;
    let first = [attempt(0, 1, PASSED, true), attempt(1, 1, FAILED, true)];
    world.ran(1, &first).await;
    world.ran(1, &[attempt(2, 1, FAILED, true)]).await;
    let stopped = Some(SkipReason::FailFast);
    let stop = Rest::Ended { errored: BTreeSet::from([4]), stopped };
    world.seal_generation(&planned(1, 6, &[0, 1, 2, 3, 4, 5], stop)).await;
    let kept = (Skipped, stopped, 0);
    assert_eq!(world.shown(1).await[3..], [kept, (Errored, None, 0), kept]);
    // Four of them again: 2 is finished, 1 is in the middle of it, 3 and 4 have not begun.
    world.ran(2, &[attempt(1, 1, FAILED, false), attempt(2, 1, PASSED, true)]).await;
    let sealed = world.seal_generation(&planned(2, 6, &[1, 2, 3, 4], Rest::Aborted)).await;
    let aborted = |tries| (Skipped, Some(SkipReason::Aborted), tries);
    let before = [(Passed, None, 1), aborted(1), (Passed, None, 1)];
    let after = [aborted(0), aborted(0), kept];
    assert_eq!(world.shown(2).await, [before, after].concat());
    assert_eq!(sealed.digest(), shown_digest(&world.shown(2).await), "FN-2");
}

#[tokio::test]
async fn a10_while_a_retry_is_open_what_it_finished_stands_in_the_place_of_what_was_before() {
    let world = World::start().await;
    let first = [attempt(0, 1, PASSED, true), attempt(1, 1, FAILED, true)];
    world.ran(1, &first).await;
    assert_eq!(world.progress(1).await.0, Counts { passed: 1, failed: 1, ..Counts::default() });
    world.seal_generation(&ending(1, 3, &Rest::Aborted)).await;
    let skipped = (Skipped, Some(SkipReason::Aborted), 0);
    assert_eq!(world.shown(2).await, [(Passed, None, 1), (Failed, None, 1), skipped]);
    world.ran(2, &[attempt(1, 1, PASSED, true), attempt(2, 1, FAILED, false)]).await;
    assert_eq!(world.shown(2).await, [(Passed, None, 1), (Passed, None, 1), skipped]);
    let counts = Counts { passed: 2, skipped: 1, ..Counts::default() };
    assert_eq!(world.progress(2).await, (counts, false));
}

#[tokio::test]
async fn a10_a_page_of_merged_tests_reads_no_more_than_its_bytes() {
    let world = World::start().await;
    let long = |ordinal| {
        let payload = prost::Message::encode_to_vec(&gauntlet_proto::v1::Attempt {
            outcome: PASSED.into(),
            executor: "x".repeat(900),
            ..Default::default()
        });
        NewAttempt { payload, ..attempt(ordinal, 1, PASSED, true) }
    };
    world.ran(1, &[long(0), long(1), long(3)]).await;
    world.seal_generation(&ending(1, 4, &not_run())).await;
    world.ran(2, &[long(2), long(3)]).await;
    world.seal_generation(&planned(2, 4, &[2, 3], not_run())).await;
    let (mut pages, mut after) = (Vec::new(), -1);
    loop {
        let page = world.page_of(2, after, 1_000, 2_000).await;
        after = page.results.last().expect("a page has a test").ordinal;
        pages.push(page.results.len());
        if !page.more {
            break;
        }
    }
    assert_eq!(pages, [2, 2]);
}

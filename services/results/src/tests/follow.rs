//! Promises of the follower: generations that ended without a verdict are sealed, from a feed that does what a test tells it.

use super::finalizer::Scheduler;
use super::generations::Shown;
use super::{FAILED, PASSED, World, attempt, not_run};
use crate::follow::Sealer;
use gauntlet_core::verdict::{SkipReason, TestOutcome};
use gauntlet_feed::Follower;
use gauntlet_proto::v1;
use gauntlet_rpc::{Peer, Reason};
use gauntlet_runtime::Lifecycle;
use gauntlet_testkit::{FakeEventFeed, wait_until};
use std::time::Duration;

use TestOutcome::{Failed, Passed, Skipped};

const ABORTED: Shown = (Skipped, Some(SkipReason::Aborted), 0);

/// A follower on a real store.
struct Stage {
    world: World,
    feed: FakeEventFeed,
    scheduler: Scheduler,
    lifecycle: Lifecycle,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.lifecycle.kill();
    }
}

impl Stage {
    async fn start() -> Self {
        let (world, feed) = (World::start().await, FakeEventFeed::start().await);
        let (scheduler, lifecycle) = (Scheduler::default(), Lifecycle::new());
        let addr = scheduler.serve("127.0.0.1:0");
        let peer = Peer::connect_lazy(&format!("http://{addr}")).unwrap();
        let sealer = Sealer::new(world.store.clone(), peer);
        let events = Peer::connect_lazy(feed.endpoint()).unwrap();
        lifecycle.spawn("follow", Follower::new(sealer, events, &lifecycle).run());
        Self { world, feed, scheduler, lifecycle }
    }

    /// Returns the end of a generation, without a verdict.
    fn ended(&self, generation: i32, test_count: i32, state: v1::RunState) -> v1::RunEvent {
        let terminal = v1::RunTerminal { state: state.into(), test_count, ..Default::default() };
        let event = Some(v1::run_event::Event::Terminal(terminal));
        let run_id = self.world.run_id.to_string();
        v1::RunEvent { run_id, generation, event, ..Default::default() }
    }

    async fn until_at(&self, position: i64) {
        wait_until(Duration::from_secs(10), "the cursor", async || {
            let cursors = self.world.store.list_cursors().await.unwrap();
            let at = cursors.first().map(|c| (c.feed_id.to_string(), c.position));
            if at == Some((self.feed.feed_id(), position)) { Ok(()) } else { Err(at) }
        })
        .await;
    }
}

#[tokio::test]
async fn c1_an_abort_in_the_feed_seals_the_run_once_whatever_comes_before_and_again() {
    let stage = Stage::start().await;
    let aborted = stage.ended(1, 2, v1::RunState::Aborted);
    stage.feed.publish(v1::RunEvent { run_id: "nobody".to_owned(), ..aborted.clone() });
    stage.feed.publish(stage.ended(1, 2, v1::RunState::Running));
    stage.until_at(stage.feed.publish(aborted.clone())).await;
    assert_eq!(stage.world.outcomes(10).await, [Skipped; 2]);
    stage.feed.restore();
    stage.until_at(stage.feed.publish(aborted)).await;
    assert_eq!(stage.world.outcomes(10).await, [Skipped; 2]);
}

#[tokio::test]
async fn a10_c1_an_aborted_retry_skips_what_it_planned_however_late_the_scheduler_says_what_that_was()
 {
    let stage = Stage::start().await;
    let world = &stage.world;
    let first = [0, 1, 2].map(|ordinal| attempt(ordinal, 1, FAILED, true));
    world.ran(1, &first).await;
    world.seal(4, &not_run()).await.unwrap();
    world.ran(2, &[attempt(2, 1, PASSED, true)]).await;
    stage.scheduler.see(|s| {
        s.planned = vec![1, 2, 3];
        s.plan_answers.push_back(Reason::StoreUnavailable);
    });
    stage.until_at(stage.feed.publish(stage.ended(2, 4, v1::RunState::Aborted))).await;
    assert!(stage.scheduler.see(|s| s.plan_answers.is_empty()), "the feed waited for the answer");
    let shown = world.shown(2).await;
    assert_eq!(shown, [(Failed, None, 1), ABORTED, (Passed, None, 1), ABORTED]);
    assert_eq!(world.shown(1).await[1], (Failed, None, 1), "the generation before stays as it was");
}

#[tokio::test]
async fn the_end_of_a_run_that_is_no_more_keeps_nobody_waiting() {
    let stage = Stage::start().await;
    stage.scheduler.see(|s| s.plan_answers.push_back(Reason::RunNotFound));
    stage.until_at(stage.feed.publish(stage.ended(2, 4, v1::RunState::Aborted))).await;
    assert!(stage.world.store.find_seal(stage.world.run_id, 2).await.unwrap().is_none());
}

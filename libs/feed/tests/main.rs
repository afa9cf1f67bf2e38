//! Claims about following a feed over a real socket. What a service makes of it is tested there, on its database.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the helpers beside them")]

use gauntlet_core::RunId;
use gauntlet_feed::{Cursor, Ended, Follower, Subscriber};
use gauntlet_proto::v1::{self, FeedCursor, RunState, WatchEventsResponse};
use gauntlet_rpc::Peer;
use gauntlet_runtime::{Exit, Lifecycle, ids};
use gauntlet_testkit::{FakeEventFeed, wait_until};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
#[error("the store is away")]
struct Away;

/// A service that remembers what it was handed.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    acted: Vec<RunId>,
    cursors: Vec<Cursor>,
    failures: usize,
}

impl Memory {
    fn moved(&self, cursor: Cursor, acted: Option<RunId>) -> Result<(), Away> {
        let mut inner = self.0.lock().unwrap();
        if inner.failures > 0 {
            inner.failures -= 1;
            return Err(Away);
        }
        inner.acted.extend(acted);
        inner.cursors.retain(|other| other.lane != cursor.lane);
        inner.cursors.push(cursor);
        Ok(())
    }

    async fn until_acted(&self, run_ids: &[RunId]) {
        wait_until(WITHIN, "the events that were acted on", async || {
            let acted = self.0.lock().unwrap().acted.clone();
            if acted == run_ids { Ok(()) } else { Err(acted) }
        })
        .await;
    }
}

impl Subscriber for Memory {
    type Error = Away;

    async fn list_cursors(&self) -> Result<Vec<Cursor>, Away> {
        Ok(self.0.lock().unwrap().cursors.clone())
    }

    async fn reset_cursors(&self) -> Result<(), Away> {
        self.0.lock().unwrap().cursors.clear();
        Ok(())
    }

    async fn advance(&self, cursor: Cursor) -> Result<(), Away> {
        self.moved(cursor, None)
    }

    fn needs(&self, ended: &Ended) -> bool {
        ended.state != RunState::Failed
    }

    async fn act(&self, ended: &Ended, cursor: Cursor) -> Result<(), Away> {
        self.moved(cursor, Some(ended.run_id))
    }
}

struct World {
    feed: FakeEventFeed,
    memory: Memory,
    lifecycle: Lifecycle,
}

impl World {
    async fn start() -> Self {
        let feed = FakeEventFeed::start().await;
        Self { feed, memory: Memory::default(), lifecycle: Lifecycle::new() }
    }

    fn follow(&self, silence_max: Duration) {
        let scheduler = Peer::connect_lazy(self.feed.endpoint()).unwrap();
        let follower = Follower::new(self.memory.clone(), scheduler, &self.lifecycle);
        self.lifecycle.spawn("follow", follower.silence_max(silence_max).run());
    }

    fn run_ends(&self) -> RunId {
        let run_id = RunId(ids::v7());
        self.feed.publish(ended(run_id));
        run_id
    }

    async fn until_opened(&self, count: usize) {
        wait_until(WITHIN, "streams opened", async || {
            let opened = self.feed.requests().len();
            if opened >= count { Ok(()) } else { Err(opened) }
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.lifecycle.kill();
    }
}

fn terminal(state: RunState) -> v1::run_event::Event {
    let terminal = v1::RunTerminal { state: state.into(), test_count: 1, ..Default::default() };
    v1::run_event::Event::Terminal(terminal)
}

fn ended(run_id: RunId) -> v1::RunEvent {
    let event = Some(terminal(RunState::Passed));
    v1::RunEvent { run_id: run_id.to_string(), generation: 1, event, ..Default::default() }
}

#[tokio::test]
async fn every_end_is_acted_on_once_across_broken_streams() {
    let world = World::start().await;
    let first = world.run_ends();
    world.follow(WITHIN);
    world.memory.until_acted(&[first]).await;
    world.feed.end_streams();
    let second = world.run_ends();
    world.memory.until_acted(&[first, second]).await;
    let last = world.feed.requests().pop().unwrap();
    assert_eq!((last.feed_id, last.cursors.len()), (world.feed.feed_id(), 1));
    assert!(last.terminal_only);
}

#[tokio::test]
async fn a_silent_stream_is_opened_again() {
    let world = World::start().await;
    world.feed.fall_silent();
    world.follow(Duration::from_millis(50));
    world.until_opened(3).await;
}

#[tokio::test]
async fn an_event_that_the_store_refused_comes_again() {
    let world = World::start().await;
    world.memory.0.lock().unwrap().failures = 2;
    let run_id = world.run_ends();
    world.follow(WITHIN);
    world.memory.until_acted(&[run_id]).await;
    assert_eq!(world.feed.requests().len(), 3);
}

#[tokio::test]
async fn no_malformed_event_stops_the_feed() {
    let world = World::start().await;
    world.follow(WITHIN);
    world.until_opened(1).await;
    let run_id = RunId(ids::v7());
    let good = || ended(run_id);
    let state = |state| Some(terminal(state));
    for bad in [
        v1::RunEvent { run_id: String::new(), ..good() },
        v1::RunEvent { generation: 0, ..good() },
        v1::RunEvent { event: state(RunState::Running), ..good() },
        v1::RunEvent { event: state(RunState::Unspecified), ..good() },
    ] {
        world.feed.publish(bad);
    }
    let feed_id = world.feed.feed_id();
    let cursor = |lane| Some(FeedCursor { lane, position: 1 });
    let raw = |feed_id: &str, cursor, event| {
        world.feed.publish_raw(WatchEventsResponse { feed_id: feed_id.to_owned(), cursor, event });
    };
    raw(&feed_id, cursor(8), Some(good()));
    raw(&feed_id, cursor(-1), Some(good()));
    raw("no id", cursor(0), Some(good()));
    raw(&feed_id, None, Some(good()));
    raw(&feed_id, cursor(1), None);
    let last = world.run_ends();
    world.memory.until_acted(&[last]).await;
    assert_eq!(world.feed.requests().len(), 1, "the stream never broke");
    wait_until(WITHIN, "the cursors are behind everything", async || {
        let cursors = world.memory.0.lock().unwrap().cursors.clone();
        let stands: BTreeMap<_, _> = cursors.iter().map(|c| (c.lane, c.position)).collect();
        if stands == BTreeMap::from([(1, 1), (3, 5)]) { Ok(()) } else { Err(stands) }
    })
    .await;
}

#[tokio::test]
async fn a_restored_feed_is_read_from_its_start_even_with_cursors_of_two_feeds() {
    let world = World::start().await;
    let first = world.run_ends();
    let stale = Cursor { lane: 0, feed_id: ids::v4(), position: 70 };
    let current = world.feed.feed_id().parse().unwrap();
    let ahead = Cursor { lane: 3, feed_id: current, position: 70 };
    world.memory.0.lock().unwrap().cursors = vec![stale, ahead];
    world.follow(WITHIN);
    world.memory.until_acted(&[first]).await;
    let requests = world.feed.requests();
    let [refused, accepted] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(refused.cursors, [FeedCursor { lane: 0, position: 70 }]);
    assert!(accepted.feed_id.is_empty() && accepted.cursors.is_empty());
}

#[tokio::test]
async fn events_that_need_nothing_move_the_cursor_a_little_later() {
    let world = World::start().await;
    let fine = || {
        let event = Some(terminal(RunState::Failed));
        world.feed.publish(v1::RunEvent { event, ..ended(RunId(ids::v7())) })
    };
    fine();
    let last = fine();
    world.follow(WITHIN);
    let position = async |wanted: i64| {
        wait_until(WITHIN, "the cursors are where the feed is", async || {
            let cursors = world.memory.0.lock().unwrap().cursors.clone();
            let seen: i64 = cursors.iter().map(|cursor| cursor.position).sum();
            if seen == wanted { Ok(()) } else { Err(cursors) }
        })
        .await;
    };
    position(last).await;
    let needed = world.run_ends();
    world.memory.until_acted(&[needed]).await;
    position(fine()).await;
    world.memory.until_acted(&[needed]).await;
    assert_eq!(world.feed.requests().len(), 1);
}

#[tokio::test]
async fn a_follower_ends_with_the_drain() {
    let world = World::start().await;
    world.follow(WITHIN);
    world.until_opened(1).await;
    assert_eq!(world.lifecycle.shutdown(WITHIN).await, Exit::Clean);
}

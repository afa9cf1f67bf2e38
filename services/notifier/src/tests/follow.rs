//! What the notifier makes of its feed.

use super::{WITHIN, World, ended};
use gauntlet_core::RunId;
use gauntlet_proto::v1;
use gauntlet_runtime::ids;
use gauntlet_testkit::FakeWebhookReceiver;

#[tokio::test]
async fn dl_1_an_event_that_is_streamed_again_makes_one_delivery() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    world.notifier().await;
    let first = world.run_ends(&receiver.url());
    world.delivery(first, "SUCCEEDED").await;
    world.feed.repeat_everything();
    // Behind the repeated event, so that the repeat has been acted on when this one is delivered.
    let second = world.run_ends(&receiver.url());
    world.delivery(second, "SUCCEEDED").await;
    assert!(world.feed.requests().len() >= 2, "the stream was opened again");
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn dl_1_a_restored_feed_is_read_from_its_start_and_nobody_is_told_twice() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    world.notifier().await;
    let first = world.run_ends(&receiver.url());
    world.delivery(first, "SUCCEEDED").await;
    world.feed.restore();
    let second = world.run_ends(&receiver.url());
    world.delivery(second, "SUCCEEDED").await;
    let requests = world.feed.requests();
    let last = requests.last().unwrap();
    assert!(last.feed_id.is_empty() && last.cursors.is_empty(), "from the start: {last:?}");
    assert_eq!(receiver.received().len(), 2);
    let cursors = world.store.list_cursors().await.unwrap();
    assert_eq!(cursors.len(), 1);
    assert_eq!((cursors[0].feed_id.to_string(), cursors[0].position), (world.feed.feed_id(), 2));
}

#[tokio::test]
async fn a_malformed_event_is_skipped_and_the_next_one_is_delivered() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    world.notifier().await;
    let good = RunId(ids::v7());
    let nameless = v1::RunEvent { run_id: "nobody".to_owned(), ..ended(good, &receiver.url()) };
    world.feed.publish(nameless);
    world.feed.publish(ended(RunId(ids::v7()), "http://127.0.0.1/\0"));
    let position = world.feed.publish(ended(good, &receiver.url()));
    world.delivery(good, "SUCCEEDED").await;
    assert_eq!(receiver.wait_for(1, WITHIN).await.len(), 1);
    assert_eq!(world.store.list_cursors().await.unwrap()[0].position, position);
}

#[tokio::test]
async fn a_run_without_a_callback_url_makes_no_delivery_and_moves_the_cursor() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    world.notifier().await;
    let untold = world.run_ends("");
    let told = world.run_ends(&receiver.url());
    world.delivery(told, "SUCCEEDED").await;
    assert!(world.deliveries(untold).await.is_empty());
}

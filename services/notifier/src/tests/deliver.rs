//! How deliveries reach receivers, and what happens when they do not.

use super::{WITHIN, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gauntlet_runtime::Exit;
use gauntlet_testkit::{FakeWebhookReceiver, ReceivedWebhook};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use std::time::Duration;

/// Longer than any try may take.
const NEVER: Duration = Duration::from_secs(600);

fn ids(received: &[ReceivedWebhook]) -> Vec<&str> {
    received.iter().map(|webhook| webhook.header("webhook-id").unwrap()).collect()
}

#[tokio::test]
async fn e2_e3_a_delivery_is_signed_and_tells_state_and_counts() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    world.notifier().await;
    let run_id = world.run_ends(&receiver.url());
    let row = world.delivery(run_id, "SUCCEEDED").await;
    let received = receiver.received();
    let [webhook] = received.as_slice() else { panic!("{} webhooks", received.len()) };
    let header = |name| webhook.header(name).unwrap();
    assert_eq!(header("webhook-id"), row.delivery_id);
    let key = std::fs::read_to_string(world.folder.path().join("secret")).unwrap();
    let key = STANDARD.decode(key.trim().strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&webhook.body);
    let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
    mac.verify_slice(&STANDARD.decode(signature).unwrap()).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&webhook.body).unwrap();
    let expected = json!({
        "type": "run.completed",
        "run_id": run_id.to_string(),
        "generation": 1,
        "state": "FAILED",
        "passed": 2,
        "failed": 1,
        "total": 3,
        "counts": {
            "passed": 1, "flaky": 1, "failed": 0, "timed_out": 1, "skipped": 0, "errored": 0, "not_run": 0
        },
        "error": null,
        "gate_result": null,
        "web_vitals_result": null,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn e2_a_failed_try_is_repeated_under_the_same_id() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    receiver.reply_with(500);
    world.notifier().await;
    let run_id = world.run_ends(&receiver.url());
    let row = world.delivery(run_id, "SUCCEEDED").await;
    assert_eq!(row.attempt_count, 2);
    assert_eq!(ids(&receiver.received()), [&row.delivery_id; 2]);
}

#[tokio::test]
async fn e2_a_delivery_out_of_tries_is_dead_and_says_why() {
    let mut world = World::start().await;
    world.config.retry_schedule = vec![Duration::from_millis(1)];
    let receiver = FakeWebhookReceiver::start().await;
    receiver.reply_with(503);
    receiver.reply_with(503);
    world.notifier().await;
    let run_id = world.run_ends(&receiver.url());
    let row = world.delivery(run_id, "DEAD").await;
    assert_eq!((row.attempt_count, row.last_error.as_str()), (2, "the receiver answered 503"));
}

#[tokio::test]
async fn e2_a_crash_between_delivery_and_bookkeeping_sends_again_under_the_same_id() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    receiver.reply_late(200, NEVER);
    let (doomed, _) = world.notifier().await;
    let run_id = world.run_ends(&receiver.url());
    receiver.wait_for(1, WITHIN).await;
    doomed.kill();
    doomed.shutdown(Duration::ZERO).await;
    let held = world.delivery(run_id, "PENDING").await;
    world.time_passes().await;
    world.notifier().await;
    world.delivery(run_id, "SUCCEEDED").await;
    assert_eq!(ids(&receiver.received()), [&held.delivery_id; 2]);
}

#[tokio::test]
async fn e7_shutdown_waits_for_a_delivery_in_flight_and_records_it() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    receiver.reply_late(200, Duration::from_secs(1));
    let (lifecycle, _) = world.notifier().await;
    let run_id = world.run_ends(&receiver.url());
    receiver.wait_for(1, WITHIN).await;
    assert_eq!(lifecycle.shutdown(WITHIN).await, Exit::Clean);
    assert_eq!(world.delivery(run_id, "SUCCEEDED").await.attempt_count, 1);
}

#[tokio::test]
async fn one_slow_receiver_delays_no_other() {
    let mut world = World::start().await;
    let (slow, quick) = (FakeWebhookReceiver::start().await, FakeWebhookReceiver::start().await);
    world.notifier().await;
    // More than are in flight at once to all receivers.
    let backlog = 100;
    for _ in 0..backlog {
        slow.reply_late(200, NEVER);
        world.run_ends(&slow.url());
    }
    slow.wait_for(1, WITHIN).await;
    world.run_ends(&quick.url());
    // Far less than the time after which a try is given up.
    quick.wait_for(1, Duration::from_secs(4)).await;
    assert!(slow.received().len() < backlog, "one receiver has a share, not everything");
}

#[tokio::test]
async fn a_receiver_with_more_deliveries_than_its_share_gets_each_of_them_once() {
    let mut world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    let run_ids: Vec<_> = (0..40).map(|_| world.run_ends(&receiver.url())).collect();
    world.notifier().await;
    for run_id in &run_ids {
        world.delivery(*run_id, "SUCCEEDED").await;
    }
    assert_eq!(receiver.received().len(), run_ids.len());
}

#[tokio::test]
async fn e5_a_loopback_callback_is_dead_at_once_unless_allowed() {
    let mut world = World::start().await;
    world.config.allow_loopback = false;
    let receiver = FakeWebhookReceiver::start().await;
    world.notifier().await;
    let run_id = world.run_ends(&receiver.url());
    let row = world.delivery(run_id, "DEAD").await;
    assert_eq!(row.attempt_count, 1);
    assert!(row.last_error.contains("may not be called"), "{}", row.last_error);
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn e5_a_redirect_is_not_followed() {
    let mut world = World::start().await;
    world.config.retry_schedule.clear();
    let receiver = FakeWebhookReceiver::start().await;
    let elsewhere = FakeWebhookReceiver::start().await;
    receiver.redirect_to(&elsewhere.url());
    world.notifier().await;
    let run_id = world.run_ends(&receiver.url());
    assert_eq!(world.delivery(run_id, "DEAD").await.last_error, "the receiver answered 307");
    assert!(elsewhere.received().is_empty());
}

//! Claims about abort hints, against a real redis-server on a free port.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the helpers beside them")]

use gauntlet_bus::{Bus, RedisConfig, Signal};
use gauntlet_runtime::{Exit, Lifecycle, ids};
use std::{net::TcpListener, process::Stdio, time::Duration};
use tokio::{
    process::{Child, Command},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A redis-server child without persistence; killed when dropped.
struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, child: Self::spawn(port) }
    }

    fn spawn(port: u16) -> Child {
        let port = port.to_string();
        Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn restart(&mut self) {
        self.child.kill().await.unwrap();
        self.child = Self::spawn(self.port);
    }

    fn config(&self, prefix: &str) -> RedisConfig {
        RedisConfig::new(Some(&format!("redis://127.0.0.1:{}", self.port)), prefix).unwrap()
    }

    async fn publish_raw(&self, channel: &str, payload: &str) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("PUBLISH").arg(channel).arg(payload).exec_async(&mut connection).await.unwrap();
    }
}

fn record(bus: &Bus, lifecycle: &Lifecycle) -> UnboundedReceiver<Signal> {
    let (send, receive) = unbounded_channel();
    bus.subscribe(lifecycle, move |signal| {
        let _ = send.send(signal);
        async {}
    });
    receive
}

async fn next(signals: &mut UnboundedReceiver<Signal>) -> Signal {
    timeout(PATIENCE, signals.recv()).await.expect("a signal in time").unwrap()
}

#[tokio::test]
async fn a_hint_reaches_other_processes_and_its_echo_is_dropped() {
    let (redis, lifecycle) = (Redis::start(), Lifecycle::new());
    let (one, two) =
        (Bus::new(&redis.config("a"), &lifecycle), Bus::new(&redis.config("a"), &lifecycle));
    let (mut heard_by_one, mut heard_by_two) = (record(&one, &lifecycle), record(&two, &lifecycle));
    assert_eq!(next(&mut heard_by_one).await, Signal::Resubscribed);
    assert_eq!(next(&mut heard_by_two).await, Signal::Resubscribed);

    let hint = one.hint(ids::v7(), 4);
    one.publish(hint).await;
    assert_eq!(next(&mut heard_by_two).await, Signal::Abort(hint));
    assert_eq!(next(&mut heard_by_one).await, Signal::Abort(hint));
    let back = two.hint(ids::v7(), 5);
    two.publish(back).await;
    assert_eq!(
        next(&mut heard_by_one).await,
        Signal::Abort(back),
        "the echo was not delivered in between"
    );
    assert_eq!((one.stats().echoes, one.stats().received, one.stats().published), (1, 1, 1));
    assert_eq!(lifecycle.shutdown(PATIENCE).await, Exit::Clean);
}

#[tokio::test]
async fn a_malformed_payload_and_another_prefix_are_ignored() {
    let (redis, lifecycle) = (Redis::start(), Lifecycle::new());
    let (one, two) =
        (Bus::new(&redis.config("a"), &lifecycle), Bus::new(&redis.config("b"), &lifecycle));
    let mut heard = record(&one, &lifecycle);
    assert_eq!(next(&mut heard).await, Signal::Resubscribed);
    two.publish(two.hint(ids::v7(), 1)).await;
    redis.publish_raw("a:run-abort", "not json").await;
    let hint = two.hint(ids::v7(), 2);
    redis.publish_raw("a:run-abort", &serde_json::to_string(&hint).unwrap()).await;
    assert_eq!(next(&mut heard).await, Signal::Abort(hint));
    assert_eq!((one.stats().malformed, one.stats().received), (1, 1));
}

#[tokio::test]
async fn a_failing_handler_stops_neither_itself_nor_the_others() {
    let lifecycle = Lifecycle::new();
    let bus = Bus::new(&RedisConfig::off(), &lifecycle);
    bus.subscribe(&lifecycle, |_| async { Err::<(), _>(std::io::Error::other("no")) });
    bus.subscribe(&lifecycle, |signal| async move {
        assert_eq!(signal, Signal::Resubscribed, "panics")
    });
    let mut heard = record(&bus, &lifecycle);
    for revision in 0..3 {
        bus.publish(bus.hint(ids::v7(), revision)).await;
        assert!(matches!(next(&mut heard).await, Signal::Abort(_)));
    }
    timeout(PATIENCE, async {
        while bus.stats().handler_failed < 6 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("every failure is counted");
    assert!(!lifecycle.is_draining());
    assert_eq!(lifecycle.shutdown(PATIENCE).await, Exit::Clean);
}

#[tokio::test]
async fn after_a_restart_of_redis_handlers_are_told_to_read_the_truth() {
    let (mut redis, lifecycle) = (Redis::start(), Lifecycle::new());
    let (one, two) =
        (Bus::new(&redis.config("a"), &lifecycle), Bus::new(&redis.config("a"), &lifecycle));
    let (mut heard, mut also) = (record(&one, &lifecycle), record(&one, &lifecycle));
    assert_eq!(next(&mut heard).await, Signal::Resubscribed);
    assert_eq!(next(&mut also).await, Signal::Resubscribed);
    redis.restart().await;
    assert_eq!(next(&mut heard).await, Signal::Resubscribed);
    assert_eq!(next(&mut also).await, Signal::Resubscribed);
    assert_eq!(one.stats().subscriptions, 2, "two handlers share one listener");
    let hint = two.hint(ids::v7(), 9);
    two.publish(hint).await;
    assert_eq!(next(&mut heard).await, Signal::Abort(hint));
}

#[tokio::test]
async fn publishing_without_a_server_is_quick_and_never_fails() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = RedisConfig::new(Some(&format!("redis://127.0.0.1:{port}")), "a").unwrap();
    let bus = Bus::new(&config, &Lifecycle::new());
    timeout(Duration::from_secs(1), bus.publish(bus.hint(ids::v7(), 1))).await.unwrap();
    assert_eq!(bus.stats().publish_failed, 1);
}

//! Promises of deliveries on a real Postgres and a real receiver.

use crate::send::Sender;
use crate::sign::Secret;
use crate::store::sql::ALL;
use crate::store::{Cursor, NewDelivery, Store};
use base64::Engine as _;
use gauntlet_core::RunId;
use gauntlet_pg::{PgConfig, Pool, prepare_all};
use gauntlet_runtime::{Lifecycle, ids};
use gauntlet_testkit::{FakeWebhookReceiver, TestDatabase, wait_until};
use hmac::{Hmac, KeyInit as _, Mac as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const WITHIN: Duration = Duration::from_secs(10);

struct World {
    store: Store,
    pool: Pool,
    key: Vec<u8>,
    secret: Secret,
    lifecycle: Lifecycle,
    _database: TestDatabase,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        // A process that is not the gauntlet program has no default yet; a second install is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let schema = include_str!("../migrations/0001_deliveries.sql");
        let database = TestDatabase::create("notifier", schema, async |url: String| {
            crate::migrate(&url).await.map(|_| ()).map_err(anyhow::Error::from)
        })
        .await;
        let config = PgConfig::from_url(database.url()).unwrap();
        let pool = Pool::connect(&config, "test", "notifier").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let secret = Secret::load_or_create(&file).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        let key = base64::engine::general_purpose::STANDARD
            .decode(text.trim().strip_prefix("whsec_").unwrap())
            .unwrap();
        let store = Store::new(pool.clone());
        let lifecycle = Lifecycle::new();
        Self { store, pool, key, secret, lifecycle, _database: database, _folder: folder }
    }

    async fn take(&self, position: i64, url: &str) -> RunId {
        let run_id = RunId(ids::v7());
        self.take_again(position, url, run_id).await;
        run_id
    }

    async fn take_again(&self, position: i64, url: &str, run_id: RunId) {
        let cursor = Cursor { lane: 0, feed_id: uuid::Uuid::nil(), position };
        let delivery = NewDelivery {
            delivery_id: format!("msg_{run_id}"),
            run_id,
            generation: 1,
            url: url.to_owned(),
            body: format!(r#"{{"run_id":"{run_id}"}}"#),
        };
        self.store.take_event(cursor, Some(&delivery)).await.unwrap();
    }

    fn send(&self, allow_loopback: bool, schedule: &[u64]) {
        let sender = Sender {
            store: self.store.clone(),
            secret: self.secret.clone(),
            allow_loopback,
            retry_schedule: schedule.iter().map(|ms| Duration::from_millis(*ms)).collect(),
            created: Arc::new(Notify::new()),
            lifecycle: self.lifecycle.clone(),
        };
        self.lifecycle.spawn("send", sender.run());
    }

    async fn until(&self, run_id: RunId, state: &str) -> (i32, String) {
        wait_until(WITHIN, state, async || {
            let rows = self.store.list_deliveries(run_id).await.unwrap();
            assert_eq!(rows.len(), 1);
            if rows[0].state == state {
                Ok((rows[0].attempt_count, rows[0].last_error.clone()))
            } else {
                Err(rows[0].state.clone())
            }
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.lifecycle.kill();
    }
}

#[tokio::test]
async fn every_statement_fits_the_schema() {
    let world = World::start().await;
    assert_eq!(prepare_all(&world.pool, ALL).await.unwrap().len(), ALL.len());
}

#[tokio::test]
async fn e2_e3_a_delivery_is_signed_and_a_repeated_event_delivers_once() {
    let world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    let run_id = world.take(1, &receiver.url()).await;
    world.take_again(2, &receiver.url(), run_id).await;
    world.send(true, &[]);
    world.until(run_id, "SUCCEEDED").await;
    let received = receiver.received();
    assert_eq!(received.len(), 1, "DL-1");
    let header = |name| received[0].header(name).unwrap().to_owned();
    let body = std::str::from_utf8(&received[0].body).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&world.key).unwrap();
    mac.update(
        format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes(),
    );
    let signature = header("webhook-signature");
    let signature = signature.strip_prefix("v1,").unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    mac.verify_slice(&signature).unwrap();
    assert_eq!(header("webhook-id"), format!("msg_{run_id}"));
}

#[tokio::test]
async fn e2_a_failed_try_is_repeated_under_the_same_id() {
    let world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    receiver.reply_with(500);
    receiver.reply_with(200);
    let run_id = world.take(1, &receiver.url()).await;
    world.send(true, &[1, 1]);
    let (attempts, _) = world.until(run_id, "SUCCEEDED").await;
    assert_eq!(attempts, 2);
    let ids: Vec<_> =
        receiver.received().iter().map(|r| r.header("webhook-id").map(str::to_owned)).collect();
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn e2_a_delivery_out_of_tries_is_dead_and_says_why() {
    let world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    receiver.reply_with(503);
    receiver.reply_with(503);
    let run_id = world.take(1, &receiver.url()).await;
    world.send(true, &[1]);
    let (attempts, error) = world.until(run_id, "DEAD").await;
    assert_eq!((attempts, error.as_str()), (2, "the receiver answered 503"));
}

#[tokio::test]
async fn e5_a_loopback_callback_is_dead_at_once_unless_allowed() {
    let world = World::start().await;
    let receiver = FakeWebhookReceiver::start().await;
    let run_id = world.take(1, &receiver.url()).await;
    world.send(false, &[1]);
    let (attempts, error) = world.until(run_id, "DEAD").await;
    assert_eq!(attempts, 1);
    assert!(error.contains("may not be called"), "{error}");
    assert!(receiver.received().is_empty());
}

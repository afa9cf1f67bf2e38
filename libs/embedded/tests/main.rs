//! What the embedded store promises, on real servers.
//!
//! Runs where Postgres and Redis are installed, as root and as a normal user. A crashed owner is this
//! same binary run again with one ignored test chosen and a folder in its environment.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the helpers beside them")]

use std::time::{Duration, Instant};

mod refusals;
mod restarts;
mod support;

use gauntlet_embedded::{EmbeddedConfig, EmbeddedStore};
use support::{Folder, sql, value};

#[tokio::test]
async fn data_survives_a_stop_and_a_start() {
    let folder = Folder::new();
    let config = EmbeddedConfig::persistent(folder.path());
    let store = EmbeddedStore::start(&config).await.unwrap();
    sql(&store.postgres_url(), "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)").await;
    support::redis_command(&store, "SET kept 42").await;
    store.stop().await;
    assert_eq!(folder.servers(), [], "a stop ends both servers");

    let store = EmbeddedStore::start(&config).await.unwrap();
    assert_eq!(value(&store.postgres_url(), "SELECT n FROM kept").await, 42);
    assert_eq!(support::redis_command(&store, "GET kept").await, "$2\r\n42\r\n");
    store.stop().await;
}

#[tokio::test]
async fn a_warm_start_takes_well_under_three_seconds() {
    let folder = Folder::new();
    let config = EmbeddedConfig::persistent(folder.path());
    let begun = Instant::now();
    EmbeddedStore::start(&config).await.unwrap().stop().await;
    let cold = begun.elapsed();
    let begun = Instant::now();
    let store = EmbeddedStore::start(&config).await.unwrap();
    let warm = begun.elapsed();
    let begun = Instant::now();
    store.stop().await;
    println!("cold start and stop {cold:?}, warm start {warm:?}, stop {:?}", begun.elapsed());
    assert!(warm < Duration::from_secs(3), "{warm:?}");
}

#[tokio::test]
async fn a_persistent_store_is_durable_and_an_ephemeral_one_is_not() {
    for (ephemeral, fsync) in [(false, 1), (true, 0)] {
        let folder = Folder::new();
        let config = EmbeddedConfig { ephemeral, ..EmbeddedConfig::persistent(folder.path()) };
        let store = EmbeddedStore::start(&config).await.unwrap();
        let setting = "SELECT (current_setting('fsync') = 'on')::int";
        assert_eq!(value(&store.postgres_url(), setting).await, fsync);
        let commit = "SELECT (current_setting('synchronous_commit') = 'on')::int";
        assert_eq!(value(&store.postgres_url(), commit).await, 1);
        store.stop().await;
    }
}

#[tokio::test]
async fn an_ephemeral_store_leaves_nothing() {
    for by_drop in [false, true] {
        let folder = Folder::new();
        let store = EmbeddedStore::start(&EmbeddedConfig::ephemeral(folder.path())).await.unwrap();
        if by_drop {
            drop(store);
        } else {
            store.stop().await;
        }
        assert!(!folder.path().exists(), "the folder is removed");
        assert_eq!(folder.servers(), []);
    }
}

#[tokio::test]
async fn a_connection_without_the_password_is_refused() {
    let folder = Folder::new();
    let store = EmbeddedStore::start(&EmbeddedConfig::ephemeral(folder.path())).await.unwrap();
    let url = format!("postgres://gauntlet:wrong@127.0.0.1:{}/gauntlet", store.postgres().port());
    let error = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(error.code().map(|code| code.code()), Some("28P01"), "{error}");
    let reply = support::redis_raw(store.redis().port(), "PING\r\n").await;
    assert!(reply.starts_with("-NOAUTH"), "{reply}");
    store.stop().await;
}

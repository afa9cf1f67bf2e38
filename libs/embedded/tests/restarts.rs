//! Crashes: of the owner, of a server, on purpose.

use std::time::Duration;

use gauntlet_embedded::{EmbeddedConfig, EmbeddedError, EmbeddedStore};

use crate::support::{
    Folder, Kind, OWNER_FOLDER, OWNER_KIND, Owner, redis_command, sql, until, value,
};

/// Not a test: the process that other tests kill.
#[tokio::test]
#[ignore = "run by other tests in a process of its own"]
async fn owner_for_other_tests() {
    let Some(folder) = std::env::var_os(OWNER_FOLDER) else { return };
    let kind = Kind::from_name(&std::env::var_os(OWNER_KIND).unwrap());
    let store = EmbeddedStore::start(&kind.config(folder)).await.unwrap();
    sql(&store.postgres_url(), "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await;
    redis_command(&store, "SET kept 7").await;
    std::fs::write(store.data_dir().join("logs/ready"), "").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn orphans_of_a_killed_owner_are_stopped_and_their_data_is_kept() {
    let folder = Folder::new();
    let mut owner = Owner::start(&folder, Kind::Unguarded).await;
    let orphans = folder.servers();
    assert_eq!(orphans.len(), 2, "{orphans:?}");
    owner.kill9();
    assert_eq!(folder.servers(), orphans, "nobody stops them");

    let store = EmbeddedStore::start(&EmbeddedConfig::persistent(folder.path())).await.unwrap();
    let now = folder.servers();
    assert!(orphans.iter().all(|orphan| !now.contains(orphan)), "{orphans:?} {now:?}");
    assert_eq!(value(&store.postgres_url(), "SELECT n FROM kept").await, 7);
    assert_eq!(redis_command(&store, "GET kept").await, "$1\r\n7\r\n");
    store.stop().await;
}

#[tokio::test]
async fn servers_stop_when_their_owner_is_killed() {
    let folder = Folder::new();
    let mut owner = Owner::start(&folder, Kind::Guarded).await;
    owner.kill9();
    until("both servers stop", || folder.servers().is_empty()).await;
}

#[tokio::test]
async fn an_ephemeral_folder_goes_when_its_owner_is_killed() {
    let folder = Folder::new();
    let mut owner = Owner::start(&folder, Kind::Ephemeral).await;
    owner.kill9();
    until("the folder is removed", || !folder.path().exists()).await;
    assert_eq!(folder.servers(), []);
}

#[tokio::test]
async fn a_second_start_on_a_held_folder_names_the_holder() {
    let folder = Folder::new();
    let owner = Owner::start(&folder, Kind::Guarded).await;
    let config = EmbeddedConfig::persistent(folder.path());
    let error = EmbeddedStore::start(&config).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Locked { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", owner.pid())), "{text}");
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    assert_eq!(folder.servers().len(), 2, "the holder is left alone");
}

#[tokio::test]
async fn killed_servers_start_again_on_the_same_port_with_every_commit() {
    let folder = Folder::new();
    let store = EmbeddedStore::start(&EmbeddedConfig::ephemeral(folder.path())).await.unwrap();
    let (postgres_url, redis_url) = (store.postgres_url(), store.redis_url());
    sql(&postgres_url, "CREATE TABLE kept (n int)").await;
    for round in 1..=3 {
        sql(&postgres_url, "INSERT INTO kept VALUES (1)").await;
        store.postgres().kill9().await;
        store.redis().kill9().await;
        assert_eq!(folder.servers(), [], "round {round}");
        store.postgres().start_again().await.unwrap();
        store.redis().start_again().await.unwrap();
        assert_eq!(value(&postgres_url, "SELECT count(*)::int FROM kept").await, round);
    }
    store.postgres().stop_immediate().await;
    assert_eq!(store.postgres().pid(), None);
    store.postgres().start_again().await.unwrap();
    assert_eq!((store.postgres_url(), store.redis_url()), (postgres_url, redis_url));
    let error = store.postgres().start_again().await.unwrap_err();
    assert!(matches!(error, EmbeddedError::StillRunning { .. }), "{error}");
    store.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_told_from_a_broken_server() {
    let folder = Folder::new();
    let store = EmbeddedStore::start(&EmbeddedConfig::ephemeral(folder.path())).await.unwrap();
    for server in [store.postgres(), store.redis()] {
        server.stop().await;
        let squatter = std::net::TcpListener::bind(("127.0.0.1", server.port())).unwrap();
        let error = server.start_again().await.unwrap_err();
        assert!(matches!(error, EmbeddedError::NoFreePort { .. }), "{error}");
        drop(squatter);
        server.start_again().await.unwrap();
    }
    store.stop().await;
}

#[tokio::test]
async fn a_stale_pid_file_that_names_a_stranger_stops_no_start() {
    let folder = Folder::new();
    let config = EmbeddedConfig::persistent(folder.path());
    EmbeddedStore::start(&config).await.unwrap().stop().await;
    // As after a crash of the machine: the number now belongs to somebody else, here to us.
    let stale = format!("{}\n{}\n", std::process::id(), folder.path().join("postgres").display());
    std::fs::write(folder.path().join("postgres/postmaster.pid"), stale).unwrap();
    EmbeddedStore::start(&config).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_cancelled_start_leaves_no_process_and_can_be_repeated() {
    let folder = Folder::new();
    let config = EmbeddedConfig::persistent(folder.path());
    for limit_ms in [50, 300, 900] {
        let limit = Duration::from_millis(limit_ms);
        let _ = tokio::time::timeout(limit, EmbeddedStore::start(&config)).await;
        assert_eq!(folder.servers(), [], "after {limit:?}");
    }
    EmbeddedStore::start(&config).await.unwrap().stop().await;
}

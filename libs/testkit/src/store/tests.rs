//! The life of the shared servers, on a folder of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::*;
use crate::processes::{kill9, processes_with_marker};
use crate::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(30);

fn folder() -> tempfile::TempDir {
    let open = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(open).tempdir().unwrap()
}

async fn nothing_runs_on(dir: &Path) {
    let marker = dir.to_str().unwrap().to_owned();
    wait_until(LIMIT, "servers and watchdog are gone", async || {
        let left = processes_with_marker(&marker);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    assert!(!dir.join("data").exists(), "the data folder is removed");
}

#[tokio::test]
async fn the_servers_stop_after_the_last_user_and_not_before() {
    let folder = folder();
    let one = TestStore::share(folder.path()).await.unwrap();
    let two = TestStore::share(folder.path()).await.unwrap();
    assert_eq!(one.postgres_url(), two.postgres_url());
    assert_eq!(one.redis_url(), two.redis_url());
    drop(one);
    let watchdog_waits = format!("{}/users", folder.path().display());
    wait_until(LIMIT, "the watchdog waits for the users", async || {
        let found = processes_with_marker(&watchdog_waits);
        if found.is_empty() { Err(()) } else { Ok(()) }
    })
    .await;
    assert!(running_at(&folder.path().join("urls")).await.is_some());
    drop(two);
    nothing_runs_on(folder.path()).await;
}

#[tokio::test]
async fn a_killed_watchdog_is_replaced_by_the_next_user() {
    let folder = folder();
    let one = TestStore::share(folder.path()).await.unwrap();
    for pid in processes_with_marker(&format!("{}/watchdog", folder.path().display())) {
        kill9(pid);
    }
    for pid in processes_with_marker(&format!("{}/users", folder.path().display())) {
        kill9(pid);
    }
    let two = TestStore::share(folder.path()).await.unwrap();
    drop((one, two));
    nothing_runs_on(folder.path()).await;
}

#[tokio::test]
async fn servers_that_died_are_started_again_for_the_next_user() {
    let folder = folder();
    let one = TestStore::share(folder.path()).await.unwrap();
    let data = folder.path().join("data/redis");
    for pid in processes_with_marker(data.to_str().unwrap()) {
        kill9(pid);
    }
    wait_until(LIMIT, "redis is gone", async || {
        match running_at(&folder.path().join("urls")).await {
            None => Ok(()),
            Some(urls) => Err(urls),
        }
    })
    .await;
    let two = TestStore::share(folder.path()).await.unwrap();
    assert_ne!(one.redis_url(), two.redis_url());
    drop((one, two));
    nothing_runs_on(folder.path()).await;
}

//! Claims about how a process stops.

use super::*;
use std::future::pending;

const GRACE: Duration = Duration::from_secs(5);

async fn boom() {
    panic!("boom");
}

#[tokio::test]
async fn a_task_that_watches_the_drain_ends_cleanly() {
    let lifecycle = Lifecycle::new();
    let watched = lifecycle.clone();
    lifecycle.spawn("watcher", async move { watched.draining().await });
    assert_eq!(lifecycle.shutdown(GRACE).await, Exit::Clean);
}

#[tokio::test]
async fn a_panicking_task_drains_and_fails_the_process() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("bad", boom());
    assert_eq!(lifecycle.run_to_end(GRACE).await, Exit::Failed);
}

#[tokio::test]
async fn an_error_drains_and_fails_but_not_when_already_draining() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("bad", async { Err::<(), _>(io::Error::other("gone")) });
    assert_eq!(lifecycle.run_to_end(GRACE).await, Exit::Failed);

    let lifecycle = Lifecycle::new();
    let watched = lifecycle.clone();
    lifecycle.spawn("late", async move {
        watched.draining().await;
        Err::<(), _>(io::Error::other("gone"))
    });
    assert_eq!(lifecycle.shutdown(GRACE).await, Exit::Clean);
}

#[tokio::test]
async fn a_task_that_ignores_the_drain_is_killed_after_the_grace() {
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("deaf", pending::<()>());
    assert_eq!(lifecycle.shutdown(Duration::from_millis(20)).await, Exit::Killed);
    assert_eq!(lifecycle.0.tasks.len(), 0);
}

#[tokio::test]
async fn a_child_drains_alone_and_the_parent_waits_for_it() {
    let parent = Lifecycle::new();
    let child = parent.child();
    let watched = child.clone();
    child.spawn("watcher", async move { watched.draining().await });
    assert_eq!(child.shutdown(GRACE).await, Exit::Clean);
    assert!(!parent.is_draining());

    let child = parent.child();
    let watched = child.clone();
    child.spawn("watcher", async move { watched.draining().await });
    assert_eq!(parent.0.tasks.len(), 1);
    assert_eq!(parent.shutdown(GRACE).await, Exit::Clean);
    assert!(child.is_draining());
}

#[tokio::test]
async fn a_failing_child_fails_the_parent() {
    let parent = Lifecycle::new();
    parent.child().spawn("bad", boom());
    assert_eq!(parent.run_to_end(GRACE).await, Exit::Failed);
}

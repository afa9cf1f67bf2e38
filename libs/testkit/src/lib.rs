//! What tests share: a real Postgres and Redis, a database each, a fake webhook receiver, a fake event
//! feed, processes to kill, executors without browsers, and waiting for a condition. Nothing but tests
//! and `xtask` depends on this crate.
//!
//! Works under plain `cargo test` and under nextest, with nothing running beforehand. Here a failure
//! is a panic with the reason: there is no caller who could do better.
//!
//! A crash here (a test process killed) leaves no server: see [`TestStore`].
//!
//! ```no_run
//! # use gauntlet_testkit::{TestDatabase, TestStore, wait_until};
//! # async fn example() {
//! let store = TestStore::shared().await;
//! let database = TestDatabase::create("claims", "migrations v1", async |url| {
//!     // run the service's migrations on `url`
//!     Ok(())
//! })
//! .await;
//! let (pg, redis, prefix) = (database.url(), store.redis_url(), store.redis_prefix());
//! # }
//! ```
//!
//! # Adding a helper
//! A second test crate must want it; it takes a deadline, and its panic prints the last state seen.

#![expect(
    clippy::print_stderr,
    reason = "a test runner shows standard error, nobody subscribes to logs"
)]

mod client;
mod database;
mod feed;
mod gauntlet;
mod key;
mod processes;
pub mod scripted;
mod store;
mod target;
mod wait;
mod webhook;

pub use database::{TestDatabase, migrations_of};
pub use feed::FakeEventFeed;
pub use gauntlet::GauntletProcess;
pub use gauntlet_embedded::{EmbeddedConfig, EmbeddedStore, Pid, free_port};
pub use key::key_file;
pub use processes::{kill9, processes_with_marker};
pub use store::TestStore;
pub use wait::wait_until;
pub use webhook::{FakeWebhookReceiver, ReceivedWebhook};

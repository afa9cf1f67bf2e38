//! The executor: claims shards, runs their tests in browsers, reports to results, and tells the scheduler.
//!
//! Owns nothing durable: browsers, a bounded spool (its artifacts on disk), a cache of recordings. It writes no SQL and never decides what a result
//! means. It keeps EX-1 (no browser process without a live attempt) and obeys SH-3 (one row per attempt, repeats are
//! harmless). Lease and fence are what make its death harmless: kill it anywhere and the next holder of its shards finds
//! every acknowledged result and runs only what has none; its browsers die with it, by their supervisors.
//!
//! ```ignore
//! let config = args.config()?;                                    // every problem at once
//! let deps = Deps::production(&config, &lifecycle);               // or a scripted TestRunner
//! let app = App::build(config, deps).await?;                      // binds; app.addr() is known
//! let exit = app.run(lifecycle.child()).await;                    // serves, drains, leaves no browser
//! ```
//!
//! Reading order: `session` (beat, leases) → `claim` → `shard` → `tests_of_shard` → `keep` → `artifact` → `report` → `complete`.
//!
//! # Adding a browser
//! Give it a [`TestRunner`], offer it in [`TestRunner::browsers`], and make every option it cannot follow a launch error.

mod app;
mod artifact;
mod attempt;
mod beat;
mod browsers;
mod cancel;
mod claim;
mod complete;
mod config;
mod disk;
mod emulation;
mod fault;
mod grpc;
mod keep;
mod leases;
mod mask;
mod peer;
mod plan;
mod report;
mod revisions;
mod run_test;
mod session;
mod shard;
mod sign_in;
mod slots;
mod tests_of_shard;
mod timeline;

pub use app::{App, BuildError, Deps, Sessions};
pub use browsers::RealBrowsers;
pub use cancel::{Stop, StopReason};
pub use config::{Args, BrowserPaths, Config, ConfigError, EgressConfig};
pub use fault::{Fault, FaultPoint};
pub use run_test::{BrowserSpec, LiveBrowser, TestRunner};

//! What every Gauntlet process shares: its life, its clock, its randomness and its telemetry.
//!
//! Owns the only doors to ambient things (time, randomness, keys in files, task spawning, signals, the tracing subscriber); clippy bans
//! them elsewhere. It knows no domain, no database and no gRPC. A crash here is a crash of the process: nothing in this
//! crate is durable.
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     gauntlet_runtime::main(async || {
//!         let args = Args::parse();
//!         let _telemetry = gauntlet_runtime::telemetry::init(&args.telemetry, "gauntlet-results")?;
//!         let lifecycle = Lifecycle::with_signals()?;
//!         lifecycle.spawn("reap", reap_loop(lifecycle.clone()));
//!         Ok(lifecycle.run_to_end(Duration::from_secs(20)).await)
//!     })
//! }
//! ```
//!
//! # Public surface
//! * [`Lifecycle`]: `new()`, `with_signals()`, `child()`, `spawn(name, future)`, `draining().await`, `is_draining()`,
//!   `killed().await`, `drain()`, `kill()`, `shutdown(grace).await -> Exit`, `run_to_end(grace).await -> Exit`.
//! * [`Exit`]: how a process ended; becomes its exit code.
//! * [`Clock`]: `system()`, `manual(start)`, `now()`; [`ManualClock`] moves a manual one.
//! * [`ids`]: `v4()`, `v7()`, `random_bytes()`; [`jitter`]: spreads a duration.
//! * [`KeyFile`]: `load(path)`, `load_or_create(path)`.
//! * [`Backoff`]: `new(first, max)`, `attempts_max(n)`, `next_delay()`, `sleep().await`, `reset()`.
//! * [`error_chain`]: an error and its sources as one line.
//! * [`telemetry`]: [`telemetry::TelemetryArgs`], [`telemetry::init`], [`telemetry::TelemetryGuard`].
//! * [`main`]: the whole of a `fn main`.
//!
//! # Adding an ambient thing
//! Give it a module here, ban the direct call in `clippy.toml` with a reason that names the module, and say
//! `expect(clippy::disallowed_methods)` at the single place that touches the real one.

mod backoff;
mod boot;
mod clock;
pub mod ids;
mod key_file;
mod lifecycle;
pub mod telemetry;

pub use backoff::{Backoff, jitter};
pub use boot::main;
pub use clock::{Clock, ManualClock};
pub use key_file::{KeyFile, KeyFileError};
pub use lifecycle::{Exit, Lifecycle, TaskOutcome, error_chain};

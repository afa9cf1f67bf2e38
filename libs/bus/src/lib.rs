//! Hints between processes over Redis: "this run is aborting, renew now".
//!
//! Owns one channel, `<prefix>:run-abort`, its payload and one listener per process. A hint is never the truth: nothing is
//! decided on it, and losing one only makes an abort wait for the next lease renewal. Without Redis everything still works
//! inside the process. After a crash, or a lost connection, nothing is replayed; handlers are told to read the truth.
//!
//! ```ignore
//! let bus = Bus::new(&args.redis.config()?, &lifecycle);          // one per process
//! bus.subscribe(&service_lifecycle, move |signal| {
//!     let renewals = renewals.clone();
//!     async move {
//!         match signal {
//!             Signal::Abort(hint) => renewals.renew_now(hint.run_id),
//!             Signal::Resubscribed => renewals.renew_all(),
//!         }
//!     }
//! });
//! bus.publish(bus.hint(run_id, revision)).await;                  // never fails, at most 200 ms
//! ```
//!
//! # Public surface
//! * [`RedisArgs`] (clap) → [`RedisArgs::config`] → [`RedisConfig`]; [`RedisConfig::off`] for none.
//! * [`Bus`]: `new(&config, &lifecycle)`, `hint(run_id, revision)`, `publish(hint).await`, `subscribe(&lifecycle, handler)`,
//!   `stats()`.
//! * [`AbortHint`], [`Signal`], [`BusStats`], [`ConfigError`].
//!
//! # Adding a hint
//! Think first whether a timer and the row do not serve already. Then give it a channel beside `run-abort`, a payload with
//! `origin`, and a variant of [`Signal`]; handlers match exhaustively and so hear of it.

mod args;
mod bus;
mod hint;
mod listener;
mod stats;

pub use args::{ConfigError, RedisArgs, RedisConfig};
pub use bus::{Bus, PUBLISH_TIMEOUT};
pub use hint::{AbortHint, Signal};
pub use stats::BusStats;

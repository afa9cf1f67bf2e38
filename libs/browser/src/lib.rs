//! Runs one [`Flow`](gauntlet_core::flow::Flow) at a time in a real browser (G1, G3, G4, G5, G8).
//!
//! [`Browser`] is one driver with one browser of a [`BrowserKind`], or a session of a remote [`Grid`]; each test gets its own
//! isolated user context in it, made before it is needed, or one that was cleared and seen to be clear ([`Isolation`]), or a
//! session of its own where there are no contexts. [`BrowserSlot`] keeps one browser and replaces it when it misbehaves or when
//! the run changes. Every process is started below a supervisor ([`supervise_main`]), so that nothing outlives its owner,
//! however that dies.
//!
//! Pages are untrusted: the browser's sandbox is on where that can be, and all its connections go through [`Egress`].
//!
//! Promises: never a false pass; every command has a deadline; a cancelled test returns at once, because the browser is
//! killed instead of asked. Values of sensitive steps and secret variables are never logged or
//! told. It does not decide about retries.
//!
//! # Adding a kind of browser
//! Say in `kind.rs` how it is started, and in `programs.rs` where it is; `tests/browsers.rs` runs every recording in it.
//!
//! # Adding a step kind
//! Add it to `gauntlet_core::flow::StepKind`, perform it in `step/`, and use it in a flow of `tests/flows.rs`, followed by a
//! check of what it did. `tests/mutations.rs` then spoils it; say there what else can be wrong with it.

mod accessible;
mod bidi;
mod browser;
mod capture;
mod cdp;
mod classic;
mod config;
mod control;
mod devtools;
mod driver;
mod egress;
mod emulate;
mod endpoint;
mod error;
mod expression;
mod film;
mod grid;
mod hand;
mod keys;
mod kind;
mod lift;
mod locate;
mod logs;
mod memory;
mod outcome;
mod pages;
mod process;
mod programs;
mod reset;
mod run;
mod sandbox;
mod session;
mod slot;
mod state;
mod step;
mod supervise;
mod sweep;
mod tab;
mod value;

pub use browser::Browser;
pub use capture::Capture;
pub use config::{
    BrowserConfig, DialogPolicy, Emulation, Geolocation, Isolation, Network, TestOptions,
};
pub use control::Control;
pub use egress::{Egress, ReservedPorts, Resolve, SystemResolver};
pub use error::LaunchError;
pub use film::{Chapter, EncodeError, Encoder, Film, Frame};
pub use grid::{BasicAuth, Grid};
pub use kind::BrowserKind;
pub use logs::{ConsoleEntry, Logs, Request};
pub use outcome::{STEP_RECORDS_MAX, StepFailure, StepRecord, TestOutcome, TestResult};
pub use programs::{Programs, sandbox_possible};
pub use sandbox::probe_sandbox;
pub use slot::BrowserSlot;
pub use state::StorageState;
pub use supervise::supervise_main;
pub use sweep::{SweepReport, make_owned_folder, sweep_stale};

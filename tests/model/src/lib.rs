//! The rows of scheduler and results as values, and their transactions as functions: what the SQL does, without SQL.
//!
//! [`scheduler`] holds a run with its shards and log and changes them by the real `core::protocol::decide`; [`results`] holds
//! fences, attempts, seals and verdicts and judges them by the real `core::seal`. After every change the invariants of
//! `core::invariants` are checked. There is no network, clock or crash here: the model checker (`tests/` of this crate) and
//! the simulator (`tests/sim`) bring those.
//!
//! The rest, with the numbers of states and the counterexamples: `docs/protocol.md`.
//!
//! # Adding a broken rule
//! Add it to [`Broken`], say where it lies in `broken.rs` or `results.rs`, and write the test that finds it.

mod broken;
pub mod results;
pub mod scheduler;

pub use broken::{Broken, Rules};

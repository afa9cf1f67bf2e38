//! The domain without the world: no clock, no randomness, no I/O. Time arrives inside a command or leaves as a delay.
//!
//! [`protocol`] decides what a command does to locked rows (RN, SH and FN invariants), [`plan`] cuts a run into shards,
//! [`seal`] and [`verdict`] say what the results mean, [`flow`] is the one model of a test's steps. The scheduler's store
//! calls `protocol` under its row locks, results calls `seal` under its own; the model checker in `tests/model` and the
//! simulator in `tests/sim` call the very same functions. [`egress`] says whom pages may reach, by what [`address`] knows.
//!
//! # Adding a command
//! Add it to [`protocol::Command`], decide it in `protocol/decide/`, list its legal pairs in the transition table, and let
//! the golden test write the new picture into `docs/`.

pub mod address;
pub mod artifact;
pub mod egress;
pub mod flow;
pub mod ids;
pub mod invariants;
pub mod limits;
pub mod plan;
pub mod protocol;
pub mod seal;
pub mod verdict;

pub use ids::{LeaseEpoch, LeaseId, ReplicaId, RunId, SessionId, TestId};

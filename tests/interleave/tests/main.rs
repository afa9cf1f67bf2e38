//! Each pair of transactions of the protocol on two real connections, stepped through every order of their statements.
//!
//! Two transactions of the product run at once, each on a connection of its own. Both stop before every statement and before
//! the COMMIT (`gauntlet_pg::step`), and `explore` decides whose statement is next: depth first, through every order but those
//! that differ only in swaps of neighbours that touch no common table. A statement that waits for a lock of the other (asked
//! of Postgres) gives the turn away until the other has committed. Every order must end as one of the two serial ones: the
//! same rows in every table, the same answers to the callers; no invariant may break, no event may appear in the feed behind
//! one that a reader has seen, and the two may never wait for each other: that is a deadlock, even if a retry would hide it.
//!
//! Artifacts (`artifacts`) are less strict: they may wait for each other, and what must hold is said there. What is done to
//! their content is stopped before, too.
//!
//! # Adding a transaction
//! Offer it in the service's `interleave` module, add it to `pairs::Kind` and say in `World::set_up` what it needs to have
//! something to do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod artifacts;
mod batches;
mod explore;
mod footprint;
mod pairs;
mod side;
mod wedge;
mod world;

//! The binary as people use it: real processes, real Postgres and Redis, real Chromium. Few and whole.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

mod abort;
mod artifacts;
mod audit;
mod documents;
mod egress;
mod imports;
mod kill;
mod retries;
mod stops;
mod traces;
mod verdicts;

//! The binary as people use it: real processes, real Postgres and Redis, real Chromium. Few and whole.

mod support;

mod abort;
mod documents;
mod imports;
mod kill;
mod verdicts;

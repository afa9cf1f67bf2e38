//! The services together over gRPC on a real Postgres, with executors that are scripts instead of browsers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

mod abort;
mod admission;
mod audit;
mod catalog;
mod environments;
mod fault;
mod generations;
mod lifecycle;
mod start;
mod stop;
mod watch;

//! The services together over gRPC on a real Postgres, with executors that are scripts instead of browsers.

mod support;

mod abort;
mod admission;
mod fault;
mod lifecycle;
mod watch;

//! The gateway over real sockets, between clients and peers that answer exactly what a test says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

mod follow;
mod forward;
mod health;
mod web;

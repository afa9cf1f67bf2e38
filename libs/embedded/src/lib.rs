//! A Postgres and a Redis of Gauntlet's own, run as child processes on loopback.
//!
//! `gauntlet up` starts one [`EmbeddedStore`] on a folder that outlives it; tests start one on a
//! folder that is removed when it stops.
//!
//! Owns: the data folder (layout, lock, password, logs), the two child processes, and what is left
//! of them after a crash. It does not create tables, does not know a service, and never touches a
//! server that it did not start from this very folder.
//!
//! A crash here (kill -9 of the owner) loses nothing that was committed. A small shell, the guard,
//! sees its pipe close and asks both servers to stop; should the guard be gone too, the next start
//! on the folder finds the orphans by their command line and stops them first.
//!
//! # Adding a server
//! Give it a `Launch` (command, probe, stop signal) beside `postgres.rs` and `redis.rs`, a folder in
//! `DataFolder`, its program in `programs.rs`, and a line in `guard.sh`.

mod account;
mod config;
mod error;
mod folder;
mod guard;
mod orphans;
mod password;
mod port;
mod postgres;
mod process;
mod programs;
mod redis;
mod server;
mod store;

pub use config::EmbeddedConfig;
pub use error::EmbeddedError;
pub use port::free_port;
pub use process::{Pid, processes_where};
pub use server::Server;
pub use store::{DetachedStore, EmbeddedStore};

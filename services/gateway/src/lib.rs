//! The gateway: where clients reach the mesh.
//!
//! It forwards the public services unchanged, merges a run's events with the progress of its tests and the audits of the
//! services into one, and answers gRPC and
//! gRPC-Web. It holds nothing and decides nothing: a crash here loses connections, and clients resume by revision. Services
//! that only the mesh may call are not forwarded, so they are UNIMPLEMENTED here.

mod app;
mod audit;
mod config;
mod follow;
mod forward;
mod grpc;

pub use app::{App, BuildError};
pub use config::{Args, Config};

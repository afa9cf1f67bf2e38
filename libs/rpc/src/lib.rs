//! gRPC between Gauntlet's services: errors with reasons, a server that drains, clients with deadlines.
//!
//! Owns the only place that makes a `tonic::Status`, the table from reason to code, and what every call carries (trace
//! parent, request id, deadline). It knows no service and no domain. Nothing here is durable: a call cut off by a crash
//! ends as UNAVAILABLE at its caller, and every command of the contract can be repeated.
//!
//! ```ignore
//! // grpc/error.rs of a service: one exhaustive match, no `_`
//! impl ToStatus for CloseError {
//!     fn reason(&self) -> Reason {
//!         match self {
//!             Self::NoSuchRun { .. } => Reason::RunNotFound,
//!             Self::Store(error) => store_reason(error),
//!         }
//!     }
//!     fn details(&self, d: &mut Details) {
//!         if let Self::NoSuchRun { run_id } = self { d.resource("run", format!("runs/{run_id}")); }
//!     }
//! }
//! // a handler
//! let reply = self.close(request).await.map_err(|error| gauntlet_rpc::status(&error))?;
//! // app.rs
//! let mut routes = Routes::builder();
//! routes.add_service(limited!(ResultsServiceServer::new(results)));
//! let bound = Server::new(routes.routes()).service("gauntlet.v1.ResultsService").bind(args.listen)?;
//! lifecycle.spawn("grpc", bound.serve(lifecycle.clone()));
//! // a client
//! let mut scheduler = limited!(SchedulerServiceClient::new(Peer::connect_lazy("http://127.0.0.1:7001")?));
//! ```
//!
//! # Public surface
//! * [`Reason`], [`ToStatus`], [`Details`], [`status`], [`invalid_fields`], [`draining`]; for callers [`reason_of`],
//!   [`retry_after`], [`is_unavailable`].
//! * [`ServerArgs`], [`Server`] (`new(routes)`, `service(name)`, `forwarded(name, peer)`, `web(origins)`,
//!   `reflection(bytes)`, `bind(addr)`), [`Bound`] (`addr()`, `serve(lifecycle).await`), [`limited!`], [`MESSAGE_MAX_BYTES`].
//! * [`Peer`] (`connect_lazy(endpoint)`): the channel for every generated client. [`with_deadline`],
//!   [`retry_unavailable`], [`UNARY_DEADLINE`].
//! * [`current_traceparent`], [`link`]: for work that is done later than the call that asks for it.
//! * [`request_id`], [`time_left`]: what the call being served carries. [`is_unary`]: what the contract says of a path.
//!
//! # Deadlines
//! A unary call without `grpc-timeout` gets ten seconds, on both sides. A call made while serving another never outlives
//! it. Streams have no deadline: they watch the drain and have keep-alive pings.
//!
//! # Adding a reason
//! Add the value to `proto/gauntlet/v1/error_reason.proto` with its code in the comment, then a line in `reason.rs`: the
//! exhaustive match there does not compile without it.

/// Bytes that may wait on one connection for slow readers, on either side. Half of it is also how much framing of small
/// messages may wait before HTTP/2 takes them for a flood and ends the connection with all its calls; with the default, some
/// hundred unread events did.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

mod call;
mod client;
mod context;
mod details;
mod health;
mod methods;
mod reason;
mod server;
mod standby;
mod status;
mod timeout;
mod trace;

pub use client::{EndpointError, Peer, retry_unavailable, with_deadline};
pub use context::{request_id, time_left};
pub use details::Details;
pub use methods::is_unary;
pub use reason::Reason;
pub use server::{Bound, ServeError, Server, ServerArgs};
pub use standby::Standby;
pub use status::{
    ToStatus, draining, invalid_fields, is_unavailable, reason_of, retry_after, status,
};
pub use trace::{current_traceparent, link};

/// Largest message, in both directions.
pub const MESSAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// How long a unary call may take when nobody said otherwise.
pub const UNARY_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// Sets the message limit in both directions on a generated server or client.
#[macro_export]
macro_rules! limited {
    ($service:expr) => {
        $service
            .max_decoding_message_size($crate::MESSAGE_MAX_BYTES)
            .max_encoding_message_size($crate::MESSAGE_MAX_BYTES)
    };
}

//! The contract `gauntlet.v1` as Rust types, generated from `proto/`, and the checks at the edge.
//!
//! Owns nothing but the translation: [`v1`] is generated, [`edge`] turns loose fields into domain types and says which
//! field was wrong. It does not decide anything about runs.
//!
//! # Adding a field
//! Add it to the `.proto` file with a comment (unit, bound, default, meaning of empty), read it where the message is
//! converted, and let `buf lint` pass.

pub mod edge;

pub use edge::FieldViolation;

/// Serialised descriptors of the whole contract, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gauntlet.bin"));

/// Messages, clients and servers of `gauntlet.v1`.
#[expect(
    clippy::all,
    clippy::allow_attributes,
    unused_qualifications,
    reason = "generated; proto/ holds the docs"
)]
pub mod v1 {
    tonic::include_proto!("gauntlet.v1");
    include!(concat!(env!("OUT_DIR"), "/gauntlet.v1.serde.rs"));
}

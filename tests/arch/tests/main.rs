//! The rules of the house, checked from `cargo metadata` and from files. Nothing is compiled or started here.
//!
//! Each rule is a pure function from inputs to a list of violations, and stands beside a test with a seeded violation, so
//! that a rule which can no longer fail is noticed. The tests at the end of each module apply the rules to this repository.

mod dependencies;
mod documents;
mod flights;
mod scan;
mod sources;
mod sql;
mod tables;
mod tree;

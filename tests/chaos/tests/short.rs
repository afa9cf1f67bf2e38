//! The short form of the chaos.

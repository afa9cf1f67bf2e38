//! The one model of a test.

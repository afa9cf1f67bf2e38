//! gauntlet-runtime.

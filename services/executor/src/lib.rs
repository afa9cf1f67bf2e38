//! gauntlet-executor.

//! gauntlet-core.

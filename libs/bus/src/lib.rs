//! gauntlet-bus.

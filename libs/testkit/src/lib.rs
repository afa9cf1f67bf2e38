//! gauntlet-testkit.

//! gauntlet-results.

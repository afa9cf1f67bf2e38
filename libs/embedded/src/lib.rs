//! gauntlet-embedded.

//! gauntlet-recordings.

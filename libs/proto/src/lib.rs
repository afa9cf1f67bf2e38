//! gauntlet-proto.

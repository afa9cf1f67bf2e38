//! gauntlet-rpc.

//! gauntlet-gateway.

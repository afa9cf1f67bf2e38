//! gauntlet-scheduler.

//! gauntlet-pg.

//! gauntlet-notifier.

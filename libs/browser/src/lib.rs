//! gauntlet-browser.

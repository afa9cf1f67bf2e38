//! What a caller can choose about the embedded store. It reads no flag and no variable itself.

use std::path::PathBuf;
use std::time::Duration;

/// How to start an [`EmbeddedStore`](crate::EmbeddedStore).
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The folder that holds everything: data, lock, password, logs. Made if it is absent.
    pub data_dir: PathBuf,
    /// True when nothing has to survive: the folder is removed on stop and fsync is off.
    /// A killed *process* still loses no commit, only a killed machine does.
    pub ephemeral: bool,
    /// Where to look for programs instead of PATH and `/usr/lib/postgresql/*/bin`.
    pub search_dirs: Option<Vec<PathBuf>>,
    /// How long one server may take to answer after its process was started.
    pub start_timeout: Duration,
    /// How long one server may take to stop before it is killed.
    pub stop_grace: Duration,
    /// Whether the servers stop when the process that started them is killed.
    pub stop_with_owner: bool,
}

impl EmbeddedConfig {
    /// Returns the configuration of a store that keeps its data in `data_dir`.
    pub fn persistent(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            ephemeral: false,
            search_dirs: None,
            start_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(10),
            stop_with_owner: true,
        }
    }

    /// Returns the configuration of a store that leaves nothing: `data_dir` is removed on stop.
    pub fn ephemeral(data_dir: impl Into<PathBuf>) -> Self {
        Self { ephemeral: true, ..Self::persistent(data_dir) }
    }
}

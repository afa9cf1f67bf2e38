//! How a scripted executor speaks; nothing here changes what its tests do.

use std::fmt;
use std::sync::Arc;

use gauntlet_core::limits::PROTOCOL_VERSION;
use gauntlet_proto::v1;

/// Hears of attempts that results acknowledged, before the executor does anything else with the shard.
pub type Acknowledged = Arc<dyn Fn(&v1::ShardRef, &[v1::Attempt]) + Send + Sync>;

/// The manner of a scripted executor.
#[derive(Clone)]
pub struct Manner {
    /// Browser it claims to offer.
    pub browser: v1::Browser,
    /// Version of the lease protocol it speaks.
    pub protocol_version: u32,
    /// Whether it leaves some failed tests to another executor; from version 2.
    pub defers: bool,
    /// Who hears of acknowledged attempts.
    pub acknowledged: Option<Acknowledged>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            browser: v1::Browser::Chromium,
            protocol_version: PROTOCOL_VERSION,
            defers: false,
            acknowledged: None,
        }
    }
}

impl fmt::Debug for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manner")
            .field("browser", &self.browser)
            .field("protocol_version", &self.protocol_version)
            .field("defers", &self.defers)
            .finish_non_exhaustive()
    }
}

//! Identities: one type for each, so that none can be passed for another.

use std::fmt;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A run: a UUIDv7, so that ids sort by time of admission and partitions can be ranges of them.
    RunId
);
id!(
    /// A stored test.
    TestId
);
id!(
    /// One process start of an executor; its leases live and die with it.
    SessionId
);
id!(
    /// One grant of a shard, for logs; the fence is the [`LeaseEpoch`].
    LeaseId
);
id!(
    /// One process start of a results service that finalizes runs.
    ReplicaId
);

/// The fencing number of a shard's lease. Grows with every grant, loss, hand-back and abort (SH-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LeaseEpoch(pub u64);

impl LeaseEpoch {
    /// Returns the epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for LeaseEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

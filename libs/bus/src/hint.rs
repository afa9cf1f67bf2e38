//! The payload of the channel.
//!
//! Owns its JSON form. It carries nothing to decide on.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest payload that is looked at.
const PAYLOAD_MAX_BYTES: usize = 1_024;

/// "This run is aborting: renew your leases now and hear it from the scheduler."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortHint {
    /// The run.
    pub run_id: Uuid,
    /// Revision of the run at which the abort was written; orders hints, proves nothing.
    pub revision: i64,
    /// The process that sent the hint; it drops its own echo.
    pub origin: Uuid,
}

impl AbortHint {
    pub(crate) fn encode(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Returns the hint; none when the payload is malformed. Unknown fields are ignored: a newer sender may add some.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        if payload.len() > PAYLOAD_MAX_BYTES { None } else { serde_json::from_slice(payload).ok() }
    }
}

/// What a handler hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A run is aborting, somewhere in the mesh or in this process.
    Abort(AbortHint),
    /// Hints may have been missed: the subscription was made or made again, or the handler fell behind. Read the truth.
    Resubscribed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_travels_as_json_and_back() {
        let hint = AbortHint { run_id: Uuid::nil(), revision: 7, origin: Uuid::max() };
        let text = hint.encode().unwrap();
        assert_eq!(AbortHint::decode(text.as_bytes()), Some(hint));
        assert!(text.contains(r#""revision":7"#), "{text}");
        assert_eq!(AbortHint::decode(b"{}"), None);
        assert_eq!(AbortHint::decode(&[b' '; 2_000]), None);
    }
}

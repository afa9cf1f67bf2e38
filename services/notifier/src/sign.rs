//! Signatures as standard-webhooks defines them: HMAC-SHA256 over `id.timestamp.body`, base64, version 1.
//!
//! Source: the Standard Webhooks specification, section "signature scheme" (symmetric). The secret comes from a file and is
//! never shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gauntlet_runtime::{KeyFile, KeyFileError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::path::Path;

/// The specification asks for 24 to 64 bytes.
const FILE: KeyFile =
    KeyFile { what: "webhook secret", prefix: "whsec_", bytes_min: 24, bytes_max: 64 };

/// The key that webhooks are signed with. Never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads the secret of a file that was named.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        FILE.load(path).map(Self)
    }

    /// Reads the secret, or makes a random one that only its owner can read.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        FILE.load_or_create(path).map(Self)
    }

    /// Returns the value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{timestamp_s}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

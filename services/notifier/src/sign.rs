//! Signatures as standard-webhooks defines them: HMAC-SHA256 over `id.timestamp.body`, base64, version 1.
//!
//! Source: the Standard Webhooks specification, section "signature scheme" (symmetric).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gauntlet_runtime::ids;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const PREFIX: &str = "whsec_";
/// The specification asks for 24 to 64 bytes.
const KEY_BYTES_MIN: usize = 24;

/// The key that webhooks are signed with. Never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is not a secret.
    #[error("{} must hold {PREFIX} and at least {KEY_BYTES_MIN} bytes in base64", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads the secret, or makes a random one that only its owner can read.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::File { path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key: Vec<u8> =
                    [ids::v4(), ids::v4()].iter().flat_map(|id| *id.as_bytes()).collect();
                let text = format!("{PREFIX}{}\n", STANDARD.encode(key));
                let file =
                    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
                text
            }
            Err(error) => return Err(failed(error)),
        };
        let key = text.trim().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        let key = key.filter(|key| key.len() >= KEY_BYTES_MIN);
        key.map(Self).ok_or_else(|| SecretError::Malformed { path: path.to_owned() })
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

//! Secrets of environments: encrypted before they are stored, opened only for a grant.
//!
//! ChaCha20-Poly1305 with a random nonce for each value. Project, environment and name are authenticated with it, so that a
//! value which is moved to another row opens nowhere. A run keeps the values of its admission as they are stored (A6). The
//! key comes from a file and is never shown; without it nothing is stored in clear, secrets are refused instead.

use gauntlet_runtime::{KeyFile, KeyFileError, ids};
use prost::Message as _;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

const FILE: KeyFile =
    KeyFile { what: "key of the secrets", prefix: "gkey_", bytes_min: 32, bytes_max: 32 };

/// What secrets are encrypted with. Never shown. Cheap to clone.
#[derive(Clone)]
pub struct SecretsKey(Arc<LessSafeKey>);

impl fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretsKey(…)")
    }
}

impl SecretsKey {
    /// Reads the key of a file that was named.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        Self::of(&FILE.load(path)?, path)
    }

    /// Reads the key, or makes a random one that only its owner can read.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        Self::of(&FILE.load_or_create(path)?, path)
    }

    fn of(bytes: &[u8], path: &Path) -> Result<Self, KeyFileError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes);
        let malformed = |_| KeyFileError::Malformed { path: path.to_owned(), kind: FILE };
        Ok(Self(Arc::new(LessSafeKey::new(key.map_err(malformed)?))))
    }
}

/// Why a secret was neither stored nor given out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    /// This scheduler was started without one.
    #[error("the scheduler has no key for secrets")]
    NoKey,
    /// Stored under another key, or changed since.
    #[error(
        "secret {name} of environment {environment} does not open with the scheduler's key; store it again"
    )]
    Refused {
        /// The environment.
        environment: String,
        /// The secret.
        name: String,
    },
    /// Not what this program stores.
    #[error("stored secrets cannot be read")]
    Malformed,
}

/// The secrets of an environment as they are stored, with it and with each of its runs.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Sealed {
    #[prost(string, tag = "1")]
    project: String,
    #[prost(string, tag = "2")]
    environment: String,
    /// Nonce and encrypted value by name.
    #[prost(btree_map = "string, bytes", tag = "3")]
    values: BTreeMap<String, Vec<u8>>,
}

impl Sealed {
    pub(crate) fn new(project: &str, environment: &str) -> Self {
        let (project, environment) = (project.to_owned(), environment.to_owned());
        Self { project, environment, values: BTreeMap::new() }
    }

    /// Reads what is stored; empty means that there are none.
    pub(crate) fn parse(stored: &[u8]) -> Result<Self, VaultError> {
        Self::decode(stored).map_err(|_| VaultError::Malformed)
    }

    /// Returns what is stored; empty when there are none.
    pub(crate) fn stored(&self) -> Vec<u8> {
        if self.values.is_empty() { Vec::new() } else { self.encode_to_vec() }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }

    /// Forgets those that shall not be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.values.retain(|name, _| keep(name));
    }

    /// Returns what is authenticated with a value: each part with its length before it, so that none runs into the next.
    fn place(&self, name: &str) -> Vec<u8> {
        let mut place = b"gauntlet secret 1".to_vec();
        for part in [self.project.as_str(), &self.environment, name] {
            place.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            place.extend(part.as_bytes());
        }
        place
    }
}

/// Seals and opens. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    key: Option<SecretsKey>,
}

impl Vault {
    pub(crate) fn new(key: Option<SecretsKey>) -> Self {
        Self { key }
    }

    /// Adds a value, or puts it in the place of the one before.
    pub(crate) fn seal(
        &self,
        sealed: &mut Sealed,
        name: &str,
        value: &str,
    ) -> Result<(), VaultError> {
        let SecretsKey(key) = self.key.as_ref().ok_or(VaultError::NoKey)?;
        let nonce = ids::random_bytes::<NONCE_LEN>();
        let mut bytes = value.as_bytes().to_vec();
        let place = Aad::from(sealed.place(name));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut bytes)
            .map_err(|_| VaultError::Malformed)?;
        sealed.values.insert(name.to_owned(), [&nonce[..], &bytes].concat());
        Ok(())
    }

    /// Opens what is stored.
    pub(crate) fn open(&self, stored: &[u8]) -> Result<HashMap<String, String>, VaultError> {
        let sealed = Sealed::parse(stored)?;
        sealed.values.iter().map(|(name, value)| self.open_one(&sealed, name, value)).collect()
    }

    fn open_one(
        &self,
        sealed: &Sealed,
        name: &str,
        value: &[u8],
    ) -> Result<(String, String), VaultError> {
        let SecretsKey(key) = self.key.as_ref().ok_or(VaultError::NoKey)?;
        let refused = || VaultError::Refused {
            environment: sealed.environment.clone(),
            name: name.to_owned(),
        };
        let (nonce, bytes) = value.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
        let (nonce, mut bytes) = (Nonce::assume_unique_for_key(*nonce), bytes.to_vec());
        let opened = key.open_in_place(nonce, Aad::from(sealed.place(name)), &mut bytes);
        let opened = opened.map_err(|_| refused())?.to_vec();
        Ok((name.to_owned(), String::from_utf8(opened).map_err(|_| refused())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        let folder = tempfile::tempdir().unwrap();
        Vault::new(Some(SecretsKey::load_or_create(&folder.path().join("key")).unwrap()))
    }

    #[test]
    fn a_secret_opens_with_its_key_in_its_place_and_nowhere_else() {
        let vault = vault();
        let mut sealed = Sealed::new("shop", "staging");
        vault.seal(&mut sealed, "PASSWORD", "hunter2").unwrap();
        vault.seal(&mut sealed, "TOKEN", "").unwrap();
        let stored = sealed.stored();
        assert!(!stored.windows(7).any(|bytes| bytes == b"hunter2"));
        let opened = vault.open(&stored).unwrap();
        assert_eq!((opened["PASSWORD"].as_str(), opened["TOKEN"].as_str()), ("hunter2", ""));

        let elsewhere = Sealed { environment: "production".to_owned(), ..sealed.clone() };
        assert!(matches!(vault.open(&elsewhere.stored()), Err(VaultError::Refused { .. })));
        let mut swapped = sealed.clone();
        let token = swapped.values["TOKEN"].clone();
        swapped.values.insert("PASSWORD".to_owned(), token);
        assert!(matches!(vault.open(&swapped.stored()), Err(VaultError::Refused { .. })));
        let mut changed = sealed.clone();
        *changed.values.get_mut("PASSWORD").unwrap().last_mut().unwrap() ^= 1;
        assert!(matches!(vault.open(&changed.stored()), Err(VaultError::Refused { .. })));
        assert!(matches!(self::vault().open(&stored), Err(VaultError::Refused { .. })));
        assert!(matches!(Vault::new(None).open(&stored), Err(VaultError::NoKey)));
    }

    #[test]
    fn the_same_value_is_never_stored_alike_and_without_a_key_not_at_all() {
        let vault = vault();
        let sealed = || {
            let mut sealed = Sealed::new("shop", "staging");
            vault.seal(&mut sealed, "PASSWORD", "hunter2").unwrap();
            sealed.stored()
        };
        assert_ne!(sealed(), sealed());
        let mut none = Sealed::new("shop", "staging");
        let refused = Vault::new(None).seal(&mut none, "PASSWORD", "hunter2");
        assert!(matches!(refused, Err(VaultError::NoKey)));
        assert!(none.stored().is_empty() && Vault::new(None).open(&[]).unwrap().is_empty());
    }
}

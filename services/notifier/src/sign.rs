//! Signatures as standard-webhooks defines them: HMAC-SHA256 over `id.timestamp.body`, base64, version 1.
//!
//! Source: the Standard Webhooks specification, section "signature scheme" (symmetric). The secret comes from a file, which is
//! made whole or not at all, so that a crash leaves none that is cut off. It is never shown.

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
    /// There is no file, and no folder to make it in.
    #[error("cannot make {}: its folder does not exist", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// The path names a folder.
    #[error("{} is a folder; the webhook secret is a file", path.display())]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// The file's text is no secret, or not all of one.
    #[error(
        "{} does not hold a webhook secret, which is {PREFIX} and {KEY_BYTES_MIN} bytes or more in base64",
        path.display()
    )]
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
    /// Reads the secret, or makes a random one that only its owner can read. A file that is there is never changed.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|error| refused(path, error))?;
                // Not what was written: another process may have been first, and theirs counts.
                let text = fs::read_to_string(path).map_err(|error| refused(path, error))?;
                Self::parse(&text, path)
            }
            Err(error) => Err(refused(path, error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SecretError> {
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

/// Makes the file with all of a new secret in it, or leaves the one that is there. It is written under another name first:
/// a crash while writing leaves nothing under this one. A link fails where a rename would overwrite.
fn create(path: &Path) -> io::Result<()> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!(".{}", ids::v4().simple()));
    let linked = write_new(Path::new(&staged)).and_then(|()| fs::hard_link(&staged, path));
    // The name was only for the time of writing; there is none when it could not be written.
    let _ = fs::remove_file(&staged);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write_new(path: &Path) -> io::Result<()> {
    let key: Vec<u8> = [ids::v4(), ids::v4()].iter().flat_map(|id| *id.as_bytes()).collect();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{PREFIX}{}", STANDARD.encode(key))?;
    file.sync_all()
}

fn refused(path: &Path, source: io::Error) -> SecretError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => SecretError::NoFolder { path },
        io::ErrorKind::IsADirectory => SecretError::IsFolder { path },
        _ => SecretError::File { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn refusal(path: &Path) -> String {
        Secret::load_or_create(path).expect_err("refused").to_string()
    }

    #[test]
    fn a_missing_secret_is_made_for_its_owner_only_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = Secret::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Secret::load_or_create(&path).unwrap().0, made.0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_secret() {
        const PROCESSES: usize = 4;
        for _ in 0..50 {
            let start = std::sync::Barrier::new(PROCESSES);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("secret");
            let made: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let make = || {
                    start.wait();
                    Secret::load_or_create(&path).unwrap().0
                };
                let threads: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(make)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(made.windows(2).all(|two| two[0] == two[1]));
        }
    }

    #[test]
    fn a_mistyped_path_says_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mistyped = folder.path().join("secrte/webhook");
        let refused = refusal(&mistyped);
        assert!(refused.contains("folder") && refused.contains("does not exist"), "{refused}");
        assert!(refusal(folder.path()).contains("is a folder"), "{}", refusal(folder.path()));
    }

    #[test]
    fn a_file_that_holds_no_whole_secret_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        ] {
            fs::write(&path, text).unwrap();
            let refused = refusal(&path);
            assert!(refused.contains("does not hold a webhook secret"), "{refused}");
            assert!(text.is_empty() || !refused.contains(text) || text == "whsec_", "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}

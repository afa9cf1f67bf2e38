//! Keys that a process reads from a file: a prefix that says what for, and random bytes in base64.
//!
//! Owns reading and making such files. A file is made whole or not at all, so that a crash leaves none that is cut off, and
//! readable by its owner only; one that is there is never changed. Keys are never shown.

use crate::ids;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What files of one kind hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFile {
    /// For people, such as `webhook secret`.
    pub what: &'static str,
    /// First characters of the text.
    pub prefix: &'static str,
    /// Fewest bytes of the key; one that is made has 32.
    pub bytes_min: usize,
    /// Most bytes of the key.
    pub bytes_max: usize,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no file of that name.
    #[error(
        "{} does not exist; the {} is a file, made for example by `echo {}$(openssl rand -base64 32)`",
        path.display(), kind.what, kind.prefix
    )]
    NoFile {
        /// The file.
        path: PathBuf,
        /// What it shall hold.
        kind: KeyFile,
    },
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
    #[error("{} is a folder; the {} is a file", path.display(), kind.what)]
    IsFolder {
        /// The path.
        path: PathBuf,
        /// What it shall hold.
        kind: KeyFile,
    },
    /// The file's text is no key, or not all of one.
    #[error(
        "{} does not hold a {}, which is {} and {} to {} bytes in base64",
        path.display(), kind.what, kind.prefix, kind.bytes_min, kind.bytes_max
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it shall hold.
        kind: KeyFile,
    },
}

impl KeyFile {
    /// Reads the key of a file that was named: a name that is mistyped must not make another key.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn load(self, path: &Path) -> Result<Vec<u8>, KeyFileError> {
        match fs::read_to_string(path) {
            Ok(text) => self.parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(KeyFileError::NoFile { path: path.to_owned(), kind: self })
            }
            Err(error) => Err(self.refused(path, error)),
        }
    }

    /// Reads the key, or makes a random one that only its owner can read.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn load_or_create(self, path: &Path) -> Result<Vec<u8>, KeyFileError> {
        match self.load(path) {
            Err(KeyFileError::NoFile { .. }) => {
                self.create(path).map_err(|error| self.refused(path, error))?;
                // Not what was written: another process may have been first, and theirs counts.
                self.load(path)
            }
            loaded => loaded,
        }
    }

    fn parse(self, text: &str, path: &Path) -> Result<Vec<u8>, KeyFileError> {
        let key = text.trim().strip_prefix(self.prefix).and_then(|text| STANDARD.decode(text).ok());
        let key = key.filter(|key| (self.bytes_min..=self.bytes_max).contains(&key.len()));
        key.ok_or_else(|| KeyFileError::Malformed { path: path.to_owned(), kind: self })
    }

    /// Makes the file with all of a new key in it, or leaves the one that is there. It is written under another name first:
    /// a crash while writing leaves nothing under this one. A link fails where a rename would overwrite.
    fn create(self, path: &Path) -> io::Result<()> {
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!(".{}", ids::v4().simple()));
        let staged = PathBuf::from(staged);
        let linked = self.write_new(&staged).and_then(|()| fs::hard_link(&staged, path));
        // The name was only for the time of writing; there is none when it could not be written.
        let _ = fs::remove_file(&staged);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn write_new(self, path: &Path) -> io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}{}", self.prefix, STANDARD.encode(ids::random_bytes::<32>()))?;
        file.sync_all()
    }

    fn refused(self, path: &Path, source: io::Error) -> KeyFileError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => KeyFileError::NoFolder { path },
            io::ErrorKind::IsADirectory => KeyFileError::IsFolder { path, kind: self },
            _ => KeyFileError::File { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const KIND: KeyFile =
        KeyFile { what: "test secret", prefix: "tsec_", bytes_min: 24, bytes_max: 64 };

    fn refusal(path: &Path) -> String {
        KIND.load_or_create(path).expect_err("refused").to_string()
    }

    #[test]
    fn a_missing_key_is_made_for_its_owner_only_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = KIND.load_or_create(&path).unwrap();
        assert_eq!(made.len(), 32);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(KIND.load(&path).unwrap(), made);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        let other = KIND.load_or_create(&folder.path().join("other")).unwrap();
        assert_ne!(made, other);
    }

    #[test]
    fn a_named_file_that_is_not_there_is_refused_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sercet");
        let refused = KIND.load(&path).expect_err("refused").to_string();
        assert!(
            refused.contains("sercet does not exist") && refused.contains("tsec_"),
            "{refused}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_key() {
        const PROCESSES: usize = 4;
        for _ in 0..50 {
            let start = std::sync::Barrier::new(PROCESSES);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("secret");
            let made: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let make = || {
                    start.wait();
                    KIND.load_or_create(&path).unwrap()
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
    fn a_file_that_holds_no_whole_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for text in [
            "",
            "tsec_",
            "tsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "tsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        ] {
            fs::write(&path, text).unwrap();
            let refused = refusal(&path);
            assert!(refused.contains("does not hold a test secret"), "{refused}");
            assert!(text.is_empty() || !refused.contains(text) || text == "tsec_", "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}

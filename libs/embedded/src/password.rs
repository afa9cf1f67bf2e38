//! The one password of the embedded store: random, kept with mode 0600, never on a command line.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::EmbeddedError;

/// 192 bits, as 48 hex digits: safe in a URL and in a config file without quoting.
const RANDOM_BYTES: usize = 24;

/// A password that does not show itself in a log.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    /// Reads the password in `file`, or makes one; the rename makes it whole or absent after a crash.
    pub(crate) fn load_or_create(file: &Path) -> Result<Self, EmbeddedError> {
        match fs::read_to_string(file) {
            Ok(text) => return Ok(Self(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(EmbeddedError::folder("read", file)(error)),
        }
        let password = Self(random_hex().map_err(EmbeddedError::folder("read", "/dev/urandom"))?);
        let staged = file.with_extension("new");
        password.write_to(&staged)?;
        fs::rename(&staged, file).map_err(EmbeddedError::folder("create", file))?;
        Ok(password)
    }

    /// Writes the password to a file that only its owner can read.
    pub(crate) fn write_to(&self, file: &Path) -> Result<(), EmbeddedError> {
        write_private(file, &self.0)
    }

    /// Returns the text, for a URL or a handshake.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Writes `text` to `file` with mode 0600, replacing what was there, and syncs it.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<(), EmbeddedError> {
    let write = || -> io::Result<()> {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()
    };
    write().map_err(EmbeddedError::folder("write", file))
}

fn random_hex() -> io::Result<String> {
    let mut bytes = [0u8; RANDOM_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let first = Password::load_or_create(&file).unwrap();
        let again = Password::load_or_create(&file).unwrap();
        assert_eq!(first.reveal(), again.reveal());
        assert_eq!(first.reveal().len(), RANDOM_BYTES * 2);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(first.reveal()));
    }
}

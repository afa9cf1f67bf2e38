//! Key files, as whoever runs a service would make them.

use gauntlet_runtime::KeyFile;
use std::path::Path;

/// Makes a file with a random key of this prefix, such as `whsec_`, unless the folder has one; returns its path.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn key_file(folder: &Path, prefix: &'static str) -> String {
    let path = folder.join(format!("{prefix}key"));
    let kind = KeyFile { what: "key of a test", prefix, bytes_min: 32, bytes_max: 32 };
    kind.load_or_create(&path).expect("a key");
    path.display().to_string()
}

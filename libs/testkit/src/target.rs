//! Where things are: the target folder, the profile folder, the workspace.

use std::env;
use std::path::{Path, PathBuf};

/// Returns `target/<profile>`: test executables live in its `deps`.
pub(crate) fn profile_dir() -> PathBuf {
    let exe = env::current_exe().expect("the path of the test executable");
    let dir = exe.parent().expect("the folder of the test executable");
    let dir =
        if dir.ends_with("deps") { dir.parent().expect("the folder above deps") } else { dir };
    dir.to_owned()
}

/// Returns the target folder, which cargo marks with `CACHEDIR.TAG`.
pub(crate) fn target_dir() -> PathBuf {
    let profile = profile_dir();
    let marked = profile.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists());
    marked.or(profile.parent()).unwrap_or(&profile).to_owned()
}

/// Returns the workspace root, as it was when this crate was compiled.
pub(crate) fn workspace_dir() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("libs/testkit is two folders below the workspace")
}

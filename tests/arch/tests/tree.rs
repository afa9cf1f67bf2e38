//! The repository as text: which files there are, and how violations are shown.

use std::path::{Path, PathBuf};

/// A text file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Path relative to the root, with forward slashes.
    pub(crate) path: String,
    /// Content; files that are not UTF-8 are not listed.
    pub(crate) text: String,
}

impl File {
    /// Makes a file for a seeded violation.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Returns the service the file belongs to, for `services/<name>/…`.
    pub(crate) fn service(&self) -> Option<&str> {
        self.path.strip_prefix("services/")?.split('/').next()
    }

    /// Tells whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.starts_with("libs/testkit/")
    }
}

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root exists")
}

/// Returns every file below `folders` whose name ends in one of `ends`, by path.
pub(crate) fn files(folders: &[&str], ends: &[&str]) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries.map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() {
                if name != "target" && name != "node_modules" {
                    open.push(path);
                }
            } else if ends.iter().any(|end| name.ends_with(end))
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let path = path
                    .strip_prefix(&root)
                    .expect("below the root")
                    .to_string_lossy()
                    .replace('\\', "/");
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        !found.is_empty(),
        "no file in {folders:?} ends in {ends:?}: the rule would see nothing"
    );
    found
}

/// Fails with every violation, one a line.
pub(crate) fn none(violations: &[String]) {
    assert!(
        violations.is_empty(),
        "{} violations:\n  {}",
        violations.len(),
        violations.join("\n  ")
    );
}

#[test]
fn a_file_knows_its_service_and_whether_it_is_a_test() {
    let file = |path| File::new(path, "");
    assert_eq!(file("services/results/src/app.rs").service(), Some("results"));
    assert_eq!(file("libs/pg/src/lib.rs").service(), None);
    assert!(file("services/results/src/tests.rs").is_test());
    assert!(file("libs/pg/tests/main.rs").is_test());
    assert!(!file("services/executor/src/tests_of_shard.rs").is_test());
}

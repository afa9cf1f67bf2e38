//! From paths to stored tests: find the files, check every one of them, and only then send.
//!
//! Everything is checked here with the parser that the mesh uses, so that one round tells every problem of every file and a
//! refused import has sent nothing. A crash between two batches leaves whole batches; repeating the import is harmless.

use crate::client::Mesh;
use crate::failure::Failure;
use gauntlet_core::flow::Flow;
use gauntlet_proto::v1;
use gauntlet_recordings::RECORDING_BYTES_MAX;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Recordings of one message, in bytes, so that no message holds up others; a larger recording goes alone.
const BATCH_BYTES_MAX: usize = 3_500_000;
/// Tests of one message.
const BATCH_TESTS_MAX: usize = gauntlet_recordings::TESTS_MAX;
/// Folders within folders.
const FOLDER_DEPTH_MAX: usize = 64;
/// What recordings in folders are called.
const EXTENSIONS: [&str; 4] = ["json", "side", "yaml", "yml"];

/// A recording that was found and is valid.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its name relative to what was asked for.
    pub(crate) file: String,
    /// Its bytes.
    pub(crate) content: Vec<u8>,
    /// Its tests.
    pub(crate) flows: Vec<Flow>,
}

/// Finds and checks every recording; order is that of `paths`, folders by name.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Vec<Loaded>, Failure> {
    let mut problems = Vec::new();
    let mut found = Found::default();
    for path in paths {
        if let Err(problem) = found.add(path) {
            problems.push(problem);
        }
    }
    let mut loaded = Vec::new();
    let mut titles: HashMap<(String, String), PathBuf> = HashMap::new();
    for (path, file) in found.files {
        match read(&path) {
            Ok((content, flows)) => {
                let same = flows.iter().find_map(|flow| {
                    titles.insert((file.clone(), flow.title.clone()), path.clone())
                });
                if let Some(other) = same {
                    problems.push(format!(
                        "{}: has the same file name and title as {}; import their common folder instead",
                        path.display(),
                        other.display()
                    ));
                }
                loaded.push(Loaded { file, content, flows });
            }
            Err(text) => problems.extend(text.lines().map(str::to_owned)),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(Failure::Import(problems)) }
}

/// Stores the recordings and returns the tests, in order.
pub(crate) async fn send(
    mesh: &Mesh,
    loaded: Vec<Loaded>,
    project: &str,
    tags: &[String],
    draft: bool,
) -> Result<Vec<v1::Test>, Failure> {
    let mut tests = Vec::with_capacity(loaded.len());
    for batch in batches(loaded) {
        let recordings = batch.into_iter().map(|one| v1::Recording {
            file: one.file,
            content: one.content,
            tags: tags.to_vec(),
        });
        let request = v1::ImportTestsRequest {
            project: project.to_owned(),
            recordings: recordings.collect(),
            draft,
        };
        let reply = mesh
            .call("cannot import", request, |mut mesh, request| async move {
                mesh.scheduler.import_tests(request).await
            })
            .await?;
        tests.extend(reply.tests);
    }
    Ok(tests)
}

fn batches(loaded: Vec<Loaded>) -> Vec<Vec<Loaded>> {
    let mut batches: Vec<Vec<Loaded>> = Vec::new();
    let (mut bytes, mut tests) = (0, 0);
    for one in loaded {
        let size = one.content.len() + one.file.len();
        bytes += size;
        tests += one.flows.len();
        match batches.last_mut() {
            Some(batch) if bytes <= BATCH_BYTES_MAX && tests <= BATCH_TESTS_MAX => batch.push(one),
            _ => {
                (bytes, tests) = (size, one.flows.len());
                batches.push(vec![one]);
            }
        }
    }
    batches
}

/// Reads and checks one file; returns its bytes and its tests, or its problems, one a line.
fn read(path: &Path) -> Result<(Vec<u8>, Vec<Flow>), String> {
    let shown = path.display();
    let metadata =
        std::fs::metadata(path).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    if metadata.len() > RECORDING_BYTES_MAX as u64 {
        return Err(format!(
            "{shown}: the file has {} bytes; at most {RECORDING_BYTES_MAX} can be imported",
            metadata.len()
        ));
    }
    let content =
        std::fs::read(path).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    let flows = gauntlet_recordings::import(&content, &shown.to_string())
        .map_err(|errors| errors.to_string())?;
    Ok((content, flows))
}

/// The files to import, each once: where it is and what it is called.
#[derive(Default)]
struct Found {
    files: Vec<(PathBuf, String)>,
    seen: HashSet<PathBuf>,
}

impl Found {
    fn add(&mut self, path: &Path) -> Result<(), String> {
        let shown = path.display();
        let metadata =
            std::fs::metadata(path).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
        if metadata.is_dir() {
            let mut inner = Vec::new();
            walk(path, 0, &mut inner)?;
            if inner.is_empty() {
                return Err(format!(
                    "{shown}: the folder holds no recording (*.{})",
                    EXTENSIONS.join(", *.")
                ));
            }
            for file in inner {
                let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
                self.push(file, name);
            }
            return Ok(());
        }
        if !metadata.is_file() {
            return Err(format!("{shown}: is neither a file nor a folder"));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        self.push(path.to_owned(), name);
        Ok(())
    }

    fn push(&mut self, file: PathBuf, name: String) {
        let real = std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
        if self.seen.insert(real) {
            self.files.push((file, name));
        }
    }
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let shown = folder.display();
    if depth > FOLDER_DEPTH_MAX {
        return Err(format!("{shown}: more than {FOLDER_DEPTH_MAX} folders deep"));
    }
    let cannot = |error: std::io::Error| format!("{shown}: cannot be read: {error}");
    let mut entries = std::fs::read_dir(folder)
        .map_err(cannot)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(cannot)?;
    entries.sort();
    for path in entries {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if path
            .extension()
            .is_some_and(|found| EXTENSIONS.iter().any(|known| found.eq_ignore_ascii_case(known)))
        {
            files.push(path);
        }
    }
    Ok(())
}

pub(crate) mod check;

#[cfg(test)]
mod tests;

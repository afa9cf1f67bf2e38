//! Saves the screenshots of failures beside the report.
//!
//! A missing screenshot never changes a verdict or an exit code: it is said and left out.

use super::Report;
use crate::client::Mesh;
use crate::output;
use gauntlet_proto::{edge, v1};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// A screenshot larger than this is not one.
const SCREENSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) async fn save(mesh: &Mesh, report: &mut Report, folder: &Path) {
    let folder = folder.join(&report.run.run_id);
    for test in &mut report.tests {
        let Some(hash) = test.failed_attempt().and_then(hash_of) else { continue };
        let path =
            folder.join(format!("{:04}-{}.png", test.planned.ordinal, slug(&test.planned.name)));
        match save_one(mesh, &hash, &path).await {
            Ok(()) => test.screenshot = Some(path.display().to_string()),
            Err(text) => {
                output::note(&format!("screenshot of {:?} not saved: {text}", test.planned.name))
            }
        }
    }
}

fn hash_of(attempt: &v1::Attempt) -> Option<String> {
    let screenshot =
        attempt.artifacts.iter().find(|one| one.kind() == v1::ArtifactKind::Screenshot);
    screenshot.map(|one| one.hash.clone())
}

async fn save_one(mesh: &Mesh, hash: &str, path: &PathBuf) -> Result<(), String> {
    let request = v1::ReadArtifactRequest { hash: hash.to_owned() };
    let mut results = mesh.results.clone();
    let stream = results.read_artifact(request).await;
    let mut stream = stream.map_err(|status| status.message().to_owned())?.into_inner();
    let mut content = Vec::new();
    while let Some(piece) = stream.message().await.map_err(|status| status.message().to_owned())? {
        content.extend_from_slice(&piece.chunk);
        if content.len() > SCREENSHOT_BYTES_MAX {
            return Err(format!("it has more than {SCREENSHOT_BYTES_MAX} bytes"));
        }
    }
    if edge::hex(&Sha256::digest(&content)) != hash {
        return Err("its content does not match its hash".to_owned());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    std::fs::write(path, content).map_err(|error| error.to_string())
}

/// Returns the name as a part of a file name.
fn slug(name: &str) -> String {
    let plain =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    plain.take(60).collect()
}

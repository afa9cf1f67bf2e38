//! Saves the screenshots of failures beside the report.
//!
//! A missing screenshot never changes a verdict or an exit code: it is said and left out.

use super::Report;
use crate::artifacts::{save as save_one, slug};
use crate::client::Mesh;
use crate::output;
use gauntlet_proto::v1;
use std::path::Path;

pub(super) async fn save(mesh: &Mesh, report: &mut Report, folder: &Path) {
    let run_id = &report.run.run_id;
    let folder = folder.join(run_id);
    for test in &mut report.tests {
        let Some(artifact) = test.failed_attempt().and_then(screenshot_of) else { continue };
        let path =
            folder.join(format!("{:04}-{}.png", test.planned.ordinal, slug(&test.planned.name)));
        match save_one(mesh, run_id, &artifact, &path).await {
            Ok(()) => test.screenshot = Some(path.display().to_string()),
            Err(text) => {
                output::note(&format!("screenshot of {:?} not saved: {text}", test.planned.name))
            }
        }
    }
}

fn screenshot_of(attempt: &v1::Attempt) -> Option<v1::ArtifactRef> {
    let of = |one: &&v1::ArtifactRef| one.kind() == v1::ArtifactKind::Screenshot;
    attempt.artifacts.iter().find(of).cloned()
}

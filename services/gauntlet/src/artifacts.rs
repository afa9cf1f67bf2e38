//! `gauntlet artifacts`: what the attempts of a run have kept, listed or saved to files.
//!
//! Content is checked against its hash before it is put in place. What cannot be read is said with the reason that results
//! gives, such as that it was given up for the run's budget.

use crate::cli::artifacts::{ArtifactsCommand, GetArgs, ListArgs, WhichArgs};
use crate::client::Mesh;
use crate::commands::mesh_of;
use crate::failure::Failure;
use crate::report::{self, Report, ReportedTest};
use crate::{names, output};
use gauntlet_core::limits::ARTIFACT_BYTES_MAX;
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::Exit;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Some of what was chosen could not be saved.
const EXIT_INCOMPLETE: u8 = 1;
/// Longest part of a file's name that is made of a test's.
const NAME_CHARS_MAX: usize = 60;

/// Carries out `gauntlet artifacts`.
pub(crate) async fn artifacts(command: ArtifactsCommand) -> Result<Exit, Failure> {
    match command {
        ArtifactsCommand::List(args) => list(&args).await,
        ArtifactsCommand::Get(args) => get(&args).await,
    }
}

/// One artifact of a run.
struct Found<'r> {
    test: &'r ReportedTest,
    attempt: i32,
    artifact: &'r v1::ArtifactRef,
}

async fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let mesh = mesh_of(&args.which.target).await?;
    let report = report::gather(&mesh, &args.which.run_id).await?;
    let found = find(&report, &args.which)?;
    if args.json {
        let listed: Vec<_> = found.iter().map(document).collect();
        let text = serde_json::to_string_pretty(&serde_json::json!({ "artifacts": listed }));
        output::line(&text.unwrap_or_default());
        return Ok(Exit::Clean);
    }
    for Found { test, attempt, artifact } in &found {
        let (kind, size, hash) =
            (names::artifact(artifact.kind()), artifact.size_bytes, &artifact.hash);
        let planned = &test.planned;
        output::line(&format!(
            "{:>5}  attempt {attempt}  {kind:<15}  {size:>10} B  {hash}  {}  {:?}",
            planned.ordinal, planned.file, planned.name
        ));
    }
    if found.is_empty() {
        output::note("no artifacts");
    }
    Ok(Exit::Clean)
}

fn document(Found { test, attempt, artifact }: &Found<'_>) -> serde_json::Value {
    serde_json::json!({
        "ordinal": test.planned.ordinal, "name": test.planned.name, "file": test.planned.file,
        "attempt": attempt, "kind": names::artifact(artifact.kind()), "hash": artifact.hash,
        "size_bytes": artifact.size_bytes,
    })
}

async fn get(args: &GetArgs) -> Result<Exit, Failure> {
    let mesh = mesh_of(&args.which.target).await?;
    let report = report::gather(&mesh, &args.which.run_id).await?;
    let found = find(&report, &args.which)?;
    if found.is_empty() {
        output::note("no artifacts");
    }
    let mut complete = true;
    let mut seen: HashMap<(i32, i32, i32), u32> = HashMap::new();
    for one in &found {
        let number =
            seen.entry((one.test.planned.ordinal, one.attempt, one.artifact.kind)).or_default();
        *number += 1;
        let file = args.to.join(&report.run.run_id).join(one.file(*number));
        match save(&mesh, &report.run.run_id, one.artifact, &file).await {
            Ok(()) => output::line(&file.display().to_string()),
            Err(text) => {
                complete = false;
                output::note(&format!("{} not saved: {text}", file.display()));
            }
        }
    }
    Ok(if complete { Exit::Clean } else { Exit::Code(EXIT_INCOMPLETE) })
}

/// Returns what the arguments mean, in the order of tests and attempts.
fn find<'r>(report: &'r Report, which: &WhichArgs) -> Result<Vec<Found<'r>>, Failure> {
    let is = |test: &ReportedTest, name: &String| {
        test.planned.name == *name || test.planned.file == *name
    };
    if let Some(name) =
        which.tests.iter().find(|name| !report.tests.iter().any(|test| is(test, name)))
    {
        let run_id = &report.run.run_id;
        return Err(Failure::Usage(format!("run {run_id} has no test {name:?}")));
    }
    let kinds: Vec<_> = which.kinds.iter().map(|kind| v1::ArtifactKind::from(*kind)).collect();
    let tests = report.tests.iter();
    let tests = tests
        .filter(|test| which.tests.is_empty() || which.tests.iter().any(|name| is(test, name)));
    let all = tests.flat_map(|test| {
        test.attempts.iter().flat_map(move |attempt| {
            let artifacts = attempt.artifacts.iter();
            artifacts.map(move |artifact| Found { test, attempt: attempt.attempt, artifact })
        })
    });
    Ok(all.filter(|one| kinds.is_empty() || kinds.contains(&one.artifact.kind())).collect())
}

impl Found<'_> {
    /// Returns where it is saved; `number` tells those of one kind apart.
    fn file(&self, number: u32) -> PathBuf {
        let (kind, ending) = (self.artifact.kind(), ending(self.artifact.kind()));
        let number = if kind == v1::ArtifactKind::StepScreenshot {
            format!("-{number:03}")
        } else {
            String::new()
        };
        let folder = format!("{:04}-{}", self.test.planned.ordinal, slug(&self.test.planned.name));
        let name = format!("attempt-{}-{}{number}.{ending}", self.attempt, names::artifact(kind));
        Path::new(&folder).join(name)
    }
}

fn ending(kind: v1::ArtifactKind) -> &'static str {
    match kind {
        v1::ArtifactKind::Screenshot | v1::ArtifactKind::StepScreenshot => "png",
        v1::ArtifactKind::PageSource => "html",
        v1::ArtifactKind::ConsoleLog | v1::ArtifactKind::NetworkLog => "jsonl",
        v1::ArtifactKind::Video => "mp4",
        v1::ArtifactKind::Timeline => "json",
        v1::ArtifactKind::Unspecified => "bin",
    }
}

/// Reads an artifact into a file, which appears only whole.
pub(crate) async fn save(
    mesh: &Mesh,
    run_id: &str,
    artifact: &v1::ArtifactRef,
    file: &Path,
) -> Result<(), String> {
    let request =
        v1::ReadArtifactRequest { hash: artifact.hash.clone(), run_id: run_id.to_owned() };
    let mut results = mesh.results.clone();
    let stream = results.read_artifact(request).await;
    let mut stream = stream.map_err(|status| status.message().to_owned())?.into_inner();
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let part = file.with_extension("part");
    let received = async {
        let mut content = File::create(&part).map_err(|error| error.to_string())?;
        let (mut hasher, mut bytes) = (Sha256::new(), 0);
        while let Some(piece) =
            stream.message().await.map_err(|status| status.message().to_owned())?
        {
            bytes += piece.chunk.len() as u64;
            if bytes > ARTIFACT_BYTES_MAX {
                return Err(format!("it has more than {ARTIFACT_BYTES_MAX} bytes"));
            }
            hasher.update(&piece.chunk);
            content.write_all(&piece.chunk).map_err(|error| error.to_string())?;
        }
        if edge::hex(&hasher.finalize()) != artifact.hash {
            return Err("its content does not match its hash".to_owned());
        }
        std::fs::rename(&part, file).map_err(|error| error.to_string())
    };
    let received = received.await;
    if received.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    received
}

/// Returns a name as a part of a file name.
pub(crate) fn slug(name: &str) -> String {
    let plain =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    plain.take(NAME_CHARS_MAX).collect()
}

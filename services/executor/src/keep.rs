//! What an attempt keeps: gathers its artifacts, covers secrets in them, and says when what happened.
//!
//! Owns which artifacts there are; `artifact.rs` brings them to results. What cannot be kept (no room on disk, a video that
//! fails) is left out, and the timeline says why: it never changes the attempt's outcome. All files are in the attempt's
//! folder, which goes when the last of them is delivered.

use crate::{
    app::Executor,
    artifact::Artifact,
    attempt::Header,
    disk::Folder,
    timeline::{self, Kept},
};
use gauntlet_browser::{Capture, Chapter, Film, StepRecord, TestOptions, TestOutcome};
use gauntlet_core::{flow::Flow, limits::ARTIFACT_BYTES_MAX};
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::error_chain;
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use v1::ArtifactKind;

/// How long a video may take to be made.
const ENCODE_LIMIT: Duration = Duration::from_secs(120);

/// Which attempts keep something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum When {
    #[default]
    Never,
    /// Those that do not pass.
    Failed,
    Always,
}

impl When {
    fn holds(self, passed: bool) -> bool {
        self == Self::Always || (self == Self::Failed && !passed)
    }
}

/// What a run keeps of its attempts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) video: When,
    pub(crate) logs: When,
    pub(crate) every_step: bool,
}

impl Wanted {
    /// Returns what a run wants.
    ///
    /// # Errors
    /// A message about an option that this executor does not know: it is never ignored.
    pub(crate) fn new(options: &v1::RunOptions) -> Result<Self, String> {
        let unknown =
            |what: &str, value: i32| format!("this executor does not know {what} {value}");
        let video = match v1::VideoMode::try_from(options.video) {
            Ok(v1::VideoMode::Unspecified | v1::VideoMode::Off) => When::Never,
            Ok(v1::VideoMode::OnFailure) => When::Failed,
            Ok(v1::VideoMode::On) => When::Always,
            Err(_) => return Err(unknown("video mode", options.video)),
        };
        let logs = match v1::LogMode::try_from(options.logs) {
            Ok(v1::LogMode::Off) => When::Never,
            Ok(v1::LogMode::Unspecified | v1::LogMode::OnFailure) => When::Failed,
            Ok(v1::LogMode::On) => When::Always,
            Err(_) => return Err(unknown("log mode", options.logs)),
        };
        let every_step = options.screenshots() == v1::ScreenshotMode::EveryStep;
        Ok(Self { video, logs, every_step })
    }

    /// Returns the options of one attempt, and the folder in which it leaves its pictures.
    pub(crate) fn prepare(
        self,
        executor: &Executor,
        options: &TestOptions,
    ) -> io::Result<(TestOptions, Option<Arc<Folder>>)> {
        let mut options = options.clone();
        options.logs = self.logs != When::Never;
        let film = self.video != When::Never;
        if !film && !self.every_step {
            return Ok((options, None));
        }
        let folder = Arc::new(executor.disk.folder()?);
        let path = folder.path().to_owned();
        options.capture = Some(Capture { folder: path, every_step: self.every_step, film });
        Ok((options, Some(folder)))
    }
}

/// An attempt that has ended, and what it may keep.
pub(crate) struct Ended<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) shard: v1::ShardRef,
    pub(crate) header: &'a Header,
    pub(crate) flow: &'a Flow,
    pub(crate) outcome: &'a TestOutcome,
    pub(crate) folder: Option<Arc<Folder>>,
    pub(crate) wanted: Wanted,
}

impl Ended<'_> {
    /// Returns the artifacts of the attempt; none when it keeps nothing.
    ///
    /// # Cancel safety
    /// Dropping the future kills the encoder and removes the files.
    pub(crate) async fn artifacts(self) -> Vec<Artifact> {
        let passed = self.outcome.result.is_passed();
        let pictured = self.outcome.steps.iter().any(|step| step.screenshot.is_some());
        let silent = !self.wanted.logs.holds(passed) && !self.wanted.video.holds(passed);
        if passed && !pictured && silent {
            return Vec::new();
        }
        match self.folder.clone().map_or_else(|| self.executor.disk.folder().map(Arc::new), Ok) {
            Ok(folder) => self.gather(folder, passed).await,
            Err(error) => {
                tracing::warn!(%error, "no room for artifacts, the attempt goes without them");
                Vec::new()
            }
        }
    }

    async fn gather(&self, folder: Arc<Folder>, passed: bool) -> Vec<Artifact> {
        let mut kept = Kept::default();
        let mut files = self.written(folder.path(), passed).await;
        if self.wanted.video.holds(passed) {
            match self.video(folder.path()).await {
                Ok(file) => files.push((ArtifactKind::Video, file)),
                Err(problem) => kept.problems.push(format!("no video: {problem}")),
            }
            kept.problems.extend(self.outcome.film.as_ref().and_then(|film| film.problem.clone()));
        }
        let pictures = self.outcome.steps.iter().filter_map(|step| step.screenshot.clone());
        files.extend(pictures.map(|file| (ArtifactKind::StepScreenshot, file)));
        let mut artifacts: Vec<Artifact> = Vec::new();
        for (kind, file) in files {
            let Some(artifact) = self.artifact(kind, file, &folder, &mut kept).await else {
                continue;
            };
            // The same picture again is the same content.
            if artifacts.iter().all(|known| known.named.hash != artifact.named.hash) {
                artifacts.push(artifact);
            }
        }
        let about = (&self.shard, self.header, self.flow.title.as_str());
        let timeline = timeline::render(about, self.outcome, &kept);
        let file = folder.path().join("timeline.json");
        if let Some(file) = write(file, timeline.as_bytes()).await {
            artifacts.extend(self.artifact(ArtifactKind::Timeline, file, &folder, &mut kept).await);
        }
        artifacts
    }

    /// Writes what is not in a file yet.
    async fn written(&self, folder: &Path, passed: bool) -> Vec<(ArtifactKind, PathBuf)> {
        let (outcome, mask) = (self.outcome, &self.header.mask);
        let mut contents = Vec::new();
        if let Some(png) = &outcome.screenshot {
            contents.push((ArtifactKind::Screenshot, "screenshot.png", png.clone()));
        }
        if let Some(source) = &outcome.page_source {
            contents.push((
                ArtifactKind::PageSource,
                "page.html",
                mask.covered(source).into_bytes(),
            ));
        }
        if self.wanted.logs.holds(passed) {
            let logs = [
                (ArtifactKind::ConsoleLog, "console.jsonl", console(outcome)),
                (ArtifactKind::NetworkLog, "network.jsonl", network(outcome)),
            ];
            let logs = logs.into_iter().filter(|(.., lines)| !lines.is_empty());
            contents.extend(
                logs.map(|(kind, name, lines)| (kind, name, mask.covered(&lines).into_bytes())),
            );
        }
        let mut files = Vec::new();
        for (kind, name, content) in contents {
            files.extend(write(folder.join(name), &content).await.map(|file| (kind, file)));
        }
        files
    }

    async fn video(&self, folder: &Path) -> Result<PathBuf, String> {
        let encoder = self.executor.encoder.as_ref().ok_or("this executor has no ffmpeg")?;
        let nothing = Film::default();
        let film = self.outcome.film.as_ref().unwrap_or(&nothing);
        let chapters: Vec<_> = self.outcome.steps.iter().map(|step| self.chapter(step)).collect();
        let file = folder.join("video.mp4");
        match encoder.encode(film, &chapters, &file, ENCODE_LIMIT).await {
            Ok(()) => Ok(file),
            Err(error) => {
                let problem = error_chain(&error);
                tracing::warn!(
                    problem,
                    test.ordinal = self.header.ordinal,
                    "no video of an attempt"
                );
                Err(problem)
            }
        }
    }

    fn chapter(&self, step: &StepRecord) -> Chapter {
        let label = step.label.as_deref().unwrap_or(step.step_type);
        let title = format!("{} {}", step.index + 1, self.header.mask.covered(label));
        Chapter { offset: step.started_offset, title }
    }

    /// Names a file by its content, and takes room for it until it is delivered.
    async fn artifact(
        &self,
        kind: ArtifactKind,
        file: PathBuf,
        folder: &Arc<Folder>,
        kept: &mut Kept,
    ) -> Option<Artifact> {
        let read = file.clone();
        let hashed = tokio::task::spawn_blocking(move || hash(&read)).await;
        let Ok(Ok((hash, size))) = hashed else {
            kept.problems.push(format!("{} cannot be read", kind.as_str_name()));
            return None;
        };
        let room = self.executor.disk.room(size).filter(|_| size <= ARTIFACT_BYTES_MAX);
        let Some(room) = room else {
            tracing::warn!(?kind, size, "no room for an artifact, the attempt goes without it");
            kept.problems.push(format!("no room for {} of {size} bytes", kind.as_str_name()));
            return None;
        };
        if kind == ArtifactKind::StepScreenshot {
            kept.pictures.insert(file.clone(), hash.clone());
        } else {
            kept.hashes.insert(kind, hash.clone());
        }
        let size_bytes = i64::try_from(size).unwrap_or(i64::MAX);
        Some(Artifact {
            named: v1::ArtifactRef { kind: kind.into(), hash, size_bytes },
            file,
            passed: self.outcome.result.is_passed(),
            _folder: Arc::clone(folder),
            _room: room,
        })
    }
}

async fn write(file: PathBuf, content: &[u8]) -> Option<PathBuf> {
    match tokio::fs::write(&file, content).await {
        Ok(()) => Some(file),
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "an artifact cannot be written");
            None
        }
    }
}

fn hash(file: &Path) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let size = io::copy(&mut File::open(file)?, &mut HashWriter(&mut hasher))?;
    Ok((edge::hex(&hasher.finalize()), size))
}

struct HashWriter<'h>(&'h mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the console, a JSON document on each line.
fn console(outcome: &TestOutcome) -> String {
    let line = |entry: &gauntlet_browser::ConsoleEntry| {
        serde_json::json!({
            "offset_ms": entry.offset.as_millis(), "level": entry.level, "text": entry.text,
        })
    };
    lines(outcome.logs.console.iter().map(line))
}

/// Returns the requests, a JSON document on each line.
fn network(outcome: &TestOutcome) -> String {
    let line = |request: &gauntlet_browser::Request| {
        let began = request.offset.saturating_sub(request.duration);
        serde_json::json!({
            "offset_ms": began.as_millis(), "duration_ms": request.duration.as_millis(),
            "method": request.method, "url": request.url, "status": request.status, "error": request.error,
        })
    };
    lines(outcome.logs.requests.iter().map(line))
}

fn lines(documents: impl Iterator<Item = serde_json::Value>) -> String {
    documents.map(|document| format!("{document}\n")).collect()
}

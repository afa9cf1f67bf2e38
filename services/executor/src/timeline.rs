//! The timeline of an attempt: what happened when, and which artifact shows it. Pure.
//!
//! The document is a contract (`docs/timeline.schema.json`, `docs/artifacts.md`); keys may be added, a change of what one
//! means is a new version.

use crate::{
    attempt::{self, Header},
    mask::Mask,
};
use gauntlet_browser::{Film, StepRecord, TestOutcome};
use gauntlet_proto::v1;
use serde::Serialize;
use std::{collections::HashMap, path::PathBuf, time::Duration};

const VERSION: u32 = 1;

/// What an attempt keeps, by content.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Hashes of what there is one of.
    pub(crate) hashes: HashMap<v1::ArtifactKind, String>,
    /// Hashes of the pictures of steps.
    pub(crate) pictures: HashMap<PathBuf, String>,
    /// Why something that was asked for is not kept.
    pub(crate) problems: Vec<String>,
}

impl Kept {
    fn of(&self, kind: v1::ArtifactKind) -> Option<&str> {
        self.hashes.get(&kind).map(String::as_str)
    }
}

/// The document.
#[derive(Debug, Serialize)]
pub(crate) struct Timeline<'a> {
    gauntlet_timeline: u32,
    run_id: &'a str,
    generation: i32,
    ordinal: i32,
    attempt: i32,
    title: &'a str,
    outcome: &'static str,
    executor: &'a str,
    started_at: String,
    duration_ms: u64,
    steps: Vec<Step<'a>>,
    screenshot: Option<&'a str>,
    page_source: Option<&'a str>,
    console: Option<Log<'a>>,
    network: Option<Log<'a>>,
    video: Option<Video<'a>>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    index: usize,
    #[serde(rename = "type")]
    step_type: &'static str,
    label: Option<String>,
    outcome: &'static str,
    soft: bool,
    offset_ms: u64,
    duration_ms: u64,
    alternative: Option<usize>,
    selector: Option<String>,
    note: Option<String>,
    problem: Option<String>,
    screenshot: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Log<'a> {
    hash: &'a str,
    entries: usize,
}

#[derive(Debug, Serialize)]
struct Video<'a> {
    hash: &'a str,
    /// When its first frame was taken.
    offset_ms: u64,
    chapters: Vec<Mark>,
}

#[derive(Debug, Serialize)]
struct Mark {
    step: usize,
    video_ms: u64,
}

/// Returns the timeline of an attempt as JSON.
pub(crate) fn render(
    (shard, header, title): (&v1::ShardRef, &Header, &str),
    outcome: &TestOutcome,
    kept: &Kept,
) -> String {
    let mask = &header.mask;
    let log = |kind, entries| kept.of(kind).map(|hash| Log { hash, entries });
    let video = kept.of(v1::ArtifactKind::Video).zip(outcome.film.as_ref());
    let title = mask.covered(title);
    let timeline = Timeline {
        gauntlet_timeline: VERSION,
        run_id: &shard.run_id,
        generation: shard.generation,
        ordinal: header.ordinal,
        attempt: header.attempt,
        title: &title,
        outcome: match attempt::ending(&outcome.result) {
            v1::AttemptOutcome::Passed => "passed",
            v1::AttemptOutcome::Failed => "failed",
            v1::AttemptOutcome::TimedOut => "timed_out",
            v1::AttemptOutcome::Errored | v1::AttemptOutcome::Unspecified => "errored",
        },
        executor: &header.executor,
        started_at: header.started_at.to_string(),
        duration_ms: millis(outcome.duration),
        steps: outcome.steps.iter().map(|step| Step::new(step, kept, mask)).collect(),
        screenshot: kept.of(v1::ArtifactKind::Screenshot),
        page_source: kept.of(v1::ArtifactKind::PageSource),
        console: log(v1::ArtifactKind::ConsoleLog, outcome.logs.console.len()),
        network: log(v1::ArtifactKind::NetworkLog, outcome.logs.requests.len()),
        video: video.map(|(hash, film)| Video::new(hash, film, &outcome.steps)),
        problems: kept.problems.iter().map(|problem| mask.covered(problem)).collect(),
    };
    serde_json::to_string(&timeline).unwrap_or_default()
}

impl<'a> Step<'a> {
    fn new(step: &'a StepRecord, kept: &'a Kept, mask: &Mask) -> Self {
        let covered = |text: &Option<String>| text.as_deref().map(|text| mask.covered(text));
        let hash = step.screenshot.as_ref().and_then(|file| kept.pictures.get(file));
        Self {
            index: step.index,
            step_type: step.step_type,
            label: covered(&step.label),
            outcome: match attempt::step_outcome(step) {
                v1::StepOutcome::Passed => "passed",
                v1::StepOutcome::Skipped => "skipped",
                v1::StepOutcome::Failed | v1::StepOutcome::Unspecified => "failed",
            },
            soft: step.soft,
            offset_ms: millis(step.started_offset),
            duration_ms: millis(step.duration),
            alternative: step.selector_index.map(|index| index + 1),
            selector: covered(&step.selector_used),
            note: covered(&step.note),
            problem: step.failure.as_ref().map(|failure| mask.covered(&failure.message)),
            screenshot: hash.map(String::as_str),
        }
    }
}

impl<'a> Video<'a> {
    fn new(hash: &'a str, film: &Film, steps: &[StepRecord]) -> Self {
        let start = film.frames.first().map(|frame| frame.offset).unwrap_or_default();
        let mark = |step: &StepRecord| Mark {
            step: step.index,
            video_ms: millis(step.started_offset.saturating_sub(start)),
        };
        Self { hash, offset_ms: millis(start), chapters: steps.iter().map(mark).collect() }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

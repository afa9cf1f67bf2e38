//! Handlers of the catalog: import, list, read.

use super::Handlers;
use super::convert::{self, page_key, page_token};
use super::error::CallError;
use super::requests::{check_tags, project};
use crate::store::catalog::CheckedRecording;
use gauntlet_core::TestId;
use gauntlet_core::flow::{Engine, Flow, Support, support};
use gauntlet_proto::edge::{self, Violations};
use gauntlet_proto::v1;
use gauntlet_recordings::{TESTS_MAX, TITLE_CHARS_MAX};
use gauntlet_rpc::{invalid_fields, status};
use gauntlet_runtime::ids;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use tonic::Status;

const RECORDINGS_MAX: usize = 1_000;
const FILE_CHARS_MAX: usize = 512;

pub(crate) async fn import_tests(
    h: &Handlers,
    request: v1::ImportTestsRequest,
) -> Result<v1::ImportTestsResponse, Status> {
    let mut violations = Violations::default();
    let project = violations.take(project(request.project));
    let count = request.recordings.len();
    violations.check(count > 0, "recordings", "must not be empty");
    let rule = format!("{count} recordings, at most {RECORDINGS_MAX}");
    violations.check(count <= RECORDINGS_MAX, "recordings", rule);
    for recording in &request.recordings {
        let chars = recording.file.chars().count();
        let ok = (1..=FILE_CHARS_MAX).contains(&chars) && !recording.file.contains('\0');
        violations.check(ok, "recordings.file", "must have 1 to 512 characters");
        check_tags("recordings.tags", &recording.tags, &mut violations);
    }
    violations.finish().map_err(|v| invalid_fields(&v))?;
    let recordings = checked(request.recordings).map_err(|error| status(&error))?;
    let rule = format!("{} tests, at most {TESTS_MAX}", recordings.len());
    let mut violations = Violations::default();
    violations.check(recordings.len() <= TESTS_MAX, "recordings", rule);
    violations.finish().map_err(|v| invalid_fields(&v))?;
    let project = project.unwrap_or_default();
    let stored = h.store.import_tests(&project, !request.draft, &recordings).await;
    let stored = stored.map_err(|error| status(&CallError::Store(error)))?;
    let mut by_key: HashMap<(String, String), v1::Test> = stored
        .into_iter()
        .map(|row| ((row.file.clone(), row.name.clone()), convert::test(row)))
        .collect();
    let tests = recordings.into_iter().filter_map(|r| by_key.remove(&(r.file, r.name)));
    Ok(v1::ImportTestsResponse { tests: tests.collect() })
}

/// Parses every recording; all problems of all files are told at once, and nothing is stored then.
fn checked(recordings: Vec<v1::Recording>) -> Result<Vec<CheckedRecording>, CallError> {
    let mut errors = Vec::new();
    let mut checked: Vec<CheckedRecording> = Vec::new();
    for recording in recordings {
        match gauntlet_recordings::import(&recording.content, &recording.file) {
            Ok(flows) => checked.extend(flows.iter().map(|flow| stored(flow, &recording))),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(CallError::Recordings(errors));
    }
    // The same file named twice would be written twice in one statement; the last one wins, as with two imports.
    let mut seen = HashMap::new();
    for (index, recording) in checked.iter().enumerate() {
        seen.insert((recording.file.clone(), recording.name.clone()), index);
    }
    let mut index = 0..;
    checked.retain(|r| seen.get(&(r.file.clone(), r.name.clone())).copied() == index.next());
    Ok(checked)
}

/// What is stored of one test: its flow as a document of our own, so that executors read one format only.
fn stored(flow: &Flow, recording: &v1::Recording) -> CheckedRecording {
    let content = gauntlet_recordings::to_json(flow).into_bytes();
    CheckedRecording {
        test_id: TestId(ids::v7()),
        hash: Sha256::digest(&content).to_vec(),
        step_count: u32::try_from(flow.steps.len()).unwrap_or(u32::MAX),
        name: flow.title.replace('\0', "\u{fffd}").chars().take(TITLE_CHARS_MAX).collect(),
        file: recording.file.clone(),
        tags: recording.tags.clone(),
        refusals: refusals(flow),
        content,
    }
}

/// Returns, by engine, the first step that it cannot perform, and why. A step that a branch may leave out counts as well.
fn refusals(flow: &Flow) -> serde_json::Value {
    let first = |engine: Engine| {
        flow.steps.iter().enumerate().find_map(|(index, step)| match support(step, engine) {
            Support::Impossible(why) => {
                let step = format!("step {} ({}): {why}", index + 1, step.type_name());
                Some((engine.as_str().to_owned(), step.into()))
            }
            Support::Native | Support::Vendor => None,
        })
    };
    Engine::ALL.into_iter().filter_map(first).collect::<serde_json::Map<_, _>>().into()
}

pub(crate) async fn list_tests(
    h: &Handlers,
    request: v1::ListTestsRequest,
) -> Result<v1::ListTestsResponse, Status> {
    let project = project(request.project).map_err(|v| invalid_fields(&[v]))?;
    let size = edge::page_size(request.page_size).map_err(|v| invalid_fields(&[v]))?;
    let filter: Vec<&str> =
        std::iter::once(project.as_str()).chain(request.tags.iter().map(String::as_str)).collect();
    let key = page_key(&filter, &request.page_token, 2).map_err(|error| status(&error))?;
    let after = key.as_ref().map_or(("", ""), |key| (key[0].as_str(), key[1].as_str()));
    let rows = h.store.list_tests(&project, &request.tags, after, size + 1).await;
    let mut rows = rows.map_err(|error| status(&CallError::Store(error)))?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more);
    let next_page_token = next
        .map(|row| page_token(&filter, vec![row.file.clone(), row.name.clone()]))
        .unwrap_or_default();
    Ok(v1::ListTestsResponse {
        tests: rows.into_iter().map(convert::test).collect(),
        next_page_token,
    })
}

pub(crate) async fn get_test_revision(
    h: &Handlers,
    request: v1::GetTestRevisionRequest,
) -> Result<v1::GetTestRevisionResponse, Status> {
    let missing = || status(&CallError::NoSuchRevision(request.revision_hash.clone()));
    let hash = edge::unhex(&request.revision_hash).ok_or_else(missing)?;
    let found = h.store.find_revision(&hash).await;
    let found = found.map_err(|error| status(&CallError::Store(error)))?;
    let (content, file) = found.ok_or_else(missing)?;
    Ok(v1::GetTestRevisionResponse { content, file })
}

//! Admission: a request becomes a planned run.
//!
//! What is fixed here stays: the list of tests (A4), the environment's values (A6), the options. A crash before the commit
//! admits nothing; after it the caller repeats its request id and is told the same run.

use crate::commit::CommitError;
use crate::dispatch::Dispatcher;
use crate::store::admit::{Admitted, NewRun, SelectedTest};
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};
use gauntlet_core::RunId;
use gauntlet_core::flow::Engine;
use gauntlet_core::limits::{RUN_TESTS_MAX, SHARD_TESTS_MAX};
use gauntlet_core::plan::contiguous_shards;
use gauntlet_proto::{edge, v1};
use gauntlet_runtime::ids;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Organisation of everybody until there are tokens.
const ORG: &str = "default";

/// A request, checked at the edge.
pub(crate) struct NewRunRequest {
    pub(crate) request_id: Option<Uuid>,
    pub(crate) project: String,
    pub(crate) environment: String,
    pub(crate) selection: Selection,
    pub(crate) options: v1::RunOptions,
    pub(crate) trigger: v1::Trigger,
    /// W3C trace context of the call; empty when there is none.
    pub(crate) traceparent: String,
}

/// Which tests.
pub(crate) enum Selection {
    /// These, in this order.
    Listed {
        /// Their ids.
        ids: Vec<Uuid>,
        /// Whether drafts may be among them.
        include_drafts: bool,
    },
    /// All with these labels.
    Tagged {
        /// The labels.
        tags: Vec<String>,
        /// Whether drafts are taken.
        include_drafts: bool,
    },
}

/// Why a run was not admitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmitError {
    /// The store failed.
    #[error("the run could not be stored")]
    Store(#[source] StoreError),
    /// The run was not committed.
    #[error("the run was not committed")]
    Commit(#[source] CommitError),
    /// A listed test is not there.
    #[error("no such test in project {project}: {test_id}")]
    NoSuchTest {
        /// Project that was searched.
        project: String,
        /// The first one missing.
        test_id: Uuid,
    },
    /// A listed test is a draft.
    #[error("test {test_id} is a draft; ask for drafts to run it")]
    Draft {
        /// The test.
        test_id: Uuid,
    },
    /// Nothing matches.
    #[error("no test of project {project} matches the selection")]
    NothingSelected {
        /// Project that was searched.
        project: String,
    },
    /// No such environment.
    #[error("no such environment in project {project}: {environment}")]
    NoSuchEnvironment {
        /// Project that was searched.
        project: String,
        /// The environment.
        environment: String,
    },
    /// More tests than a run may have.
    #[error("{actual} tests or more are selected, a run may have {limit}")]
    TooManyTests {
        /// The limit.
        limit: usize,
        /// How many there are at least.
        actual: usize,
    },
    /// The browser cannot perform steps of some tests.
    #[error("{} cannot perform every step of {} of the tests; see `gauntlet import --check`", .engine.as_str(), .tests.len())]
    Impossible {
        /// What the run's browser is built on.
        engine: Engine,
        /// Test, step and why.
        tests: Vec<String>,
    },
    /// The request id was used for something else.
    #[error("the request id was used with another request")]
    RequestIdReused,
    /// The environment's secrets cannot be opened.
    #[error("the secrets of the environment cannot be used")]
    Secrets(#[source] VaultError),
}

/// Plans and admits a run; returns its id, which is an earlier one when the request was made before.
pub(crate) async fn admit(
    store: &Store,
    dispatcher: &Dispatcher,
    vault: &Vault,
    request: NewRunRequest,
) -> Result<RunId, AdmitError> {
    let idempotency = request.request_id.map(|id| (id, payload_hash(&request)));
    let earlier = async {
        match &idempotency {
            Some((id, hash)) => store.find_request(*id, hash).await.map_err(AdmitError::Store),
            None => Ok(None),
        }
    };
    let (earlier, tests, resolved, sign_in) = tokio::join!(
        earlier,
        select(store, &request, &request.selection),
        resolve(store, vault, &request),
        find_sign_in(store, &request)
    );
    // A repeat is answered whatever the world has become since.
    if let Some(earlier) = earlier? {
        return admitted(earlier, None);
    }
    let (tests, mut resolved) = (tests?, resolved?);
    resolved.options.sign_in = sign_in?;
    let run = Arc::new(plan(request, resolved, tests, idempotency));
    let outcome = dispatcher.admit(run.clone()).await.map_err(AdmitError::Commit)?;
    admitted(outcome, Some(run.run_id))
}

fn admitted(outcome: Admitted, new: Option<RunId>) -> Result<RunId, AdmitError> {
    match (outcome, new) {
        (Admitted::New, Some(run_id)) | (Admitted::Repeated(run_id), _) => Ok(run_id),
        (Admitted::Reused, _) | (Admitted::New, None) => Err(AdmitError::RequestIdReused),
    }
}

fn plan(
    request: NewRunRequest,
    Resolved { options, secrets }: Resolved,
    tests: Vec<SelectedTest>,
    idempotency: Option<(Uuid, Vec<u8>)>,
) -> NewRun {
    let test_count = u32::try_from(tests.len()).unwrap_or(u32::MAX);
    // A grant must fit in a message, so a large run gets more shards than it asked for.
    let shards_wanted = options.shards.unsigned_abs().max(test_count.div_ceil(SHARD_TESTS_MAX));
    // Checked at the edge, with the request.
    let run_timeout_s = options
        .run_timeout
        .as_ref()
        .and_then(|timeout| edge::duration("options.run_timeout", timeout).ok())
        .map(|timeout| timeout.as_secs_f64());
    NewRun {
        run_id: RunId(ids::v7()),
        org: ORG.to_owned(),
        project: request.project,
        environment: request.environment,
        browser: needed(&options),
        workers: options.workers.unsigned_abs().max(1),
        on_infra_failure: match options.on_infra_failure() {
            v1::OnInfraFailure::StopRun => "STOP_RUN",
            v1::OnInfraFailure::Continue | v1::OnInfraFailure::Unspecified => "CONTINUE",
        },
        options: options.encode_to_vec(),
        secrets,
        trigger: request.trigger.encode_to_vec(),
        traceparent: request.traceparent,
        run_timeout_s,
        shards: contiguous_shards(test_count, shards_wanted),
        tests,
        request: idempotency,
    }
}

/// Fixes the recording that signs in (A4).
async fn find_sign_in(
    store: &Store,
    request: &NewRunRequest,
) -> Result<Option<v1::SignIn>, AdmitError> {
    let Some(v1::SignIn { test_id, .. }) = request.options.sign_in.clone() else {
        return Ok(None);
    };
    let ids = Uuid::parse_str(&test_id).into_iter().collect();
    let found = select(store, request, &Selection::Listed { ids, include_drafts: false }).await?;
    Ok(found.into_iter().next().map(|SelectedTest { file, name, revision_hash, .. }| v1::SignIn {
        test_id,
        revision_hash: edge::hex(&revision_hash),
        file,
        name,
    }))
}

async fn select(
    store: &Store,
    request: &NewRunRequest,
    selection: &Selection,
) -> Result<Vec<SelectedTest>, AdmitError> {
    let engine = engine_of(request.options.browser());
    let selected = selected(store, &request.project, selection, engine).await?;
    let refused = selected.iter().filter_map(|test| {
        let why = test.refusal.as_ref()?;
        Some(format!("{} cannot run {} › {}: {why}", engine.as_str(), test.file, test.name))
    });
    let tests: Vec<String> = refused.collect();
    if tests.is_empty() { Ok(selected) } else { Err(AdmitError::Impossible { engine, tests }) }
}

async fn selected(
    store: &Store,
    project: &str,
    selection: &Selection,
    engine: Engine,
) -> Result<Vec<SelectedTest>, AdmitError> {
    let project = project.to_owned();
    match selection {
        Selection::Listed { ids, include_drafts } => {
            let tests =
                store.select_tests_by_id(&project, ids, engine).await.map_err(AdmitError::Store)?;
            let found: HashSet<Uuid> = tests.iter().map(|t| t.test_id.0).collect();
            if let Some(missing) = ids.iter().find(|id| !found.contains(id)) {
                return Err(AdmitError::NoSuchTest { project, test_id: *missing });
            }
            match tests.iter().find(|t| !t.approved && !include_drafts) {
                Some(draft) => Err(AdmitError::Draft { test_id: draft.test_id.0 }),
                None => Ok(tests),
            }
        }
        Selection::Tagged { tags, include_drafts } => {
            let limit = RUN_TESTS_MAX + 1;
            let tests =
                store.select_tests_by_tag(&project, tags, *include_drafts, limit, engine).await;
            let tests = tests.map_err(AdmitError::Store)?;
            match tests.len() {
                0 => Err(AdmitError::NothingSelected { project }),
                n if n > RUN_TESTS_MAX => {
                    Err(AdmitError::TooManyTests { limit: RUN_TESTS_MAX, actual: n })
                }
                _ => Ok(tests),
            }
        }
    }
}

/// How tests are executed, and the sealed secrets that they may use.
struct Resolved {
    options: v1::RunOptions,
    secrets: Vec<u8>,
}

/// Resolves the environment into the options: what the request sets goes before the environment (A6). Secrets must open
/// now, since no executor could go on without them later.
async fn resolve(
    store: &Store,
    vault: &Vault,
    request: &NewRunRequest,
) -> Result<Resolved, AdmitError> {
    let mut options = request.options.clone();
    if request.environment.is_empty() {
        return Ok(Resolved { options, secrets: Vec::new() });
    }
    let found = store.find_environment(&request.project, &request.environment).await;
    let environment =
        found.map_err(AdmitError::Store)?.ok_or_else(|| AdmitError::NoSuchEnvironment {
            project: request.project.clone(),
            environment: request.environment.clone(),
        })?;
    if options.base_url.is_empty() {
        options.base_url = environment.base_url;
    }
    for (name, value) in environment.variables {
        options.variables.entry(name).or_insert(value);
    }
    options.egress = Some(environment.egress).filter(|egress| *egress != v1::Egress::default());
    vault.open(&environment.secrets).map_err(AdmitError::Secrets)?;
    Ok(Resolved { options, secrets: environment.secrets })
}

/// Hash of what was asked for. Maps are hashed in key order: their order on the wire means nothing.
fn payload_hash(request: &NewRunRequest) -> Vec<u8> {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(bytes);
    };
    field(request.project.as_bytes());
    field(request.environment.as_bytes());
    match &request.selection {
        Selection::Listed { ids, include_drafts } => {
            field(&[1, u8::from(*include_drafts)]);
            ids.iter().for_each(|id| field(id.as_bytes()));
        }
        Selection::Tagged { tags, include_drafts } => {
            field(&[2, u8::from(*include_drafts)]);
            tags.iter().for_each(|tag| field(tag.as_bytes()));
        }
    }
    let (mut options, mut trigger) = (request.options.clone(), request.trigger.clone());
    let mut maps: Vec<_> = options.variables.drain().chain(trigger.labels.drain()).collect();
    maps.sort();
    maps.iter().for_each(|(key, value)| {
        field(key.as_bytes());
        field(value.as_bytes());
    });
    field(&options.encode_to_vec());
    field(&trigger.encode_to_vec());
    hasher.finalize().to_vec()
}

/// Returns the name under which shards queue for a browser and executors offer it.
pub(crate) fn browser_name(browser: v1::Browser) -> &'static str {
    match browser {
        v1::Browser::Chromium | v1::Browser::Unspecified => "chromium",
        v1::Browser::ChromiumFull => "chromium-full",
        v1::Browser::Firefox => "firefox",
        v1::Browser::Webkit => "webkit",
    }
}

/// Returns what a browser is built on.
pub(crate) fn engine_of(browser: v1::Browser) -> Engine {
    match browser {
        v1::Browser::Unspecified | v1::Browser::Chromium | v1::Browser::ChromiumFull => {
            Engine::Chromium
        }
        v1::Browser::Firefox => Engine::Firefox,
        v1::Browser::Webkit => Engine::Webkit,
    }
}

/// What is added to a browser's name where it is filmed.
const FILMED: &str = "+video";

/// What is added to it where somebody sees to whom its pages reach.
const FILTERED: &str = "+egress";

/// Returns whether any attempt of a run is filmed.
pub(crate) fn is_filmed(options: &v1::RunOptions) -> bool {
    matches!(options.video(), v1::VideoMode::On | v1::VideoMode::OnFailure)
}

/// Returns the name under which the shards of a run queue.
fn needed(options: &v1::RunOptions) -> String {
    let filmed = if is_filmed(options) { FILMED } else { "" };
    let filtered = if options.egress.is_some() { FILTERED } else { "" };
    format!("{}{filmed}{filtered}", browser_name(options.browser()))
}

/// Returns the names under which an executor offers its browsers: each once for everything that it can do with them.
pub(crate) fn offered(
    browsers: impl Iterator<Item = v1::Browser>,
    films: bool,
    filters_egress: bool,
) -> Vec<String> {
    let added = |able: bool, what| if able { vec!["", what] } else { vec![""] };
    let names = browsers.map(browser_name).flat_map(|name| {
        added(films, FILMED).into_iter().flat_map(move |filmed| {
            let filtered = added(filters_egress, FILTERED).into_iter();
            filtered.map(move |filtered| format!("{name}{filmed}{filtered}"))
        })
    });
    names.collect()
}

/// Returns the browser of a name, for the list of executors; one that can do more is not told twice.
pub(crate) fn browser_of(name: &str) -> Option<v1::Browser> {
    let known = [
        v1::Browser::Chromium,
        v1::Browser::ChromiumFull,
        v1::Browser::Firefox,
        v1::Browser::Webkit,
    ];
    known.into_iter().find(|b| browser_name(*b) == name)
}

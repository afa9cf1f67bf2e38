//! A scheduler and a results service that do what a test tells them, and remember what they were told.

use gauntlet_proto::v1::{
    self, ingest_service_server::IngestService, ingest_service_server::IngestServiceServer,
    lease_service_server::LeaseService, lease_service_server::LeaseServiceServer,
    scheduler_service_server::SchedulerServiceServer,
};
use gauntlet_rpc::{Details, Reason, Server, ToStatus, limited};
use gauntlet_runtime::Lifecycle;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc};
use tokio_stream::{Stream, wrappers::UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};

pub const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
#[error("scripted {0:?}")]
struct Scripted(Reason);

impl ToStatus for Scripted {
    fn reason(&self) -> Reason {
        self.0
    }
    fn details(&self, d: &mut Details) {
        d.retry_after(Duration::from_millis(10));
    }
}

pub fn scripted(reason: Reason) -> Status {
    gauntlet_rpc::status(&Scripted(reason))
}

#[derive(Debug, Default)]
pub struct State {
    // --- what to do
    pub lease_ttl: Duration,
    pub beat_interval: Duration,
    pub claimable: VecDeque<v1::ShardGrant>,
    pub unnamed: Vec<v1::ShardGrant>,
    pub abort: bool,
    pub renew_error: Option<Reason>,
    pub complete_errors: VecDeque<Reason>,
    pub final_ordinals: Vec<i32>,
    pub attempt_counts: Vec<v1::AttemptCount>,
    pub open_errors: VecDeque<Reason>,
    pub report_error: Option<Reason>,
    pub breaks_left: u32,
    pub holds_acks: bool,
    pub refuses_uploads: bool,
    pub recordings: HashMap<String, Vec<u8>>,
    // --- what was seen
    pub sessions: Vec<String>,
    pub last_session: Option<v1::OpenSessionRequest>,
    pub closed: Vec<String>,
    pub polls: u32,
    pub renewals: u32,
    pub drains_seen: u32,
    pub running_named: Vec<v1::RunningTest>,
    pub abort_told_at: Option<Instant>,
    pub opened: u32,
    pub report_messages: u32,
    pub attempts: Vec<v1::Attempt>,
    pub stored: HashSet<(i32, i32)>,
    pub uploads: Vec<String>,
    pub artifacts: Vec<(v1::ArtifactHeader, Vec<u8>)>,
    pub uploads_are_away: bool,
    pub uploads_refused: u32,
    pub uploads_at_attempt: Vec<usize>,
    pub completions: Vec<v1::ShardCompletion>,
    pub acknowledged_at_completion: Vec<usize>,
}

#[derive(Clone)]
pub struct Mesh {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    pub endpoint: String,
    pub lifecycle: Lifecycle,
}

impl Mesh {
    pub fn start() -> Self {
        let lifecycle = Lifecycle::new();
        let state = State {
            lease_ttl: Duration::from_secs(60),
            beat_interval: Duration::from_millis(50),
            ..State::default()
        };
        let mut mesh = Self {
            state: Arc::new(Mutex::new(state)),
            changed: Arc::new(Notify::new()),
            endpoint: String::new(),
            lifecycle: lifecycle.clone(),
        };
        let mut routes = tonic::service::Routes::builder();
        routes.add_service(limited!(LeaseServiceServer::new(mesh.clone())));
        routes.add_service(limited!(SchedulerServiceServer::new(mesh.clone())));
        routes.add_service(limited!(IngestServiceServer::new(mesh.clone())));
        let bound = Server::new(routes.routes()).bind("127.0.0.1:0".parse().unwrap()).unwrap();
        mesh.endpoint = bound.endpoint();
        lifecycle.spawn("mesh", bound.serve(lifecycle.clone()));
        mesh
    }

    pub fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_waiters();
        result
    }

    /// Waits for a condition on what was seen.
    pub async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if condition(&self.state.lock().unwrap()) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(WITHIN, wait).await.is_err() {
            panic!("not within {WITHIN:?}: {what}; seen {:#?}", self.state.lock().unwrap());
        }
    }

    /// Stores a recording of one step and returns its hash.
    pub fn record(&self, title: &str) -> String {
        let json = serde_json::json!({
            "title": title,
            "steps": [{ "type": "navigate", "url": "http://recorded.test/${PATH}" }],
        });
        self.store(json.to_string().into_bytes())
    }

    pub fn store(&self, bytes: Vec<u8>) -> String {
        let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        self.set(|s| s.recordings.insert(hash.clone(), bytes));
        hash
    }

    /// Returns a grant of one test for each title.
    pub fn grant(&self, shard_index: i32, titles: &[&str]) -> v1::ShardGrant {
        let tests = titles.iter().enumerate().map(|(ordinal, title)| v1::PlannedTest {
            ordinal: i32::try_from(ordinal).unwrap(),
            revision_hash: self.record(title),
            name: (*title).to_owned(),
            ..Default::default()
        });
        v1::ShardGrant {
            run_id: "0198a8a0-0000-7000-8000-000000000001".to_owned(),
            generation: 1,
            shard_index,
            epoch: 1,
            lease_id: "lease".to_owned(),
            tests: tests.collect(),
            options: Some(v1::RunOptions::default()),
            poisoned_ordinals: Vec::new(),
            infra_attempt: 1,
            ..Default::default()
        }
    }
}

#[tonic::async_trait]
impl LeaseService for Mesh {
    async fn open_session(
        &self,
        request: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        let (ttl, beat) = self.set(|s| {
            let request = request.into_inner();
            s.sessions.push(request.session_id.clone());
            s.last_session = Some(request);
            (s.lease_ttl, s.beat_interval)
        });
        Ok(Response::new(v1::OpenSessionResponse {
            lease_ttl: Some(gauntlet_proto::edge::wire_duration(ttl)),
            beat_interval: Some(gauntlet_proto::edge::wire_duration(beat)),
        }))
    }

    async fn claim_shards(
        &self,
        _request: Request<v1::ClaimShardsRequest>,
    ) -> Result<Response<v1::ClaimShardsResponse>, Status> {
        self.set(|s| s.polls += 1);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.lifecycle.is_draining() {
                return Err(gauntlet_rpc::draining());
            }
            if let Some(grant) = self.state.lock().unwrap().claimable.pop_front() {
                return Ok(Response::new(v1::ClaimShardsResponse { grants: vec![grant] }));
            }
            changed.await;
        }
    }

    async fn renew_leases(
        &self,
        request: Request<v1::RenewLeasesRequest>,
    ) -> Result<Response<v1::RenewLeasesResponse>, Status> {
        let request = request.into_inner();
        self.set(|s| {
            s.renewals += 1;
            let running = request.held.iter().flat_map(|held| held.running.clone());
            s.running_named.extend(running);
            s.drains_seen += u32::from(request.draining);
            // An error is about the first session only: the next one is known.
            if let Some(reason) =
                s.renew_error.filter(|_| s.sessions.first() == Some(&request.session_id))
            {
                return Err(scripted(reason));
            }
            if s.abort && !request.held.is_empty() {
                s.abort_told_at.get_or_insert(Instant::now());
            }
            let leases = request.held.iter().map(|held| v1::RenewedLease {
                run_id: held.run_id.clone(),
                shard_index: held.shard_index,
                epoch: held.epoch,
                abort_requested: s.abort,
                lost: false,
            });
            let (leases, unnamed_grants) = (leases.collect(), s.unnamed.clone());
            Ok(Response::new(v1::RenewLeasesResponse { expire_time: None, leases, unnamed_grants }))
        })
    }

    async fn complete_shards(
        &self,
        request: Request<v1::CompleteShardsRequest>,
    ) -> Result<Response<v1::CompleteShardsResponse>, Status> {
        self.set(|s| {
            if let Some(reason) = s.complete_errors.pop_front() {
                return Err(scripted(reason));
            }
            let mut outcomes = Vec::new();
            for completion in request.into_inner().completions {
                s.acknowledged_at_completion.push(s.stored.len());
                s.unnamed.retain(|grant| grant.shard_index != completion.shard_index);
                outcomes.push(v1::CompletionOutcome {
                    run_id: completion.run_id.clone(),
                    shard_index: completion.shard_index,
                    result: v1::CompletionResult::Counted.into(),
                });
                s.completions.push(completion);
            }
            Ok(Response::new(v1::CompleteShardsResponse { outcomes }))
        })
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        self.set(|s| s.closed.push(request.into_inner().session_id));
        Ok(Response::new(v1::CloseSessionResponse {}))
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<v1::ReportAttemptsResponse, Status>> + Send>>;

impl Mesh {
    /// Stores one message and returns the answer, or how the stream ends.
    fn report(
        &self,
        message: v1::ReportAttemptsRequest,
    ) -> Result<v1::ReportAttemptsResponse, Status> {
        self.set(|s| {
            s.report_messages += 1;
            if let Some(reason) = s.report_error {
                return Err(scripted(reason));
            }
            for attempt in message.attempts {
                s.uploads_at_attempt.push(s.uploads.len());
                s.stored.insert((attempt.ordinal, attempt.attempt));
                s.attempts.push(attempt);
            }
            if s.breaks_left > 0 {
                // Stored, and the acknowledgement is lost.
                s.breaks_left -= 1;
                return Err(scripted(Reason::StoreUnavailable));
            }
            Ok(v1::ReportAttemptsResponse {
                sequence: message.sequence,
                already_recorded: false,
                acknowledged_count: i32::try_from(s.stored.len()).unwrap(),
            })
        })
    }
}

#[tonic::async_trait]
impl IngestService for Mesh {
    type ReportAttemptsStream = Answers;

    async fn open_shard(
        &self,
        _request: Request<v1::OpenShardRequest>,
    ) -> Result<Response<v1::OpenShardResponse>, Status> {
        self.set(|s| {
            s.opened += 1;
            if let Some(reason) = s.open_errors.pop_front() {
                return Err(scripted(reason));
            }
            Ok(Response::new(v1::OpenShardResponse {
                final_ordinals: s.final_ordinals.clone(),
                acknowledged_count: i32::try_from(s.final_ordinals.len()).unwrap(),
                attempt_counts: s.attempt_counts.clone(),
            }))
        })
    }

    async fn report_attempts(
        &self,
        request: Request<Streaming<v1::ReportAttemptsRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (mut requests, mesh) = (request.into_inner(), self.clone());
        let (answers, stream) = mpsc::unbounded_channel();
        self.lifecycle.spawn("reports", async move {
            while let Ok(Some(message)) = requests.message().await {
                let answer = mesh.report(message);
                mesh.until("acknowledgements are let go", |s| !s.holds_acks).await;
                let broken = answer.is_err();
                if answers.send(answer).is_err() || broken {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(stream))))
    }

    async fn upload_artifact(
        &self,
        request: Request<Streaming<v1::UploadArtifactRequest>>,
    ) -> Result<Response<v1::UploadArtifactResponse>, Status> {
        let mut parts = request.into_inner();
        let (mut announced, mut content) = (v1::ArtifactHeader::default(), Vec::new());
        while let Some(part) = parts.message().await? {
            match part.part.unwrap() {
                v1::upload_artifact_request::Part::Header(header) => announced = header,
                v1::upload_artifact_request::Part::Chunk(chunk) => content.extend(chunk),
            }
        }
        self.set(|s| {
            if s.refuses_uploads {
                return Err(scripted(Reason::LimitExceeded));
            }
            if s.uploads_are_away {
                s.uploads_refused += 1;
                return Err(scripted(Reason::StoreUnavailable));
            }
            let artifact = announced.artifact.clone().unwrap();
            let hash: String =
                Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(
                (artifact.hash.as_str(), artifact.size_bytes as usize),
                (hash.as_str(), content.len())
            );
            s.artifacts.push((announced, content));
            s.uploads.push(hash);
            Ok(Response::new(v1::UploadArtifactResponse::default()))
        })
    }
}

//! What runs may keep of artifacts, and what becomes of content that nobody names, on a real Postgres.

use super::World;
use crate::artifacts::{Artifacts, Folder};
use crate::grpc::Handlers;
use crate::store::{Charge, Charged};
use crate::sweep::Sweeper;
use gauntlet_core::RunId;
use gauntlet_core::artifact::{ArtifactKind, WORTH_MAX, worth};
use gauntlet_proto::edge::hex;
use gauntlet_proto::v1::{self, ArtifactKind as Kind, upload_artifact_request::Part};
use gauntlet_proto::v1::{
    ingest_service_client::IngestServiceClient, results_service_client::ResultsServiceClient,
};
use gauntlet_rpc::{Peer, Reason, Server, reason_of};
use gauntlet_runtime::{Clock, Lifecycle, ids};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, SystemTime};

const BUDGET_BYTES: u64 = 100;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A store of artifacts, and a run.
struct Kept {
    world: World,
    artifacts: Artifacts,
    folder: tempfile::TempDir,
}

impl Kept {
    async fn start() -> Self {
        let world = World::start().await;
        let folder = tempfile::tempdir().unwrap();
        let opened = Folder::open(folder.path(), &Clock::system()).await.unwrap();
        Self { world, artifacts: Artifacts::Folder(opened), folder }
    }

    /// Uploads `size` bytes that are told apart by `name`, as the call does.
    async fn upload(&self, run_id: RunId, name: u8, size: u64, worth: i16) -> Charged {
        let (content, hash) = content(name, size);
        let charge =
            Charge { run_id, hash: &hash, size_bytes: size, worth, budget_bytes: BUDGET_BYTES };
        let charged = self.world.store.charge_artifact(charge).await.unwrap();
        if charged == Charged::Wanted {
            let mut writing = self.artifacts.write(&hex(&hash)).await.unwrap();
            writing.append(content).await.unwrap();
            assert!(writing.finish(&hash).await.unwrap());
            let size = i64::try_from(size).unwrap();
            self.world.store.insert_artifact(run_id, &hash, 1, size).await.unwrap();
        }
        charged
    }

    /// Tells why a run has given content up; none when it keeps it.
    async fn gone(&self, run_id: RunId, name: u8, size: u64) -> Option<String> {
        let hash = content(name, size).1;
        self.world.store.find_artifact(&hash, Some(run_id)).await.unwrap().gone
    }

    async fn is_there(&self, name: u8, size: u64) -> bool {
        self.artifacts.read(&hex(&content(name, size).1)).await.is_ok()
    }

    /// Sweeps all parts of all hashes once.
    async fn sweep(&self, keep: Duration) -> usize {
        let (store, artifacts) = (self.world.store.clone(), self.artifacts.clone());
        let clock = Clock::system();
        let mut sweeper = Sweeper { store, artifacts, clock, keep, part: 0 };
        let mut removed = 0;
        for _ in 0..256 {
            removed += sweeper.round().await.unwrap();
        }
        removed
    }
}

fn content(name: u8, size: u64) -> (Vec<u8>, Vec<u8>) {
    let content = vec![name; usize::try_from(size).unwrap()];
    let hash = Sha256::digest(&content).to_vec();
    (content, hash)
}

#[tokio::test]
async fn a_run_is_charged_for_content_once_and_each_run_for_itself() {
    let kept = Kept::start().await;
    let (run, other) = (kept.world.run_id, RunId(ids::v7()));
    let steps = [
        (run, 1, 60, Charged::Wanted),
        (run, 1, 60, Charged::Stored),
        (run, 2, 41, Charged::Evicted),
        (run, 2, 40, Charged::Wanted),
        (run, 3, 1, Charged::Evicted),
        (other, 3, 100, Charged::Wanted),
        (other, 1, 60, Charged::Evicted),
        (RunId(ids::v7()), 4, 101, Charged::Evicted),
        (RunId(ids::v7()), 1, 60, Charged::Stored),
    ];
    for (index, (run_id, name, size, expected)) in steps.into_iter().enumerate() {
        let charged = kept.upload(run_id, name, size, WORTH_MAX).await;
        assert_eq!(charged, expected, "step {index}");
    }
}

#[tokio::test]
async fn g6_over_budget_what_is_worth_less_is_given_up_and_says_so() {
    let kept = Kept::start().await;
    let run = kept.world.run_id;
    let film = worth(ArtifactKind::Video, true);
    let step = worth(ArtifactKind::StepScreenshot, true);
    let failed_film = worth(ArtifactKind::Video, false);
    for (name, size, worth) in [(1, 50, film), (2, 20, film), (3, 20, step), (4, 10, failed_film)] {
        assert_eq!(kept.upload(run, name, size, worth).await, Charged::Wanted, "{name}");
    }
    // Nothing is worth less than the film of a passed test.
    assert_eq!(kept.upload(run, 5, 1, film).await, Charged::Evicted);
    assert_eq!(kept.gone(run, 5, 1).await.as_deref(), Some("BUDGET"));
    // Of the films the larger goes, and nothing else.
    assert_eq!(kept.upload(run, 6, 30, WORTH_MAX).await, Charged::Wanted);
    let gone = async |kept: &Kept| {
        let mut gone = Vec::new();
        for (name, size) in [(1, 50), (2, 20), (3, 20), (4, 10), (6, 30)] {
            if kept.gone(run, name, size).await.is_some() {
                gone.push(name);
            }
        }
        gone
    };
    assert_eq!(gone(&kept).await, [1]);
    assert_eq!(kept.upload(run, 1, 50, film).await, Charged::Evicted, "it does not come back");
    // 70 fit when all but the picture of the failure goes; 71 do not, and then nothing goes.
    assert_eq!(kept.upload(run, 7, 71, WORTH_MAX).await, Charged::Evicted);
    assert_eq!(gone(&kept).await, [1]);
    assert_eq!(kept.upload(run, 8, 70, WORTH_MAX).await, Charged::Wanted);
    assert_eq!(gone(&kept).await, [1, 2, 3, 4]);
    // The same content for more worth: what a passed test lost, a failed one may have.
    let more = RunId(ids::v7());
    kept.upload(more, 9, 100, WORTH_MAX - 1).await;
    assert_eq!(kept.upload(more, 3, 20, step).await, Charged::Evicted);
    assert_eq!(kept.upload(more, 3, 20, WORTH_MAX).await, Charged::Wanted);
    assert_eq!(kept.gone(more, 9, 100).await.as_deref(), Some("BUDGET"));
}

#[tokio::test]
async fn g6_content_that_no_run_names_is_removed_and_what_one_names_stays() {
    let kept = Kept::start().await;
    let (run, other) = (kept.world.run_id, RunId(ids::v7()));
    for name in [1, 2] {
        kept.upload(run, name, 50, 0).await;
    }
    kept.upload(other, 2, 50, 0).await;
    kept.upload(run, 3, 100, WORTH_MAX).await;
    assert_eq!(kept.sweep(DAY).await, 1);
    assert!(!kept.is_there(1, 50).await, "no run names it");
    assert!(kept.is_there(2, 50).await, "the other run names it");
    assert_eq!(kept.upload(RunId(ids::v7()), 2, 50, 0).await, Charged::Stored, "and is told so");
    assert_eq!(kept.upload(RunId(ids::v7()), 1, 50, 0).await, Charged::Wanted, "it comes again");
    assert!(kept.is_there(1, 50).await);
    assert_eq!(kept.sweep(DAY).await, 0);
}

#[tokio::test]
async fn g6_content_under_suspicion_is_brought_again_by_who_wants_it() {
    let kept = Kept::start().await;
    kept.upload(kept.world.run_id, 1, 60, 0).await;
    kept.upload(kept.world.run_id, 2, 60, WORTH_MAX).await;
    // A crash in the middle of its removal: the file is gone, the row is not.
    kept.artifacts.remove(&hex(&content(1, 60).1)).await.unwrap();
    let other = RunId(ids::v7());
    let hash = content(1, 60).1;
    let charge =
        Charge { run_id: other, hash: &hash, size_bytes: 60, worth: 0, budget_bytes: BUDGET_BYTES };
    assert_eq!(kept.world.store.charge_artifact(charge).await.unwrap(), Charged::Wanted);
    // A sweep between the charge and the content takes nothing away, and does not call it stored.
    assert_eq!(kept.sweep(DAY).await, 0);
    assert_eq!(kept.upload(other, 1, 60, 0).await, Charged::Wanted);
    assert_eq!(kept.sweep(DAY).await, 0);
    assert!(kept.is_there(1, 60).await);
    assert_eq!(kept.upload(RunId(ids::v7()), 1, 60, 0).await, Charged::Stored);
}

#[tokio::test]
async fn j1_artifacts_of_old_runs_are_given_up_for_their_age() {
    let kept = Kept::start().await;
    // A UUIDv7 of 2020-09-13.
    let old = RunId("01748a5e-8c00-7000-8000-000000000001".parse().unwrap());
    kept.upload(old, 1, 10, WORTH_MAX).await;
    kept.upload(kept.world.run_id, 2, 10, WORTH_MAX).await;
    assert_eq!(kept.sweep(30 * DAY).await, 1);
    assert_eq!(kept.gone(old, 1, 10).await.as_deref(), Some("AGE"));
    assert!(!kept.is_there(1, 10).await && kept.is_there(2, 10).await);
    assert_eq!(kept.gone(kept.world.run_id, 2, 10).await, None);
}

#[tokio::test]
async fn g6_files_that_no_row_knows_are_removed_once_they_are_old() {
    let kept = Kept::start().await;
    let mut paths = Vec::new();
    for (name, age) in [(1, 2 * DAY), (2, DAY / 2)] {
        let (content, hash) = content(name, 10);
        let mut writing = kept.artifacts.write(&hex(&hash)).await.unwrap();
        writing.append(content).await.unwrap();
        assert!(writing.finish(&hash).await.unwrap());
        let path = kept.folder.path().join(&hex(&hash)[..2]).join(hex(&hash));
        let at = SystemTime::from(Clock::system().now()) - age;
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        paths.push(path);
    }
    assert_eq!(kept.sweep(30 * DAY).await, 1);
    assert!(!paths[0].exists() && paths[1].exists());
}

#[tokio::test]
async fn g6_two_replicas_that_sweep_and_a_run_that_uploads_lose_nothing() {
    let kept = Kept::start().await;
    // Each round gives up what the one before brought, under the feet of two sweepers.
    for round in 0..20_u8 {
        let (first, second) = (RunId(ids::v7()), RunId(ids::v7()));
        kept.upload(first, 200, 90, 0).await;
        kept.upload(first, round, 100, WORTH_MAX).await;
        let (_, _, charged) = tokio::join!(
            kept.world.store.settle_artifacts(&kept.artifacts),
            kept.world.store.settle_artifacts(&kept.artifacts),
            kept.upload(second, 200, 90, WORTH_MAX)
        );
        assert_ne!(charged, Charged::Evicted);
        assert!(kept.is_there(200, 90).await, "round {round}: {charged:?}");
        assert!(kept.is_there(round, 100).await, "round {round}");
    }
}

#[tokio::test]
async fn g6_an_upload_over_the_budget_is_told_and_reading_it_says_why() {
    let kept = Kept::start().await;
    let lifecycle = Lifecycle::new();
    let peer = |address: &str| Peer::connect_lazy(&format!("http://{address}")).unwrap();
    let artifacts = (kept.artifacts.clone(), BUDGET_BYTES);
    let handlers =
        Handlers::new(kept.world.store.clone(), artifacts, peer("127.0.0.1:9"), lifecycle.clone());
    let bound = Server::new(handlers.routes()).bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = bound.addr().to_string();
    lifecycle.spawn("results", bound.serve(lifecycle.clone()));
    let mut ingest = IngestServiceClient::new(peer(&address));
    let mut results = ResultsServiceClient::new(peer(&address));
    let run_id = kept.world.run_id.to_string();
    let mut upload = async |name: u8, size: u64, kind: Kind, passed: bool| {
        let (content, hash) = content(name, size);
        let shard =
            v1::ShardRef { run_id: run_id.clone(), generation: 1, shard_index: 0, epoch: 1 };
        let size_bytes = i64::try_from(size).unwrap();
        let artifact = v1::ArtifactRef { kind: kind.into(), hash: hex(&hash), size_bytes };
        let (shard, artifact) = (Some(shard), Some(artifact));
        let parts =
            [Part::Header(v1::ArtifactHeader { shard, artifact, passed }), Part::Chunk(content)];
        let parts = parts.map(|part| v1::UploadArtifactRequest { part: Some(part) });
        ingest.upload_artifact(tokio_stream::iter(parts)).await.unwrap().into_inner()
    };
    assert_eq!(upload(1, 90, Kind::Video, true).await, v1::UploadArtifactResponse::default());
    assert!(upload(1, 90, Kind::Video, true).await.already_stored);
    assert!(upload(2, 20, Kind::Video, true).await.evicted);
    assert!(!upload(3, 60, Kind::Screenshot, false).await.evicted);
    let mut read = async |name: u8, size: u64, run_id: &str| {
        let request = v1::ReadArtifactRequest {
            hash: hex(&content(name, size).1),
            run_id: run_id.to_owned(),
        };
        let mut pieces = match results.read_artifact(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return Err((reason_of(&status), status.message().to_owned())),
        };
        let mut read = Vec::new();
        while let Some(piece) = pieces.message().await.unwrap() {
            read.extend(piece.chunk);
        }
        Ok(read)
    };
    assert_eq!(read(3, 60, &run_id).await, Ok(content(3, 60).0));
    for (name, size) in [(1, 90), (2, 20)] {
        let (reason, message) = read(name, size, &run_id).await.unwrap_err();
        assert_eq!(reason, Some(Reason::ArtifactEvicted));
        assert!(message.contains("budget"), "{message}");
    }
    // Nobody asks for a run: what another one may keep is read as long as it is there.
    assert_eq!(read(1, 90, "").await, Ok(content(1, 90).0));
    assert_eq!(read(2, 20, "").await.unwrap_err().0, Some(Reason::ArtifactNotFound));
}

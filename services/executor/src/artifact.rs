//! Artifacts on their way to results, each before the attempt that names it.
//!
//! Owns the order: a shard's attempts pass through [`Courier::run`], which stores what belongs to one and then lets it go on
//! to be reported. Workers do not wait for it. While results is away both wait here, the artifacts on disk; what results
//! refuses is left out of the attempt, and the log says so. A crash loses artifacts and the attempts behind them, which the
//! next holder of the shard runs again.

use crate::{
    cancel::Stop,
    disk::{Folder, Room},
    peer::{Failed, Patience},
    report::Spooled,
};
use gauntlet_core::limits::ARTIFACT_BYTES_MAX;
use gauntlet_proto::v1::{
    self, ingest_service_client::IngestServiceClient, upload_artifact_request::Part,
};
use gauntlet_rpc::Peer;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{io::AsyncReadExt as _, sync::mpsc};
use tonic::Status;

const CHUNK_BYTES: usize = 1024 * 1024;
/// How long one upload may take, and how much longer for each MiB.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(20);
const UPLOAD_TIMEOUT_PER_MIB: Duration = Duration::from_secs(1);
/// Pieces that wait for the network.
const PIECES_MAX: usize = 2;

/// A file that belongs to an attempt.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) named: v1::ArtifactRef,
    pub(crate) file: PathBuf,
    /// Whether the attempt passed.
    pub(crate) passed: bool,
    /// Keeps the file.
    pub(crate) _folder: Arc<Folder>,
    pub(crate) _room: Room,
}

/// Stores artifacts of one shard, and lets their attempts go on.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) shard: v1::ShardRef,
    pub(crate) attempts: mpsc::UnboundedReceiver<Spooled>,
    pub(crate) onward: mpsc::UnboundedSender<Spooled>,
}

impl Courier {
    /// Works until all attempts have passed, the lease is void, or nobody reports any more.
    pub(crate) async fn run(self, ingest: IngestServiceClient<Peer>, stop: &Stop) {
        let Self { shard, attempts, onward } = self;
        tokio::select! {
            biased;
            () = stop.voided() => {}
            () = onward.closed() => {}
            () = carry(shard, attempts, &onward, ingest) => {}
        }
    }
}

async fn carry(
    shard: v1::ShardRef,
    mut attempts: mpsc::UnboundedReceiver<Spooled>,
    onward: &mpsc::UnboundedSender<Spooled>,
    mut ingest: IngestServiceClient<Peer>,
) {
    while let Some(mut spooled) = attempts.recv().await {
        for artifact in std::mem::take(&mut spooled.artifacts) {
            if store(&mut ingest, &shard, &artifact).await {
                spooled.attempt.artifacts.push(artifact.named);
            }
        }
        if onward.send(spooled).is_err() {
            return;
        }
    }
}

/// Stores one artifact, for as long as results is away; returns whether it was stored.
async fn store(
    ingest: &mut IngestServiceClient<Peer>,
    shard: &v1::ShardRef,
    artifact: &Artifact,
) -> bool {
    let mut patience = Patience::new();
    loop {
        let status = match upload(ingest, shard, artifact).await {
            Ok(()) => return true,
            Err(status) => status,
        };
        match patience.after(status.as_ref()).await {
            Failed::Unavailable | Failed::Bug => {}
            Failed::LeaseLost | Failed::SessionLost | Failed::Refused => {
                let said = status.as_ref().map_or("nothing", |status| status.message());
                tracing::warn!(kind = ?artifact.named.kind(), hash = artifact.named.hash, said,
                    "artifact was not stored, the attempt goes without it");
                return false;
            }
        }
    }
}

/// Sends one artifact; an error without a status is silence.
async fn upload(
    ingest: &mut IngestServiceClient<Peer>,
    shard: &v1::ShardRef,
    artifact: &Artifact,
) -> Result<(), Option<Status>> {
    let header = v1::ArtifactHeader {
        shard: Some(shard.clone()),
        artifact: Some(artifact.named.clone()),
        passed: artifact.passed,
    };
    let (pieces, stream) = mpsc::channel(PIECES_MAX);
    let mib = artifact.named.size_bytes.unsigned_abs().min(ARTIFACT_BYTES_MAX) >> 20;
    let limit = UPLOAD_TIMEOUT + UPLOAD_TIMEOUT_PER_MIB * u32::try_from(mib).unwrap_or_default();
    let sent = ingest.upload_artifact(tokio_stream::wrappers::ReceiverStream::new(stream));
    let both = async { tokio::join!(send(&artifact.file, header, pieces), sent).1 };
    match tokio::time::timeout(limit, both).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(Some(status)),
        Err(_) => Err(None),
    }
}

/// A file that cannot be read any more ends the stream early, which results refuses.
async fn send(
    file: &PathBuf,
    header: v1::ArtifactHeader,
    pieces: mpsc::Sender<v1::UploadArtifactRequest>,
) {
    let message = |part| v1::UploadArtifactRequest { part: Some(part) };
    if pieces.send(message(Part::Header(header))).await.is_err() {
        return;
    }
    let Ok(mut file) = tokio::fs::File::open(file).await else { return };
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await;
        // An answer may come before the last piece: it knew the content.
        if !matches!(read, Ok(1..)) || pieces.send(message(Part::Chunk(chunk))).await.is_err() {
            return;
        }
    }
}

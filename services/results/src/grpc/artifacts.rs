//! Artifacts in and out, piece by piece.

use super::error::CallError;
use super::{ingest, wire};
use crate::artifacts::{Artifacts, Writing};
use crate::store::Store;
use gauntlet_core::limits::{ARTIFACT_BYTES_MAX, RUN_ARTIFACT_BYTES_MAX};
use gauntlet_proto::{FieldViolation, edge, v1};
use gauntlet_rpc::{invalid_fields, status};
use gauntlet_runtime::ids;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use v1::upload_artifact_request::Part;

/// Bytes of one piece when reading.
const PIECE_BYTES: usize = 256 * 1024;

fn bad(field: &str, description: &str) -> Status {
    invalid_fields(&[FieldViolation::new(field, description)])
}

/// Stores an upload: announced, charged to its run, written beside, checked, put in place, indexed.
pub(super) async fn upload(
    store: &Store,
    artifacts: &Artifacts,
    mut parts: Streaming<v1::UploadArtifactRequest>,
) -> Result<v1::UploadArtifactResponse, Status> {
    let Some(Part::Header(header)) = parts.message().await?.and_then(|message| message.part) else {
        return Err(bad("part", "the first message must be a header"));
    };
    let run_id = ingest::fence(header.shard).map_err(|v| invalid_fields(&v))?.run_id;
    let artifact = header.artifact.unwrap_or_default();
    let hash = wire::sha256(&artifact.hash)
        .ok_or_else(|| bad("header.artifact.hash", "must be a SHA-256 in lower-case hex"))?;
    let size = u64::try_from(artifact.size_bytes).unwrap_or(0);
    if size > ARTIFACT_BYTES_MAX {
        let what = "header.artifact.size_bytes";
        return Err(status(&CallError::Limit { what, limit: ARTIFACT_BYTES_MAX, actual: size }));
    }
    let budget = RUN_ARTIFACT_BYTES_MAX;
    let charged = store.charge_artifact(run_id, &hash, artifact.size_bytes.max(0), budget).await;
    if !charged.map_err(|e| status(&CallError::Store(e)))? {
        let over = CallError::ArtifactBudget { run_id, size_bytes: size, limit: budget };
        return Err(status(&over));
    }
    let known = store.find_artifact(&hash).await.map_err(|e| status(&CallError::Store(e)))?;
    if known.is_some() {
        return Ok(v1::UploadArtifactResponse { already_stored: true, evicted: false });
    }
    let folder = |error| status(&CallError::Folder(error));
    let hex = edge::hex(&hash);
    let unique = format!("{hex}-{}.part", ids::v4());
    let writing = artifacts.write(&hex, &unique).await.map_err(folder)?;
    let writing = receive(writing, &mut parts, size).await?;
    if writing.written_bytes != size {
        writing.discard().await;
        return Err(bad("header.artifact.size_bytes", "differs from the content"));
    }
    if !writing.finish(&hash).await.map_err(folder)? {
        return Err(bad("header.artifact.hash", "differs from the content"));
    }
    let stored = store.insert_artifact(&hash, artifact.kind, artifact.size_bytes).await;
    stored.map_err(|e| status(&CallError::Store(e)))?;
    Ok(v1::UploadArtifactResponse::default())
}

async fn receive(
    mut writing: Writing,
    parts: &mut Streaming<v1::UploadArtifactRequest>,
    size: u64,
) -> Result<Writing, Status> {
    loop {
        let refused = match parts.message().await {
            Ok(None) => return Ok(writing),
            Ok(Some(v1::UploadArtifactRequest { part: Some(Part::Chunk(chunk)) })) => {
                if writing.written_bytes + chunk.len() as u64 > size {
                    bad("chunk", "there is more content than announced")
                } else {
                    match writing.append(&chunk).await {
                        Ok(()) => continue,
                        Err(error) => status(&CallError::Folder(error)),
                    }
                }
            }
            Ok(Some(_)) => bad("part", "only chunks may follow the header"),
            Err(broken) => broken,
        };
        writing.discard().await;
        return Err(refused);
    }
}

/// Sends an artifact's content.
pub(super) async fn send(
    artifacts: Artifacts,
    hash: String,
    pieces: mpsc::Sender<Result<v1::ReadArtifactResponse, Status>>,
) {
    let result = async {
        let mut file = artifacts.read(&hash).await?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = file.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            let chunk = piece[..count].to_vec();
            if pieces.send(Ok(v1::ReadArtifactResponse { chunk })).await.is_err() {
                return Ok(());
            }
        }
    };
    if let Err(error) = result.await {
        let _ = pieces.send(Err(status(&CallError::Folder(error)))).await;
    }
}

//! Artifacts in and out, piece by piece.

use super::error::CallError;
use super::{Handlers, ingest, wire};
use crate::artifacts::{Reading, Writing};
use crate::store::{Charge, Charged};
use gauntlet_core::artifact::worth;
use gauntlet_core::limits::ARTIFACT_BYTES_MAX;
use gauntlet_core::{RunId, artifact};
use gauntlet_proto::{FieldViolation, edge, v1};
use gauntlet_rpc::{invalid_fields, status};
use std::io;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use v1::upload_artifact_request::Part;

fn bad(field: &str, description: &str) -> Status {
    invalid_fields(&[FieldViolation::new(field, description)])
}

fn failed(error: io::Error) -> Status {
    status(&CallError::Artifacts(error))
}

/// Stores an upload: announced, charged to its run, written beside, checked, put in place, indexed.
pub(super) async fn upload(
    Handlers { store, artifacts, run_artifact_bytes_max, .. }: &Handlers,
    mut parts: Streaming<v1::UploadArtifactRequest>,
) -> Result<v1::UploadArtifactResponse, Status> {
    let Some(Part::Header(header)) = parts.message().await?.and_then(|message| message.part) else {
        return Err(bad("part", "the first message must be a header"));
    };
    let run_id = ingest::fence(header.shard).map_err(|v| invalid_fields(&v))?.run_id;
    let named = header.artifact.unwrap_or_default();
    let hash = wire::sha256(&named.hash)
        .ok_or_else(|| bad("header.artifact.hash", "must be a SHA-256 in lower-case hex"))?;
    let size_bytes = u64::try_from(named.size_bytes).unwrap_or(0);
    if size_bytes > ARTIFACT_BYTES_MAX {
        let what = "header.artifact.size_bytes";
        let (limit, actual) = (ARTIFACT_BYTES_MAX, size_bytes);
        return Err(status(&CallError::Limit { what, limit, actual }));
    }
    let budget_bytes = *run_artifact_bytes_max;
    let worth = kind(named.kind()).map_or(artifact::WORTH_MAX, |kind| worth(kind, header.passed));
    let charge = Charge { run_id, hash: &hash, size_bytes, worth, budget_bytes };
    let charged = store.charge_artifact(charge).await;
    match charged.map_err(|error| status(&CallError::Store(error)))? {
        Charged::Wanted => {}
        Charged::Stored => {
            return Ok(v1::UploadArtifactResponse { already_stored: true, evicted: false });
        }
        Charged::Evicted => {
            tracing::info!(run.id = %run_id, kind = ?named.kind(), size_bytes, budget_bytes,
                "an artifact was given up: the run's budget is spent");
            return Ok(v1::UploadArtifactResponse { already_stored: false, evicted: true });
        }
    }
    let writing = artifacts.write(&edge::hex(&hash)).await.map_err(failed)?;
    let writing = receive(writing, &mut parts, size_bytes).await?;
    if writing.written_bytes != size_bytes {
        writing.discard().await;
        return Err(bad("header.artifact.size_bytes", "differs from the content"));
    }
    if !writing.finish(&hash).await.map_err(failed)? {
        return Err(bad("header.artifact.hash", "differs from the content"));
    }
    let stored = store.insert_artifact(run_id, &hash, named.kind, named.size_bytes).await;
    stored.map_err(|error| status(&CallError::Store(error)))?;
    Ok(v1::UploadArtifactResponse::default())
}

/// Returns a kind in the domain's words; none for one of a newer executor.
fn kind(kind: v1::ArtifactKind) -> Option<artifact::ArtifactKind> {
    Some(match kind {
        v1::ArtifactKind::Screenshot => artifact::ArtifactKind::Screenshot,
        v1::ArtifactKind::PageSource => artifact::ArtifactKind::PageSource,
        v1::ArtifactKind::ConsoleLog => artifact::ArtifactKind::ConsoleLog,
        v1::ArtifactKind::NetworkLog => artifact::ArtifactKind::NetworkLog,
        v1::ArtifactKind::StepScreenshot => artifact::ArtifactKind::StepScreenshot,
        v1::ArtifactKind::Video => artifact::ArtifactKind::Video,
        v1::ArtifactKind::Timeline => artifact::ArtifactKind::Timeline,
        v1::ArtifactKind::Unspecified => return None,
    })
}

async fn receive(
    mut writing: Writing,
    parts: &mut Streaming<v1::UploadArtifactRequest>,
    size_bytes: u64,
) -> Result<Writing, Status> {
    loop {
        let refused = match parts.message().await {
            Ok(None) => return Ok(writing),
            Ok(Some(v1::UploadArtifactRequest { part: Some(Part::Chunk(chunk)) })) => {
                if writing.written_bytes + chunk.len() as u64 > size_bytes {
                    bad("chunk", "there is more content than announced")
                } else {
                    match writing.append(chunk).await {
                        Ok(()) => continue,
                        Err(error) => failed(error),
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

/// Opens an artifact that is asked for, or says why it is not there.
pub(super) async fn open(
    Handlers { store, artifacts, .. }: &Handlers,
    request: &v1::ReadArtifactRequest,
) -> Result<Reading, Status> {
    let missing = || status(&CallError::NoSuchArtifact(request.hash.clone()));
    let hash = wire::sha256(&request.hash).ok_or_else(missing)?;
    let run_id = match request.run_id.as_str() {
        "" => None,
        text => Some(RunId(edge::uuid("run_id", text).map_err(|v| invalid_fields(&[v]))?)),
    };
    let known = store.find_artifact(&hash, run_id).await;
    let known = known.map_err(|error| status(&CallError::Store(error)))?;
    if let Some(gone) = known.gone {
        let why = match gone.as_str() {
            "AGE" => "its run is older than artifacts are kept",
            _ => "the run's budget of artifacts was spent on what is worth more",
        };
        return Err(status(&CallError::Evicted { hash: request.hash.clone(), why }));
    }
    if !known.stored {
        return Err(missing());
    }
    match artifacts.read(&edge::hex(&hash)).await {
        Ok(reading) => Ok(reading),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(failed(error)),
    }
}

/// Sends an artifact's content.
pub(super) async fn send(
    mut reading: Reading,
    pieces: mpsc::Sender<Result<v1::ReadArtifactResponse, Status>>,
) {
    loop {
        let message = match reading.piece().await {
            Ok(None) => return,
            Ok(Some(chunk)) => Ok(v1::ReadArtifactResponse { chunk }),
            Err(error) => Err(failed(error)),
        };
        let broken = message.is_err();
        if pieces.send(message).await.is_err() || broken {
            return;
        }
    }
}

//! Storing an artifact by its content, before the attempt that names it is reported.
//!
//! Owns the upload. A failure is tolerated: the attempt goes without the artifact, and the log says so. A crash leaves at
//! most content that nothing names.

use crate::{
    peer::{Failed, judge},
    revisions::sha256_hex,
};
use gauntlet_proto::v1::{
    self, ingest_service_client::IngestServiceClient, upload_artifact_request::Part,
};
use gauntlet_rpc::Peer;
use std::time::Duration;

const CHUNK_BYTES: usize = 1024 * 1024;
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(20);
const UPLOAD_TRIES_MAX: u32 = 3;
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Stores a screenshot and returns its reference; none when it could not be stored.
pub(crate) async fn store_screenshot(
    ingest: &IngestServiceClient<Peer>,
    shard: &v1::ShardRef,
    png: Vec<u8>,
) -> Option<v1::ArtifactRef> {
    let artifact = v1::ArtifactRef {
        kind: v1::ArtifactKind::Screenshot.into(),
        hash: sha256_hex(&png),
        size_bytes: i64::try_from(png.len()).ok()?,
    };
    let messages = messages(shard, &artifact, &png);
    for left in (0..UPLOAD_TRIES_MAX).rev() {
        let mut ingest = ingest.clone();
        let upload = ingest.upload_artifact(tokio_stream::iter(messages.clone()));
        match tokio::time::timeout(UPLOAD_TIMEOUT, upload).await {
            Ok(Ok(_)) => return Some(artifact),
            Ok(Err(status)) if left > 0 && judge(&status) == Failed::Unavailable => {
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Ok(Err(status)) => {
                tracing::warn!(code = ?status.code(), message = status.message(), hash = artifact.hash,
                    "screenshot was not stored, the attempt goes without it");
                return None;
            }
            Err(_) => break,
        }
    }
    tracing::warn!(
        hash = artifact.hash,
        "screenshot was not stored in time, the attempt goes without it"
    );
    None
}

fn messages(
    shard: &v1::ShardRef,
    artifact: &v1::ArtifactRef,
    content: &[u8],
) -> Vec<v1::UploadArtifactRequest> {
    let header =
        v1::ArtifactHeader { shard: Some(shard.clone()), artifact: Some(artifact.clone()) };
    let chunks = content.chunks(CHUNK_BYTES).map(|chunk| Part::Chunk(chunk.to_vec()));
    std::iter::once(Part::Header(header))
        .chain(chunks)
        .map(|part| v1::UploadArtifactRequest { part: Some(part) })
        .collect()
}

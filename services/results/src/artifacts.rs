//! Artifacts by content: in a folder, or in a bucket that speaks S3.
//!
//! Both keep content at `<two hex digits>/<hash>`, and put it there only whole and only when it has that hash. Replicas may
//! share one. Which content is still wanted is known by the rows (`store/artifacts.rs`), never decided here. A crash leaves
//! half an upload: of the folder a later start removes it once it is old, of a bucket its own rules do (abort incomplete
//! multipart uploads).

mod bucket;
mod folder;
#[cfg(test)]
mod tests;

pub(crate) use bucket::{Bucket, BucketSettings};
pub(crate) use folder::Folder;

use sha2::{Digest as _, Sha256};
use std::io;
use std::time::{Duration, SystemTime};

/// Where artifacts are. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Artifacts {
    Folder(Folder),
    Bucket(Bucket),
}

/// An artifact being written.
pub(crate) struct Writing {
    target: Target,
    hasher: Sha256,
    pub(crate) written_bytes: u64,
}

enum Target {
    Folder(folder::Part),
    Bucket(bucket::Part),
}

/// An artifact being read.
pub(crate) enum Reading {
    Folder(folder::Pieces),
    Bucket(bucket::Pieces),
}

impl Artifacts {
    /// Starts writing an artifact.
    pub(crate) async fn write(&self, hash: &str) -> io::Result<Writing> {
        let target = match self {
            Self::Folder(folder) => Target::Folder(folder.write(hash).await?),
            Self::Bucket(bucket) => Target::Bucket(bucket.write(hash)),
        };
        Ok(Writing { target, hasher: Sha256::new(), written_bytes: 0 })
    }

    /// Opens an artifact for reading; `NotFound` when it is not there.
    pub(crate) async fn read(&self, hash: &str) -> io::Result<Reading> {
        #[cfg(feature = "interleave")]
        gauntlet_pg::step::stop(crate::interleave::READ).await;
        Ok(match self {
            Self::Folder(folder) => Reading::Folder(folder.read(hash).await?),
            Self::Bucket(bucket) => Reading::Bucket(bucket.read(hash).await?),
        })
    }

    /// Removes an artifact. Idempotent.
    pub(crate) async fn remove(&self, hash: &str) -> io::Result<()> {
        #[cfg(feature = "interleave")]
        gauntlet_pg::step::stop(crate::interleave::REMOVE).await;
        match self {
            Self::Folder(folder) => folder.remove(hash).await,
            Self::Bucket(bucket) => bucket.remove(hash).await,
        }
    }

    /// Lists what has been there for longer than `age`, of the 256th part of all hashes that begins with `first`.
    pub(crate) async fn list_old(
        &self,
        first: u8,
        now: SystemTime,
        age: Duration,
    ) -> io::Result<Vec<String>> {
        let prefix = format!("{first:02x}");
        match self {
            Self::Folder(folder) => folder.list_old(&prefix, now, age).await,
            Self::Bucket(bucket) => bucket.list_old(&prefix, now, age).await,
        }
    }
}

impl Writing {
    /// Appends bytes.
    pub(crate) async fn append(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.hasher.update(&bytes);
        self.written_bytes += bytes.len() as u64;
        match &mut self.target {
            Target::Folder(part) => part.append(&bytes).await,
            Target::Bucket(part) => part.append(bytes).await,
        }
    }

    /// Puts the artifact in its place if the content has the hash; returns whether it had.
    pub(crate) async fn finish(self, hash: &[u8]) -> io::Result<bool> {
        if self.hasher.clone().finalize().as_slice() != hash {
            self.discard().await;
            return Ok(false);
        }
        #[cfg(feature = "interleave")]
        gauntlet_pg::step::stop(crate::interleave::PUT).await;
        match self.target {
            Target::Folder(part) => part.finish().await?,
            Target::Bucket(part) => part.finish().await?,
        }
        Ok(true)
    }

    /// Gives the artifact up.
    pub(crate) async fn discard(self) {
        match self.target {
            Target::Folder(part) => part.discard().await,
            Target::Bucket(part) => part.discard().await,
        }
    }
}

impl Reading {
    /// Returns the next piece; none at the end.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(pieces) => pieces.next().await,
            Self::Bucket(pieces) => pieces.next().await,
        }
    }
}

/// Returns where content is kept.
fn key(hash: &str) -> String {
    format!("{}/{hash}", hash.get(..2).unwrap_or("xx"))
}

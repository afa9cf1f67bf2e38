//! Artifacts by content in a folder: `<two hex digits>/<hash>`.
//!
//! Written beside, in `parts/<process>/`, and renamed after a flush, so that a file under its hash is whole. Processes may
//! share the folder. A crash leaves half an upload, which a later start of any of them removes once it is old.

use gauntlet_runtime::{Clock, ids};
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

/// Age at which half an upload belongs to nobody: no upload takes that long between two pieces.
const PART_AGE_MAX: Duration = Duration::from_secs(3_600);

/// The folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    folder: PathBuf,
    /// Uploads of this process.
    parts: PathBuf,
}

/// An artifact being written.
pub(crate) struct Writing {
    file: File,
    part: PathBuf,
    target: PathBuf,
    hasher: Sha256,
    pub(crate) written_bytes: u64,
}

impl Artifacts {
    /// Opens the folder, making it when missing, and removes what crashes left half written long ago.
    pub(crate) async fn open(folder: &Path, clock: &Clock) -> io::Result<Self> {
        let all_parts = folder.join("parts");
        let parts = all_parts.join(ids::v4().to_string());
        fs::create_dir_all(&parts).await?;
        let now = SystemTime::from(clock.now());
        let mut processes = fs::read_dir(&all_parts).await?;
        while let Some(process) = processes.next_entry().await? {
            if process.path() != parts {
                sweep(&process.path(), now).await?;
            }
        }
        Ok(Self { folder: folder.to_owned(), parts })
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.folder.join(hash.get(..2).unwrap_or("xx")).join(hash)
    }

    /// Starts writing an artifact; `unique` names the part file.
    pub(crate) async fn write(&self, hash: &str, unique: &str) -> io::Result<Writing> {
        // Another process may have swept the folder away while it was empty.
        fs::create_dir_all(&self.parts).await?;
        let part = self.parts.join(unique);
        let file = File::create(&part).await?;
        Ok(Writing { file, part, target: self.path(hash), hasher: Sha256::new(), written_bytes: 0 })
    }

    /// Opens an artifact for reading.
    pub(crate) async fn read(&self, hash: &str) -> io::Result<File> {
        File::open(self.path(hash)).await
    }
}

/// Removes old parts of another process, and its folder once that is empty.
async fn sweep(process: &Path, now: SystemTime) -> io::Result<()> {
    let Ok(mut parts) = fs::read_dir(process).await else { return Ok(()) };
    while let Some(part) = parts.next_entry().await? {
        // What cannot be looked at has just been finished or removed by its owner.
        let Ok(modified) = part.metadata().await.and_then(|of| of.modified()) else { continue };
        if now.duration_since(modified).is_ok_and(|age| age > PART_AGE_MAX) {
            let _ = fs::remove_file(part.path()).await;
        }
    }
    // Refused while something is in it.
    let _ = fs::remove_dir(process).await;
    Ok(())
}

impl Writing {
    /// Appends bytes.
    pub(crate) async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.written_bytes += bytes.len() as u64;
        self.file.write_all(bytes).await
    }

    /// Flushes and puts the artifact in its place if the content has the hash; returns whether it had.
    pub(crate) async fn finish(mut self, hash: &[u8]) -> io::Result<bool> {
        if self.hasher.clone().finalize().as_slice() != hash {
            self.discard().await;
            return Ok(false);
        }
        self.file.flush().await?;
        self.file.sync_all().await?;
        if let Some(folder) = self.target.parent() {
            fs::create_dir_all(folder).await?;
        }
        fs::rename(&self.part, &self.target).await?;
        Ok(true)
    }

    /// Gives the artifact up.
    pub(crate) async fn discard(self) {
        // What cannot be removed now is removed when it is old.
        let _ = fs::remove_file(&self.part).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Sha256;

    async fn begin(artifacts: &Artifacts) -> (Writing, Vec<u8>, String) {
        let hash = Sha256::digest(b"content").to_vec();
        let hex = gauntlet_proto::edge::hex(&hash);
        let mut writing = artifacts.write(&hex, "one.part").await.unwrap();
        writing.append(b"content").await.unwrap();
        (writing, hash, hex)
    }

    #[tokio::test]
    async fn a_process_that_starts_leaves_the_uploads_of_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Artifacts::open(folder.path(), &Clock::system()).await.unwrap();
        let (writing, hash, hex) = begin(&first).await;
        let second = Artifacts::open(folder.path(), &Clock::system()).await.unwrap();
        assert!(writing.finish(&hash).await.unwrap());
        assert!(second.read(&hex).await.is_ok());
        // The folder of the first is empty now, and the third sweeps it: the first writes on.
        Artifacts::open(folder.path(), &Clock::system()).await.unwrap();
        begin(&first).await;
    }

    #[tokio::test]
    async fn half_an_upload_is_removed_once_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let crashed = Artifacts::open(folder.path(), &Clock::system()).await.unwrap();
        let (writing, ..) = begin(&crashed).await;
        let part = writing.part.clone();
        let file = writing.file.into_std().await;
        let old = SystemTime::from(Clock::system().now()) - PART_AGE_MAX - Duration::from_secs(60);
        file.set_modified(old).unwrap();
        Artifacts::open(folder.path(), &Clock::system()).await.unwrap();
        assert!(!part.exists() && !crashed.parts.exists());
    }
}

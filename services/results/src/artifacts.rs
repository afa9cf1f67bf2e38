//! Artifacts by content in a folder: `<two hex digits>/<hash>`.
//!
//! Written beside and renamed after a flush, so that a file under its hash is whole. A crash leaves at most a file that
//! ends in `.part`, which the next start removes.

use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

/// The folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    folder: PathBuf,
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
    /// Opens the folder, making it when missing, and removes what a crash left half written.
    pub(crate) async fn open(folder: &Path) -> io::Result<Self> {
        let parts = folder.join("parts");
        match fs::remove_dir_all(&parts).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&parts).await?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.folder.join(hash.get(..2).unwrap_or("xx")).join(hash)
    }

    /// Starts writing an artifact; `unique` names the part file.
    pub(crate) async fn write(&self, hash: &str, unique: &str) -> io::Result<Writing> {
        let part = self.folder.join("parts").join(unique);
        let file = File::create(&part).await?;
        Ok(Writing { file, part, target: self.path(hash), hasher: Sha256::new(), written_bytes: 0 })
    }

    /// Opens an artifact for reading.
    pub(crate) async fn read(&self, hash: &str) -> io::Result<File> {
        File::open(self.path(hash)).await
    }
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
        // What cannot be removed now is removed at the next start.
        let _ = fs::remove_file(&self.part).await;
    }
}

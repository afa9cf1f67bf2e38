//! Artifacts in a folder.
//!
//! Written beside, in `parts/<process>/`, and renamed after a flush, so that a file under its hash is whole. A crash leaves
//! half an upload, which a later start of any process removes once it is old.

use super::key;
use gauntlet_runtime::{Clock, ids};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Age at which half an upload belongs to nobody: no upload takes that long between two pieces.
const PART_AGE_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of one piece when reading.
const PIECE_BYTES: usize = 256 * 1024;

/// The folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    folder: PathBuf,
    /// Uploads of this process.
    parts: PathBuf,
}

/// A file being written.
pub(crate) struct Part {
    file: File,
    part: PathBuf,
    target: PathBuf,
}

/// A file being read.
pub(crate) struct Pieces(File);

impl Folder {
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
        self.folder.join(key(hash))
    }

    pub(super) async fn write(&self, hash: &str) -> io::Result<Part> {
        // Another process may have swept the folder away while it was empty.
        fs::create_dir_all(&self.parts).await?;
        let part = self.parts.join(format!("{hash}-{}.part", ids::v4()));
        Ok(Part { file: File::create(&part).await?, part, target: self.path(hash) })
    }

    pub(super) async fn read(&self, hash: &str) -> io::Result<Pieces> {
        File::open(self.path(hash)).await.map(Pieces)
    }

    pub(super) async fn remove(&self, hash: &str) -> io::Result<()> {
        match fs::remove_file(self.path(hash)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn list_old(
        &self,
        prefix: &str,
        now: SystemTime,
        age: Duration,
    ) -> io::Result<Vec<String>> {
        let mut old = Vec::new();
        let mut files = match fs::read_dir(self.folder.join(prefix)).await {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(old),
            Err(error) => return Err(error),
        };
        while let Some(file) = files.next_entry().await? {
            // What cannot be looked at has just been removed.
            let Ok(modified) = file.metadata().await.and_then(|of| of.modified()) else { continue };
            if now.duration_since(modified).is_ok_and(|its| its > age) {
                old.extend(file.file_name().into_string());
            }
        }
        Ok(old)
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

impl Part {
    pub(super) async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    pub(super) async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        if let Some(folder) = self.target.parent() {
            fs::create_dir_all(folder).await?;
        }
        fs::rename(&self.part, &self.target).await
    }

    pub(super) async fn discard(self) {
        // What cannot be removed now is removed when it is old.
        let _ = fs::remove_file(&self.part).await;
    }
}

impl Pieces {
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = vec![0; PIECE_BYTES];
        let count = self.0.read(&mut piece).await?;
        piece.truncate(count);
        Ok((count > 0).then_some(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn begin(folder: &Folder) -> Part {
        let mut part = folder.write("abcd").await.unwrap();
        part.append(b"content").await.unwrap();
        part
    }

    #[tokio::test]
    async fn a_process_that_starts_leaves_the_uploads_of_others_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::open(dir.path(), &Clock::system()).await.unwrap();
        let part = begin(&first).await;
        let second = Folder::open(dir.path(), &Clock::system()).await.unwrap();
        part.finish().await.unwrap();
        assert!(second.read("abcd").await.is_ok());
        // The folder of the first is empty now, and the third sweeps it: the first writes on.
        Folder::open(dir.path(), &Clock::system()).await.unwrap();
        begin(&first).await;
    }

    #[tokio::test]
    async fn half_an_upload_is_removed_once_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let crashed = Folder::open(dir.path(), &Clock::system()).await.unwrap();
        let part = begin(&crashed).await;
        let file = part.file.into_std().await;
        let old = SystemTime::from(Clock::system().now()) - PART_AGE_MAX - Duration::from_secs(60);
        file.set_modified(old).unwrap();
        Folder::open(dir.path(), &Clock::system()).await.unwrap();
        assert!(!part.part.exists() && !crashed.parts.exists());
    }
}

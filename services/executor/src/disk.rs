//! Room on this machine's disk for what attempts leave, until results has it.
//!
//! Owns a folder of this process, with a folder for each attempt in it, and a count of the bytes that wait for delivery.
//! Whatever ends, ends with its files: an attempt's folder goes when its last artifact is delivered or given up, the process's
//! when the executor stops. After a crash the next start of an executor on this machine removes it. Nothing in it counts:
//! what is lost with it is artifacts, never a result.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the folder is called, between the prefix of all that is swept and the process's id.
const NAME: &str = "artifacts";

/// The room of one executor.
#[derive(Debug)]
pub(crate) struct Disk {
    parent: PathBuf,
    /// Made for the first attempt that leaves something.
    folder: Mutex<Option<PathBuf>>,
    next: AtomicU64,
    room: Arc<Semaphore>,
}

/// A share of the room.
pub(crate) type Room = OwnedSemaphorePermit;

/// The folder of one attempt; removed with the value.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a folder of artifacts stays behind");
        }
    }
}

impl Disk {
    /// Returns room for `mib_max` MiB of artifacts below `parent`.
    pub(crate) fn new(parent: PathBuf, mib_max: u32) -> Self {
        let kib_max = mib_max as usize * 1024;
        Self {
            parent,
            folder: Mutex::default(),
            next: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(kib_max)),
        }
    }

    /// Makes an empty folder for an attempt.
    pub(crate) fn folder(&self) -> io::Result<Folder> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let own = match &*folder {
            Some(own) => own.clone(),
            None => {
                fs::create_dir_all(&self.parent)?;
                let own = gauntlet_browser::make_owned_folder(&self.parent, NAME)?;
                folder.insert(own).clone()
            }
        };
        let attempt = own.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&attempt)?;
        Ok(Folder(attempt))
    }

    /// Returns room for an artifact that waits for its delivery; none when the disk has its share.
    pub(crate) fn room(&self, bytes: u64) -> Option<Room> {
        let kib = u32::try_from(bytes / 1024 + 1).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(kib).ok()
    }

    /// Removes what dead executors left.
    pub(crate) fn sweep(&self) {
        let report = gauntlet_browser::sweep_stale(&self.parent);
        if report.profiles_removed > 0 {
            tracing::warn!(
                folders = report.profiles_removed,
                "cleared artifacts of dead executors"
            );
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let folder = self.folder.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = folder.take() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_room_is_bounded_and_comes_back_and_files_go_with_their_owner() {
        let parent = tempfile::tempdir().unwrap();
        let disk = Disk::new(parent.path().join("deep"), 1);
        let first = disk.room(700 * 1024).unwrap();
        assert!(disk.room(700 * 1024).is_none());
        drop(first);
        assert!(disk.room(700 * 1024).is_some());
        let (one, two) = (disk.folder().unwrap(), disk.folder().unwrap());
        fs::write(one.path().join("a.png"), "a").unwrap();
        assert_ne!(one.path(), two.path());
        let (gone, own) = (one.path().to_owned(), two.path().parent().unwrap().to_owned());
        drop(one);
        assert!(!gone.exists() && two.path().exists());
        let dead = gauntlet_browser::make_owned_folder(&parent.path().join("deep"), NAME).unwrap();
        fs::create_dir(dead.join("0")).unwrap();
        // No process has the number: the kernel gives none above.
        fs::write(dead.join("owner"), "4194305 1").unwrap();
        disk.sweep();
        assert!(own.exists(), "its owner lives");
        assert!(!dead.exists(), "its owner is dead");
        drop(two);
        drop(disk);
        assert!(!own.exists());
    }
}

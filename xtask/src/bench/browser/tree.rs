//! What a tree of processes has cost: processor time, and the largest memory.
//!
//! Memory is the proportional set size: a page that several processes share counts once over all of them.

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Pause between two looks at the memory: each look costs the kernel some milliseconds for each process.
const LOOK_PAUSE: Duration = Duration::from_millis(700);

/// Returns `root` and every process below it, without those below `except`.
pub(super) fn tree(root: u32, except: Option<u32>) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some((pid, fields)) = pid.and_then(|pid| Some((pid, stat(pid)?))) {
            children.entry(fields[1] as u32).or_default().push(pid);
        }
    }
    let (mut found, mut at) = (vec![root], 0);
    while let Some(pid) = found.get(at).copied() {
        let below = children.get(&pid).into_iter().flatten().filter(|pid| Some(**pid) != except);
        found.extend(below);
        at += 1;
    }
    found
}

/// Returns the fields of `stat` after the name; those that are no numbers are 0.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets; the fields after its last bracket do not.
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(|field| field.trim().parse().unwrap_or_default()).collect())
}

/// Returns the processor time of a tree in seconds, with that of its processes that have ended and were waited for.
pub(super) fn cpu_s(root: u32, except: Option<u32>) -> f64 {
    let ticks: u64 = tree(root, except)
        .into_iter()
        .filter_map(stat)
        .map(|fields| fields.get(11..15).map_or(0, |times| times.iter().sum()))
        .sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// While it lives, processes below this one whose parent dies come to this one: else what they have cost would be lost.
pub(super) struct Orphanage(());

impl Orphanage {
    pub(super) fn open() -> rustix::io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self(()))
    }
}

impl Drop for Orphanage {
    fn drop(&mut self) {
        let _ = set_child_subreaper(None);
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
}

fn pss_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib: Option<u64> = pss.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.unwrap_or_default() * 1_024
}

/// Looks at a tree's memory until it is asked.
pub(super) struct Watch {
    peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn begin(root: u32, except: Option<u32>) -> Self {
        let (peak, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, ends) = (Arc::clone(&peak), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let bytes = tree(root, except).into_iter().map(pss_bytes).sum();
                seen.fetch_max(bytes, Ordering::Relaxed);
                std::thread::park_timeout(LOOK_PAUSE);
            }
        });
        Self { peak, over, thread: Some(thread) }
    }

    /// Returns the largest memory that was seen, in MiB.
    pub(super) fn peak_mib(mut self) -> f64 {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        self.peak.load(Ordering::Relaxed) as f64 / f64::from(1 << 20)
    }
}

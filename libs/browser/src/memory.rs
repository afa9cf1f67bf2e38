//! How much memory a tree of processes takes: proportional set size, where shared pages count once over all that share them.

use std::fs;

use crate::supervise::descendants;

/// Returns the proportional set size of every process below `root`, in bytes; what has gone meanwhile counts nothing.
pub(crate) fn bytes_below(root: u32) -> u64 {
    let Ok(root) = i32::try_from(root) else { return 0 };
    descendants(root).into_iter().map(|pid| kib_of(pid) * 1_024).sum()
}

fn kib_of(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    pss.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

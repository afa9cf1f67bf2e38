//! At which ports a tree of processes listens: drivers and browsers open more of them than they tell.

use std::{collections::HashSet, fs};

use crate::supervise::descendants;

/// State of a socket that listens, in the kernel's tables.
const LISTENS: &str = "0A";

/// Returns the TCP ports at which a process below `root` listens.
pub(super) fn ports_below(root: u32) -> Vec<u16> {
    let Ok(root) = i32::try_from(root) else { return Vec::new() };
    let sockets: HashSet<String> = descendants(root).into_iter().flat_map(sockets_of).collect();
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/net/{name}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    lines.filter_map(|line| listening(line, &sockets)).collect()
}

/// Returns the inodes of the sockets of a process.
fn sockets_of(pid: i32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = files.filter_map(|file| fs::read_link(file.path()).ok());
    links
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect()
}

/// Reads a line of a table: its port, if it is of a socket of these that listens.
fn listening(line: &str, sockets: &HashSet<String>) -> Option<u16> {
    let columns: Vec<_> = line.split_whitespace().collect();
    let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
    if *state != LISTENS || !sockets.contains(*inode) {
        return None;
    }
    u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
}

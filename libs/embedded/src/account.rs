//! Who runs the servers: we ourselves, or, when we are root, an unprivileged account.
//!
//! Postgres refuses to run as root, and nothing here needs root. The account is looked up in
//! `/etc/passwd` only: a directory service has no say in who runs an embedded server.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::EmbeddedError;

/// The accounts tried in turn when we are root.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The account that runs the servers; `None` inside means "as ourselves".
#[derive(Debug, Clone)]
pub(crate) struct Account(Option<Unprivileged>);

#[derive(Debug, Clone)]
struct Unprivileged {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Chooses the account: ourselves if not root, else the owner of `existing` data, else the first
    /// candidate that exists.
    pub(crate) fn choose(existing: &Path) -> Result<Self, EmbeddedError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        // Data made by a normal user stays theirs, so that `sudo gauntlet up` locks nobody out.
        if let Ok(meta) = fs::metadata(existing)
            && meta.uid() != 0
        {
            let name = format!("#{}", meta.uid());
            return Ok(Self(Some(Unprivileged { name, uid: meta.uid(), gid: meta.gid() })));
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        CANDIDATES
            .iter()
            .find_map(|name| lookup(&passwd, name))
            .map(|found| Self(Some(found)))
            .ok_or(EmbeddedError::NoAccount)
    }

    /// Makes `command` run as this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Some(account) = &self.0 {
            command.uid(account.uid).gid(account.gid);
        }
    }

    /// Gives a file or folder to this account.
    pub(crate) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        match &self.0 {
            None => Ok(()),
            Some(account) => chown(path, Some(account.uid), Some(account.gid))
                .map_err(EmbeddedError::folder("change the owner of", path)),
        }
    }

    /// Gives only the group of a folder to this account, for the right to pass through it.
    pub(crate) fn give_group(&self, path: &Path) -> Result<(), EmbeddedError> {
        match &self.0 {
            None => Ok(()),
            Some(account) => chown(path, None, Some(account.gid))
                .map_err(EmbeddedError::folder("change the group of", path)),
        }
    }

    /// Checks that this account can reach `folder` from the root of the file system.
    pub(crate) fn check_reach(&self, folder: &Path) -> Result<(), EmbeddedError> {
        let Some(account) = &self.0 else { return Ok(()) };
        let parents: Vec<&Path> = folder.ancestors().skip(1).collect();
        for parent in parents.into_iter().rev() {
            let meta = fs::metadata(parent).map_err(EmbeddedError::folder("look at", parent))?;
            let bit = if meta.uid() == account.uid {
                0o100
            } else if meta.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            if meta.mode() & bit == 0 {
                return Err(EmbeddedError::NotTraversable {
                    folder: folder.to_owned(),
                    blocked_at: parent.to_owned(),
                    account: account.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Finds one account in the text of `/etc/passwd`; never root.
fn lookup(passwd: &str, name: &str) -> Option<Unprivileged> {
    let fields = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))?;
    let uid = fields.get(2)?.parse().ok().filter(|uid| *uid != 0)?;
    let gid = fields.get(3)?.parse().ok()?;
    Some(Unprivileged { name: name.to_owned(), uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104::/:/bin/sh\n";

    #[test]
    fn an_account_is_found_by_its_whole_name_only() {
        assert_eq!(lookup(PASSWD, "postgres").map(|a| (a.uid, a.gid)), Some((101, 104)));
        assert!(lookup(PASSWD, "postgre").is_none());
    }

    #[test]
    fn root_is_never_chosen() {
        assert!(lookup(PASSWD, "root").is_none());
    }
}

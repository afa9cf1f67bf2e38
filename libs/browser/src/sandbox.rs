//! Whether browsers can have their sandbox (G9). Kernel, container and package all have a say, so Chromium is asked itself.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::{BrowserConfig, Programs, sweep};

/// How long a browser may take to show an empty page.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What has Chromium show an empty page and exit.
const EMPTY_PAGE: [&str; 5] =
    ["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom", "about:blank"];

/// Tells why Chromium cannot have its sandbox here: because we are root, or because it starts only without. Where it does not
/// start at all, something else is wrong, and the sandbox stays on.
///
/// # Errors
/// The reason, for people.
///
/// # Cancel safety
/// Dropping the future kills what was started.
pub async fn probe_sandbox(config: &BrowserConfig) -> Result<(), &'static str> {
    if !crate::sandbox_possible() {
        return Err("Chromium refuses it to root");
    }
    match Programs::find(config) {
        Ok(programs) => probe(config, &programs.browser).await,
        Err(_) => Ok(()),
    }
}

async fn probe(config: &BrowserConfig, browser: &Path) -> Result<(), &'static str> {
    if starts(config, browser, None).await || !starts(config, browser, Some("--no-sandbox")).await {
        return Ok(());
    }
    Err("Chromium starts only without it: user namespaces may be forbidden here")
}

/// Tells whether the browser shows an empty page.
async fn starts(config: &BrowserConfig, browser: &Path, flag: Option<&str>) -> bool {
    let folder = sweep::make_owned_folder(&config.temp_dir, &config.marker);
    let (Ok(folder), Some((supervisor, prefix))) = (folder, config.supervisor.split_first()) else {
        return false;
    };
    let mut command = Command::new(supervisor);
    command.args(prefix).arg("--remove").arg(&folder).arg("--").arg(browser);
    command
        .args(EMPTY_PAGE)
        .args(flag)
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let Ok(mut child) = command.spawn() else { return false };
    // The life line: waiting for the child would close it.
    let life_line = child.stdin.take();
    let ended = timeout(START_LIMIT, child.wait()).await;
    drop(life_line);
    ended.is_ok_and(|status| status.is_ok_and(|status| status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::OsString, os::unix::fs::PermissionsExt as _};

    /// Probes a browser that is a shell script.
    async fn probed(script: &str) -> Result<(), &'static str> {
        let folder = tempfile::tempdir().unwrap();
        let executable = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        // Stands for the supervisor: removes the folder, and does as its program does.
        let supervisor = executable("supervisor", "rm -r \"$2\"; shift 3; exec \"$@\"");
        let browser = executable("browser", script);
        let mut config = BrowserConfig::new(vec![OsString::from(supervisor)], "probe");
        config.temp_dir = folder.path().to_owned();
        let probed = probe(&config, &browser).await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a folder is left");
        probed
    }

    #[tokio::test]
    async fn g9_the_sandbox_is_off_only_where_chromium_starts_without_it_alone() {
        assert_eq!(probed("exit 0").await, Ok(()));
        assert_eq!(probed("exit 1").await, Ok(()), "something else is wrong");
        let needs = "case \"$*\" in *--no-sandbox*) exit 0;; esac; exit 133";
        assert!(probed(needs).await.is_err());
    }
}

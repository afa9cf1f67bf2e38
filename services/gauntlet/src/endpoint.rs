//! Where a running mesh is: what `gauntlet up` writes into its data folder and the other commands read.
//!
//! The file is a hint. It outlives a killed `up`, so a reader asks the gateway before it believes it.

use crate::client::Mesh;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Default port of the gateway.
pub(crate) const GATEWAY_PORT: u16 = 7430;
/// The data folder when nothing else is said.
pub(crate) const DATA_DIR: &str = ".gauntlet";
const FILE: &str = "endpoints.json";

/// The endpoints of a mesh in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    /// The process.
    pub(crate) pid: u32,
    /// Its version.
    pub(crate) version: String,
    /// Where clients connect.
    pub(crate) gateway: String,
    /// The demo site, if it runs too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) demo: Option<String>,
    /// The services behind the gateway, for debugging.
    #[serde(default)]
    pub(crate) services: BTreeMap<String, String>,
}

impl Endpoints {
    /// Writes the file into the data folder; readers see the old one or the new one, never half of it.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<(), Failure> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::infrastructure(&format!("cannot write {}", file(data_dir).display()), error)
        };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(&error))?;
        let staged = data_dir.join(format!("{FILE}.new"));
        std::fs::write(&staged, text + "\n").map_err(|error| failed(&error))?;
        std::fs::rename(&staged, file(data_dir)).map_err(|error| failed(&error))
    }

    /// Removes the file; a file that is gone already is as good.
    pub(crate) fn remove(data_dir: &Path) {
        let _ = std::fs::remove_file(file(data_dir));
    }

    fn read(data_dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(file(data_dir)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Returns the mesh that `server` names, or the one that runs on `data_dir`; none when nothing was named and nothing runs.
pub(crate) async fn find(server: Option<&str>, data_dir: &Path) -> Result<Option<Mesh>, Failure> {
    if let Some(server) = server.filter(|server| !server.is_empty()) {
        return Mesh::connect(&normal(server)).map(Some);
    }
    let Some(endpoints) = Endpoints::read(data_dir) else { return Ok(None) };
    let mesh = Mesh::connect(&endpoints.gateway)?;
    Ok(if mesh.answers().await { Some(mesh) } else { None })
}

/// Returns the mesh as [`find`] does; none is a failure that says what to do.
pub(crate) async fn require(server: Option<&str>, data_dir: &Path) -> Result<Mesh, Failure> {
    find(server, data_dir).await?.ok_or_else(|| {
        Failure::Infrastructure(format!(
            "no mesh runs on {}; start one with `gauntlet up`, or name one with --server URL",
            data_dir.display()
        ))
    })
}

/// Returns the server as a URL: `127.0.0.1:7430` is taken as `http://127.0.0.1:7430`.
fn normal(server: &str) -> String {
    if server.contains("://") { server.to_owned() } else { format!("http://{server}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_come_back_as_written_and_are_gone_when_removed() {
        let folder = tempfile::tempdir().unwrap();
        let written = Endpoints {
            pid: 7,
            version: "0.1.0".to_owned(),
            gateway: "http://127.0.0.1:7430".to_owned(),
            demo: None,
            services: BTreeMap::from([("results".to_owned(), "http://127.0.0.1:1".to_owned())]),
        };
        written.write(folder.path()).unwrap();
        assert_eq!(Endpoints::read(folder.path()), Some(written));
        Endpoints::remove(folder.path());
        assert_eq!(Endpoints::read(folder.path()), None);
    }

    #[tokio::test]
    async fn a_stale_file_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let port = gauntlet_embedded::free_port().unwrap();
        let stale = Endpoints {
            pid: 1,
            version: String::new(),
            gateway: format!("http://127.0.0.1:{port}"),
            demo: None,
            services: BTreeMap::new(),
        };
        stale.write(folder.path()).unwrap();
        assert!(find(None, folder.path()).await.unwrap().is_none());
        let text = require(None, folder.path()).await.unwrap_err().to_string();
        assert!(text.contains("gauntlet up"), "{text}");
    }

    #[test]
    fn a_bare_address_is_taken_as_http() {
        assert_eq!(normal("127.0.0.1:7430"), "http://127.0.0.1:7430");
        assert_eq!(normal("https://mesh.example"), "https://mesh.example");
    }
}

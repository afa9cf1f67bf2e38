//! Finds the server programs: PATH first for Redis, every known place for Postgres.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::EmbeddedConfig;
use crate::error::EmbeddedError;

/// Where Linux packages put each major version of Postgres, outside PATH.
const POSTGRES_HOMES: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/pgsql"];

/// The programs of one start.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) postgres: PathBuf,
    pub(crate) initdb: PathBuf,
    pub(crate) redis_server: PathBuf,
}

/// One installed Postgres.
struct Installed {
    major: u32,
    bin: PathBuf,
}

/// Finds the programs; `data` is the Postgres folder, whose version decides if it exists.
pub(crate) fn find(config: &EmbeddedConfig, data: &Path) -> Result<Programs, EmbeddedError> {
    let dirs = config.search_dirs.clone().unwrap_or_else(known_dirs);
    let missing = |program| EmbeddedError::MissingProgram {
        program,
        searched: dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(":"),
    };
    let redis_server = dirs
        .iter()
        .map(|dir| dir.join("redis-server"))
        .find(|path| path.is_file())
        .ok_or_else(|| missing("redis-server"))?;
    let mut installed: Vec<_> = dirs.iter().filter_map(|dir| installed_in(dir)).collect();
    installed.sort_by_key(|found| std::cmp::Reverse(found.major));
    let newest = installed.first().ok_or_else(|| missing("postgres"))?;
    let chosen = match data_major(data)? {
        None => newest,
        Some(major) => installed
            .iter()
            .find(|found| found.major.to_string() == major)
            .ok_or_else(|| wrong_major(data, major, &installed))?,
    };
    Ok(Programs {
        postgres: chosen.bin.join("postgres"),
        initdb: chosen.bin.join("initdb"),
        redis_server,
    })
}

/// Returns the major version that wrote the folder, or `None` if it holds no data.
fn data_major(data: &Path) -> Result<Option<String>, EmbeddedError> {
    let file = data.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::folder("read", file)(error)),
    }
}

fn wrong_major(data: &Path, data_major: String, installed: &[Installed]) -> EmbeddedError {
    let mut found: Vec<_> = installed.iter().map(|one| one.major.to_string()).collect();
    found.dedup();
    EmbeddedError::WrongMajor { folder: data.to_owned(), data_major, found: found.join(", ") }
}

fn known_dirs() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    for home in POSTGRES_HOMES {
        dirs.push(Path::new(home).join("bin"));
        let majors = fs::read_dir(home).into_iter().flatten().flatten();
        dirs.extend(majors.map(|entry| entry.path().join("bin")));
    }
    dirs
}

/// Returns the Postgres in `dir`, if both its server and its initdb are there.
fn installed_in(dir: &Path) -> Option<Installed> {
    let postgres = dir.join("postgres");
    if !postgres.is_file() || !dir.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(&postgres).arg("--version").output().ok()?;
    let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
    Some(Installed { major, bin: dir.to_owned() })
}

/// Reads the major version from `postgres (PostgreSQL) 15.18 (Debian …)`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split(") ").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_form_of_the_version_line() {
        for (line, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15),
            ("postgres (PostgreSQL) 18beta1\n", 18),
            ("postgres (PostgreSQL) 17.0", 17),
        ] {
            assert_eq!(parse_major(line), Some(major), "{line}");
        }
        assert_eq!(parse_major("nonsense"), None);
    }
}

//! Settings of results. The only reader of its flags and environment.

use crate::artifacts::BucketSettings;
use gauntlet_core::limits::RUN_ARTIFACT_BYTES_MAX;
use gauntlet_pg::{PgArgs, PgConfig};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long artifacts are kept unless it is said.
const ARTIFACTS_DAYS: u16 = 30;

/// Flags of `gauntlet serve results`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Address to serve gRPC on.
    #[arg(long, env = "GAUNTLET_RESULTS_LISTEN", default_value = "127.0.0.1:7002")]
    listen: SocketAddr,
    /// Where the scheduler is.
    #[arg(long, env = "GAUNTLET_RESULTS_SCHEDULER", default_value = "http://127.0.0.1:7001")]
    scheduler: String,
    /// Folder for artifacts; made when missing.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_DIR", default_value = "artifacts")]
    artifacts_dir: PathBuf,
    /// Bucket for artifacts instead of a folder, such as s3://bucket/prefix.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_BUCKET", value_name = "URL")]
    artifacts_bucket: Option<Url>,
    /// Where the bucket's service is, if it is not Amazon's.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_ENDPOINT", value_name = "URL")]
    artifacts_endpoint: Option<Url>,
    /// The bucket's region.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_REGION", default_value = "us-east-1")]
    artifacts_region: String,
    /// File with access key and secret key, a line each; without it the identity of the machine is used.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_CREDENTIALS_FILE", value_name = "FILE")]
    artifacts_credentials_file: Option<PathBuf>,
    /// Artifacts that one run may keep, in MiB.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_RUN_MIB", default_value_t = RUN_ARTIFACT_BYTES_MAX / MIB,
          value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    artifacts_run_mib: u64,
    /// How long artifacts are kept, in days after their run was admitted.
    #[arg(long, env = "GAUNTLET_RESULTS_ARTIFACTS_DAYS", default_value_t = ARTIFACTS_DAYS,
          value_parser = clap::value_parser!(u16).range(1..))]
    artifacts_days: u16,
    #[command(flatten)]
    pg: PgArgs,
}

/// Where artifacts are, how much of them and for how long.
#[derive(Clone)]
pub struct ArtifactsConfig {
    pub(crate) place: Place,
    pub(crate) run_bytes_max: u64,
    pub(crate) keep: Duration,
}

#[derive(Clone)]
pub(crate) enum Place {
    Folder(PathBuf),
    Bucket(BucketSettings),
}

impl ArtifactsConfig {
    /// Returns a folder with the default limits.
    #[must_use]
    pub fn folder(folder: PathBuf) -> Self {
        Self {
            place: Place::Folder(folder),
            run_bytes_max: RUN_ARTIFACT_BYTES_MAX,
            keep: DAY * u32::from(ARTIFACTS_DAYS),
        }
    }
}

/// Validated settings.
#[derive(Clone)]
pub struct Config {
    /// Where to serve gRPC.
    pub listen: SocketAddr,
    /// The scheduler's endpoint.
    pub scheduler: String,
    /// Artifacts.
    pub artifacts: ArtifactsConfig,
    /// The database.
    pub pg: PgConfig,
}

/// What is wrong with the flags.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The database settings.
    #[error("the database settings are wrong")]
    Pg(#[source] gauntlet_pg::ConfigError),
    /// The bucket.
    #[error("--artifacts-bucket must be like s3://bucket or s3://bucket/prefix")]
    Bucket,
    /// The file with its keys.
    #[error("--artifacts-credentials-file cannot be read")]
    Credentials(#[source] io::Error),
    /// What is in that file.
    #[error("--artifacts-credentials-file must hold an access key and a secret key, a line each")]
    Keys,
}

impl Args {
    /// Returns the validated settings.
    ///
    /// # Errors
    /// When the database's URL is missing or malformed, or the bucket's settings are.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let place = match &self.artifacts_bucket {
            None => Place::Folder(self.artifacts_dir.clone()),
            Some(url) => Place::Bucket(self.bucket(url)?),
        };
        Ok(Config {
            listen: self.listen,
            scheduler: self.scheduler.clone(),
            artifacts: ArtifactsConfig {
                place,
                run_bytes_max: self.artifacts_run_mib * MIB,
                keep: DAY * u32::from(self.artifacts_days),
            },
            pg: self.pg.config().map_err(ConfigError::Pg)?,
        })
    }

    fn bucket(&self, url: &Url) -> Result<BucketSettings, ConfigError> {
        let bucket = url.host_str().filter(|_| url.scheme() == "s3").ok_or(ConfigError::Bucket)?;
        let endpoint = self.artifacts_endpoint.as_ref();
        Ok(BucketSettings {
            bucket: bucket.to_owned(),
            endpoint: endpoint.map(|endpoint| endpoint.as_str().trim_end_matches('/').to_owned()),
            region: self.artifacts_region.clone(),
            credentials: self.artifacts_credentials_file.as_deref().map(keys).transpose()?,
            prefix: url.path().trim_matches('/').to_owned(),
        })
    }
}

fn keys(file: &Path) -> Result<(String, String), ConfigError> {
    let text = std::fs::read_to_string(file).map_err(ConfigError::Credentials)?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [key, secret] => Ok(((*key).to_owned(), (*secret).to_owned())),
        _ => Err(ConfigError::Keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn config(flags: &[&str]) -> Result<Config, ConfigError> {
        let always = ["x", "--pg-url", "postgres://u@localhost/d"];
        Program::parse_from(always.iter().chain(flags)).args.config()
    }

    #[test]
    fn g6_a_bucket_is_read_with_its_prefix_and_its_keys_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, "key\nsecret\n").unwrap();
        let path = file.display().to_string();
        let bucket =
            ["--artifacts-bucket", "s3://bucket/a/b/", "--artifacts-credentials-file", &path];
        let Place::Bucket(settings) = config(&bucket).unwrap().artifacts.place else { panic!() };
        assert_eq!((settings.bucket.as_str(), settings.prefix.as_str()), ("bucket", "a/b"));
        assert_eq!(settings.credentials, Some(("key".to_owned(), "secret".to_owned())));
        std::fs::write(&file, "key\n").unwrap();
        assert!(matches!(config(&bucket), Err(ConfigError::Keys)));
        assert!(matches!(
            config(&["--artifacts-bucket", "https://bucket"]),
            Err(ConfigError::Bucket)
        ));
        let folder = config(&["--artifacts-run-mib", "5"]).unwrap().artifacts;
        assert!(matches!(folder.place, Place::Folder(_)) && folder.run_bytes_max == 5 * MIB);
    }
}

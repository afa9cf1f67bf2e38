//! Artifacts in a bucket that speaks S3.
//!
//! Small content is one request, larger content a multipart upload that is completed only after its hash was checked, so an
//! object under its hash is whole here, too. Calls are retried and bounded by the client of the store itself.

use super::key;
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt as _;

/// Content up to this size is one request, and larger content is sent in parts of it.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Longest time for one request, and for all its repetitions.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 5;

/// What is needed to reach a bucket.
#[derive(Clone)]
pub(crate) struct BucketSettings {
    pub(crate) bucket: String,
    /// Where a service other than Amazon's is.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    /// Key and secret; without them the identity of the machine is used.
    pub(crate) credentials: Option<(String, String)>,
    /// What keys begin with, so that a bucket can be shared.
    pub(crate) prefix: String,
}

/// The bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// An object being written.
pub(crate) struct Part(BufWriter);

/// An object being read.
pub(crate) struct Pieces(BoxStream<'static, object_store::Result<bytes::Bytes>>);

impl Bucket {
    /// Returns the bucket; nothing is asked of it yet.
    pub(crate) fn open(settings: &BucketSettings) -> io::Result<Self> {
        let BucketSettings { bucket, endpoint, region, credentials, prefix } = settings;
        let retry = RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        };
        let plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(plain);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            // Not every service that speaks S3 has it, and content goes one by one.
            .with_disable_bulk_delete(true)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some((key, secret)) = credentials {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        let store = builder.build().map_err(io::Error::from)?;
        Ok(Self { store: Arc::new(store), prefix: Path::from(prefix.as_str()) })
    }

    fn path(&self, hash: &str) -> Path {
        key(hash).split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(super) fn write(&self, hash: &str) -> Part {
        Part(BufWriter::with_capacity(Arc::clone(&self.store), self.path(hash), PART_BYTES))
    }

    pub(super) async fn read(&self, hash: &str) -> io::Result<Pieces> {
        let found = self.store.get(&self.path(hash)).await?;
        Ok(Pieces(found.into_stream()))
    }

    pub(super) async fn remove(&self, hash: &str) -> io::Result<()> {
        match self.store.delete(&self.path(hash)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn list_old(
        &self,
        prefix: &str,
        now: SystemTime,
        age: Duration,
    ) -> io::Result<Vec<String>> {
        let prefix = self.prefix.clone().join(prefix);
        let mut listed = self.store.list(Some(&prefix));
        let mut old = Vec::new();
        while let Some(object) = listed.next().await {
            let object = object?;
            let modified = SystemTime::from(object.last_modified);
            if now.duration_since(modified).is_ok_and(|its| its > age) {
                old.extend(object.location.filename().map(str::to_owned));
            }
        }
        Ok(old)
    }
}

impl Part {
    pub(super) async fn append(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.0.put(bytes.into()).await.map_err(io::Error::from)
    }

    pub(super) async fn finish(mut self) -> io::Result<()> {
        self.0.shutdown().await
    }

    pub(super) async fn discard(mut self) {
        // What is not aborted now, the bucket's own rules remove.
        let _ = self.0.abort().await;
    }
}

impl Pieces {
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.0.next().await.transpose().map(|piece| piece.map(Vec::from)).map_err(io::Error::from)
    }
}

//! Both kinds of store keep the same promises; the bucket against a server that speaks S3.

use super::{Artifacts, Bucket, BucketSettings, Folder};
use gauntlet_proto::edge::hex;
use gauntlet_runtime::Clock;
use sha2::{Digest as _, Sha256};
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

mod s3;

/// A part, and some more: two parts and a rest.
const LARGE_BYTES: usize = 17 * 1024 * 1024;

struct Stores {
    s3: s3::Server,
    _folder: tempfile::TempDir,
    all: Vec<Artifacts>,
}

async fn stores() -> Stores {
    let s3 = s3::Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let all = vec![
        Artifacts::Folder(Folder::open(folder.path(), &Clock::system()).await.unwrap()),
        Artifacts::Bucket(Bucket::open(&settings(&s3)).unwrap()),
    ];
    Stores { s3, _folder: folder, all }
}

fn settings(s3: &s3::Server) -> BucketSettings {
    BucketSettings {
        bucket: "artifacts".to_owned(),
        endpoint: Some(s3.url.clone()),
        region: "eu-central-1".to_owned(),
        credentials: Some(("key".to_owned(), "secret".to_owned())),
        prefix: "gauntlet/one".to_owned(),
    }
}

async fn store(artifacts: &Artifacts, content: &[u8], hash: &[u8]) -> bool {
    let mut writing = artifacts.write(&hex(hash)).await.unwrap();
    for piece in content.chunks(1024 * 1024) {
        writing.append(piece.to_vec()).await.unwrap();
    }
    writing.finish(hash).await.unwrap()
}

async fn read(artifacts: &Artifacts, hash: &[u8]) -> Vec<u8> {
    let mut reading = artifacts.read(&hex(hash)).await.unwrap();
    let mut content = Vec::new();
    while let Some(piece) = reading.piece().await.unwrap() {
        content.extend(piece);
    }
    content
}

#[tokio::test]
async fn g6_content_comes_back_as_it_was_stored_and_is_gone_once_removed() {
    let stores = stores().await;
    for artifacts in &stores.all {
        for bytes in [0, 1, LARGE_BYTES] {
            let content: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
            let hash = Sha256::digest(&content);
            assert!(store(artifacts, &content, &hash).await, "{artifacts:?}");
            assert!(store(artifacts, &content, &hash).await, "again is no error");
            assert!(read(artifacts, &hash).await == content, "{bytes} bytes in {artifacts:?}");
            artifacts.remove(&hex(&hash)).await.unwrap();
            artifacts.remove(&hex(&hash)).await.unwrap();
            let gone = artifacts.read(&hex(&hash)).await.err().unwrap();
            assert_eq!(gone.kind(), ErrorKind::NotFound, "{artifacts:?}");
        }
    }
    assert_eq!(stores.s3.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn g6_content_that_does_not_have_its_hash_is_never_there() {
    let stores = stores().await;
    for artifacts in &stores.all {
        for bytes in [10, LARGE_BYTES] {
            let announced = Sha256::digest(b"something else");
            assert!(!store(artifacts, &vec![1; bytes], &announced).await, "{artifacts:?}");
            let gone = artifacts.read(&hex(&announced)).await.err().unwrap();
            assert_eq!(gone.kind(), ErrorKind::NotFound, "{artifacts:?}");
        }
    }
    assert_eq!(stores.s3.keys(), Vec::<String>::new());
    assert_eq!(stores.s3.open_uploads(), 0, "what was begun is aborted");
}

#[tokio::test]
async fn g6_what_is_old_is_listed_by_the_begin_of_its_hash() {
    let stores = stores().await;
    let hash = Sha256::digest(b"content");
    let later = SystemTime::from(Clock::system().now()) + Duration::from_secs(100);
    for artifacts in &stores.all {
        store(artifacts, b"content", &hash).await;
        let listed = async |first, age| {
            artifacts.list_old(first, later, Duration::from_secs(age)).await.unwrap()
        };
        assert_eq!(listed(hash[0], 50).await, [hex(&hash)], "{artifacts:?}");
        assert!(listed(hash[0], 200).await.is_empty(), "{artifacts:?}");
        assert!(listed(hash[0] ^ 1, 50).await.is_empty(), "{artifacts:?}");
    }
}

#[tokio::test]
async fn g6_a_bucket_that_stumbles_is_asked_again_and_every_request_is_signed() {
    let stores = stores().await;
    stores.s3.fail_next(2);
    let hash = Sha256::digest(b"content");
    assert!(store(&stores.all[1], b"content", &hash).await);
    assert_eq!(stores.s3.keys(), [format!("gauntlet/one/{}/{}", &hex(&hash)[..2], hex(&hash))]);
    assert_eq!(stores.s3.unsigned(), 0);
}

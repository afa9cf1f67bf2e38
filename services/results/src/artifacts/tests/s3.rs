//! A server that speaks the few calls of S3 that a bucket of artifacts needs, in memory.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::task::JoinHandle;

const DATE: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

#[derive(Default)]
struct Objects {
    objects: BTreeMap<String, Bytes>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    uploads_begun: u32,
    failures_left: u32,
    unsigned: u32,
}

type Shared = Arc<Mutex<Objects>>;

pub(super) struct Server {
    pub(super) url: String,
    objects: Shared,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        // A service installs it at its start.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let objects = Shared::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&objects));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "aborted with the server")]
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, objects, task }
    }

    fn look(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.look().objects.keys().cloned().collect()
    }

    pub(super) fn open_uploads(&self) -> usize {
        self.look().uploads.len()
    }

    pub(super) fn unsigned(&self) -> u32 {
        self.look().unsigned
    }

    /// Answers the next requests with an error of the server.
    pub(super) fn fail_next(&self, count: u32) {
        self.look().failures_left = count;
    }
}

fn xml(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

fn missing() -> Response {
    let body = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>";
    (StatusCode::NOT_FOUND, body).into_response()
}

async fn answer(State(objects): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let mut objects = objects.lock().unwrap();
    let signature = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !signature.is_some_and(|it| it.starts_with("AWS4-HMAC-SHA256 Credential=key/")) {
        objects.unsigned += 1;
    }
    if objects.failures_left > 0 {
        objects.failures_left -= 1;
        return (StatusCode::SERVICE_UNAVAILABLE, "slow down").into_response();
    }
    // The first part of the path is the bucket.
    let path = parts.uri.path().trim_start_matches('/');
    let key = path.split_once('/').map_or("", |(_, key)| key).to_owned();
    match (parts.method, query.get("uploadId"), key.is_empty()) {
        (Method::GET, _, true) => objects.list(&query),
        (Method::POST, None, false) => objects.begin(),
        (Method::POST, Some(upload), false) => objects.complete(key, upload),
        (Method::PUT, Some(upload), false) => {
            let number = query["partNumber"].parse().unwrap();
            objects.uploads.get_mut(upload).unwrap().insert(number, body);
            ([(header::ETAG, format!("\"{number}\""))], ()).into_response()
        }
        (Method::PUT, None, false) => {
            objects.objects.insert(key, body);
            ([(header::ETAG, "\"1\"")], ()).into_response()
        }
        (Method::DELETE, Some(upload), false) => {
            objects.uploads.remove(upload);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::DELETE, None, false) => {
            objects.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::GET, _, false) => objects.get(&key),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

impl Objects {
    fn get(&self, key: &str) -> Response {
        let Some(content) = self.objects.get(key) else { return missing() };
        let headers = [(header::ETAG, "\"1\""), (header::LAST_MODIFIED, DATE)];
        (headers, content.clone()).into_response()
    }

    fn begin(&mut self) -> Response {
        self.uploads_begun += 1;
        let upload = format!("upload-{}", self.uploads_begun);
        self.uploads.insert(upload.clone(), BTreeMap::new());
        xml(format!(
            "<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn complete(&mut self, key: String, upload: &str) -> Response {
        let Some(parts) = self.uploads.remove(upload) else { return missing() };
        let content: Vec<u8> = parts.into_values().flatten().collect();
        self.objects.insert(key, content.into());
        xml("<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>"
            .to_owned())
    }

    fn list(&self, query: &HashMap<String, String>) -> Response {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let listed = self.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let contents: String = listed
            .map(|(key, content)| {
                // Objects are listed as made just now.
                let made = gauntlet_runtime::Clock::system().now();
                format!(
                    "<Contents><Key>{key}</Key><LastModified>{made}</LastModified><ETag>\"1\"</ETag><Size>{}</Size></Contents>",
                    content.len()
                )
            })
            .collect();
        xml(format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        ))
    }
}

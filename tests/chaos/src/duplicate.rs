//! A gRPC proxy on one connection that delivers every unary call twice and answers with the second answer.
//!
//! Streams pass once: what a broken stream repeats is repeated anyway. So do polls for work: of two answers with work one
//! would be lost, and lost answers are what kills and cuts are for.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use gauntlet_rpc::is_unary;
use http::{Request, Response, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

type Body = BoxBody<Bytes, hyper::Error>;
/// Calls that wait for work.
const POLLS: [&str; 2] = ["/ClaimShards", "/ClaimFinalizations"];
/// The code of gRPC for a server that cannot be reached.
const UNAVAILABLE: &str = "14";

/// Serves one client until it goes away.
pub(crate) async fn serve(client: TcpStream, server: SocketAddr) {
    let to_server: Client<HttpConnector, Body> =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let service = service_fn(move |request| {
        let to_server = to_server.clone();
        async move { Ok::<_, Infallible>(forward(&to_server, server, request).await) }
    });
    let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // Its end is the end of the connection, however it came.
    let _ = http2.serve_connection(TokioIo::new(client), service).await;
}

async fn forward(
    to_server: &Client<HttpConnector, Body>,
    server: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    match passed(to_server, server, request).await {
        Ok(response) => response,
        Err(_) => unavailable(),
    }
}

async fn passed(
    to_server: &Client<HttpConnector, Body>,
    server: SocketAddr,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Body>> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    parts.uri = Uri::try_from(format!("http://{server}{path}"))?;
    if !is_unary(&path) || POLLS.iter().any(|poll| path.ends_with(poll)) {
        let response = to_server.request(Request::from_parts(parts, body.boxed())).await?;
        return Ok(response.map(|body| body.boxed()));
    }
    let content = body.collect().await?.to_bytes();
    let copy = || {
        let body = Full::new(content.clone()).map_err(|never| match never {}).boxed();
        Request::from_parts(parts.clone(), body)
    };
    // To its end, so that the second finds what the first did.
    let first = to_server.request(copy()).await?;
    first.into_body().collect().await?;
    Ok(to_server.request(copy()).await?.map(|body| body.boxed()))
}

fn unavailable() -> Response<Body> {
    let mut response =
        Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed());
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", http::HeaderValue::from_static(UNAVAILABLE));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    type Seen = Arc<Mutex<BTreeMap<String, u32>>>;

    /// Counts calls by path and answers with nothing.
    async fn counting(seen: Seen) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request: Request<Incoming>| {
                    *seen.lock().unwrap().entry(request.uri().path().to_owned()).or_default() += 1;
                    std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
                });
                open.spawn(async move {
                    let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = http2.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (addr, task)
    }

    #[tokio::test]
    async fn a_unary_call_arrives_twice_a_stream_and_a_poll_once() {
        let seen = Seen::default();
        let (server, _server) = counting(Arc::clone(&seen)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            serve(client, server).await;
        });
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let paths = [
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
            "/gauntlet.v1.LeaseService/CompleteShards",
            "/gauntlet.v1.LeaseService/ClaimShards",
        ];
        for path in paths {
            let request = Request::post(format!("http://{proxy}{path}"));
            let request = request.body(Full::from("call")).unwrap();
            assert!(client.request(request).await.unwrap().status().is_success());
        }
        let seen = seen.lock().unwrap();
        assert_eq!(paths.map(|path| seen[path]), [2, 1, 2, 1]);
    }

    #[tokio::test]
    async fn a_server_that_is_gone_is_unavailable_and_nothing_worse() {
        let (gone, server) = counting(Seen::default()).await;
        drop(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            serve(client, gone).await;
        });
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let request = Request::post(format!("http://{proxy}/grpc.health.v1.Health/Check"));
        let answer = client.request(request.body(Full::from("call")).unwrap()).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], UNAVAILABLE);
    }
}

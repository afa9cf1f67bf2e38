//! Claims about gRPC-Web, over HTTP/1.1 as a browser speaks it.

use crate::support::{Gateway, PATIENCE, ScriptedPeer, config};
use http::HeaderMap;
use std::fmt::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const UNARY: &str = "/gauntlet.v1.SchedulerService/GetRun";
const STREAM: &str = "/gauntlet.v1.SchedulerService/WatchRun";
const PAGE: &str = "https://dashboard.example";
const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";
/// One gRPC frame of two bytes that are no message, and the same in base64.
const FRAME: &[u8] = b"\x00\x00\x00\x00\x02\xff\xfe";
const FRAME_BASE64: &[u8] = b"AAAAAAL//g==";

/// Sends one request and reads all of its answer; the connection is the caller's alone.
async fn http1(
    gateway: &Gateway,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, HeaderMap, Vec<u8>) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
    let mut socket = tokio::net::TcpStream::connect(gateway.addr).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    read.expect("an answer that ends").unwrap();
    parsed(&answer)
}

fn parsed(answer: &[u8]) -> (u16, HeaderMap, Vec<u8>) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let mut lines = std::str::from_utf8(&answer[..end]).unwrap().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
    });
    let headers: HeaderMap = headers.collect();
    let body = &answer[end + 4..];
    let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    (status, headers, if chunked { joined(body) } else { body.to_owned() })
}

/// Joins the chunks of a chunked body.
fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").expect("a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return all;
        }
        all.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
}

/// Asks by gRPC-Web for an answer of `messages` frames; returns its headers and its body.
async fn ask(path: &str, content_type: &str, body: &[u8], messages: usize) -> (HeaderMap, Vec<u8>) {
    let mut peer = ScriptedPeer::start();
    let mut config = config(&peer.endpoint);
    config.web_origins = vec![PAGE.parse().unwrap()];
    let gateway = Gateway::with(config).await;
    let headers = [
        ("content-type", content_type),
        ("accept", content_type),
        ("x-grpc-web", "1"),
        ("origin", PAGE),
        ("x-custom", "one"),
    ];
    let (answer, ()) = tokio::join!(http1(&gateway, "POST", path, &headers, body), async {
        let mut call = peer.called().await;
        assert_eq!(call.headers["x-custom"], "one");
        assert_eq!(call.data().await.unwrap(), FRAME);
        let frames = call.begin(&[]);
        for _ in 0..messages {
            frames.data(FRAME);
        }
        frames.end("0", &[]);
    });
    let (status, headers, body) = answer;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, content_type));
    assert_eq!(headers["access-control-allow-origin"], PAGE);
    (headers, body)
}

#[tokio::test]
async fn a_page_makes_unary_and_streaming_calls_in_binary() {
    for (path, messages) in [(UNARY, 1), (STREAM, 3)] {
        let (headers, body) = ask(path, BINARY, FRAME, messages).await;
        let exposed = headers["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("grpc-status") && exposed.contains("grpc-message"), "{exposed}");
        let trailers = body.strip_prefix(FRAME.repeat(messages).as_slice()).expect("the messages");
        assert_eq!(trailers[0], 0x80, "trailers are a frame of their own");
        assert!(String::from_utf8_lossy(&trailers[5..]).contains("grpc-status:0"), "{trailers:?}");
    }
}

#[tokio::test]
async fn a_page_makes_unary_and_streaming_calls_in_text() {
    for (path, messages) in [(UNARY, 1), (STREAM, 3)] {
        let (_, body) = ask(path, TEXT, FRAME_BASE64, messages).await;
        let text = String::from_utf8(body).unwrap();
        assert!(
            text.starts_with(std::str::from_utf8(&FRAME_BASE64.repeat(messages)).unwrap()),
            "{text}"
        );
        // "\x80" and a length below 256: the frame of the trailers.
        assert!(text.contains("gAAAA"), "{text}");
    }
}

#[tokio::test]
async fn only_pages_of_a_named_origin_may_call() {
    let mut config = config("http://127.0.0.1:1");
    config.web_origins = vec![PAGE.parse().unwrap()];
    let gateway = Gateway::with(config).await;
    for (origin, allowed) in [(PAGE, true), ("https://evil.example", false)] {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-grpc-web,grpc-timeout"),
        ];
        let (status, headers, _) = http1(&gateway, "OPTIONS", UNARY, &headers, b"").await;
        assert_eq!(status, 200);
        assert_eq!(
            headers.get("access-control-allow-origin").is_some(),
            allowed,
            "{origin}: {headers:?}"
        );
        assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("x-grpc-web"));
    }
}

#[tokio::test]
async fn a_page_hears_that_a_peer_is_away() {
    let gateway = Gateway::before("http://127.0.0.1:1").await;
    let headers = [("content-type", BINARY), ("accept", BINARY)];
    let (status, headers, _) = http1(&gateway, "POST", UNARY, &headers, FRAME).await;
    assert_eq!((status, headers["grpc-status"].to_str().unwrap()), (200, "14"));
    assert_eq!(headers["grpc-message"], "scheduler%20cannot%20be%20reached");
}

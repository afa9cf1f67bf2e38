//! Pages reach whom the egress policy lets them, and nobody else, whichever way they try (G9).
//!
//! All of it stays on this machine: 127.0.0.2 and names of our own resolver stand for other hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Query,
    http::{HeaderMap, Uri},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use futures_util::future::BoxFuture;
use gauntlet_browser::{
    BrowserConfig, BrowserKind, BrowserSlot, Egress, ReservedPorts, Resolve, TestResult,
};
use gauntlet_core::{
    egress::{EgressPolicy, EgressRules, HostPattern},
    flow::{FailureClass, Step, StepKind},
};

use crate::{
    flows::{flow, step},
    support::{config_of, marked, run, turn},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the cloud's metadata is.
const METADATA: &str = "169.254.169.254";

/// A site that notes under which host it was asked for what.
struct Site {
    port: u16,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Site {
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    async fn start() -> Self {
        let asked = Arc::<Mutex<BTreeSet<String>>>::default();
        let note = Arc::clone(&asked);
        let page = move |uri: Uri, headers: HeaderMap| {
            let host = host_of(&headers);
            note.lock().expect("nobody panicked").insert(format!("{host}{}", uri.path()));
            async move { ([("access-control-allow-origin", "*")], Html("<p id=out>here</p>")) }
        };
        let app = Router::new().route("/to", get(redirect)).fallback(get(page));
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { port, asked }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    /// Returns what was asked for of `host`.
    fn asked_of(&self, host: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("nobody panicked");
        asked.iter().filter(|what| what.split('/').next() == Some(host)).cloned().collect()
    }
}

/// Returns the host that a request names, without its port.
fn host_of(headers: &HeaderMap) -> String {
    let host = headers["host"].to_str().unwrap_or_default();
    host.split(':').next().unwrap_or_default().to_owned()
}

async fn redirect(Query(query): Query<BTreeMap<String, String>>) -> Response {
    Redirect::temporary(&query["url"]).into_response()
}

/// Knows a few names; one of them has another address each time.
#[derive(Default)]
struct Names {
    rebound: AtomicU32,
}

impl Resolve for Names {
    fn resolve<'n>(&'n self, name: &'n str) -> BoxFuture<'n, io::Result<Vec<IpAddr>>> {
        let address = match name {
            "shop.test" | "www.shop.test" | "other.test" => "127.0.0.1",
            "store.test" => "127.0.0.9",
            "metadata.test" => METADATA,
            "rebound.test" if self.rebound.fetch_add(1, Ordering::Relaxed) == 0 => "127.0.0.1",
            "rebound.test" => METADATA,
            _ => return Box::pin(async { Err(io::ErrorKind::NotFound.into()) }),
        };
        Box::pin(async move { Ok(vec![address.parse().expect("an address")]) })
    }
}

fn patterns(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| text.parse().expect("a pattern")).collect()
}

/// A browser on a machine whose mesh has `mesh_port`.
fn slot_of(kind: BrowserKind, policy: EgressPolicy, mesh_port: u16) -> BrowserSlot {
    let ports = ReservedPorts::default();
    ports.add(mesh_port);
    let egress = Egress { resolver: Arc::new(Names::default()), ..Egress::new(policy, ports) };
    BrowserSlot::new(BrowserConfig { egress, ..config_of(kind, "egress") })
}

fn embedded(rules: EgressRules) -> EgressPolicy {
    EgressPolicy { loopback: true, deny: patterns(&["store.test"]), rules }
}

fn denying(deny: &[&str]) -> EgressRules {
    EgressRules { allow: Vec::new(), deny: patterns(deny) }
}

fn to(url: &str) -> Vec<Step> {
    vec![step(StepKind::Navigate { url: url.to_owned() })]
}

/// Tells what comes of going to `url`: nothing where it loads, otherwise class and message.
async fn visit(slot: &mut BrowserSlot, url: &str) -> Option<(FailureClass, String)> {
    let mut test = flow("visit", "http://nowhere.invalid", "", Vec::new());
    test.steps = to(url);
    test.timeout = PATIENCE;
    match run(slot, &test).await.result {
        TestResult::Passed => None,
        TestResult::Failed(failure) => Some((failure.class, failure.message)),
        other => panic!("{url}: {other:?}"),
    }
}

/// Asserts that each URL is denied by a message with these words.
async fn all_denied(slot: &mut BrowserSlot, cases: &[(String, &str)]) {
    for (url, words) in cases {
        let (class, message) = visit(slot, url).await.unwrap_or_else(|| panic!("{url} loaded"));
        assert_eq!(class, FailureClass::EgressDenied, "{url}: {message}");
        let said = message.contains("the egress policy denies") && message.contains(words);
        assert!(said, "{url}: {message}");
    }
}

#[tokio::test]
async fn g9_pages_are_denied_metadata_and_the_mesh_however_they_are_spelt() {
    let (site, mesh) = (Site::start().await, Site::start().await);
    let policy = embedded(denying(&["127.0.0.2", "denied.test"]));
    let mut slot = slot_of(BrowserKind::HeadlessShell, policy, mesh.port);
    for host in ["127.0.0.1", "localhost", "shop.localhost", "shop.test", "rebound.test"] {
        assert_eq!(visit(&mut slot, &site.url(host, "/")).await, None, "{host}");
    }
    let metadata = "169.254.169.254:80: it may tell a cloud's metadata";
    let redirected = site.url("127.0.0.1", &format!("/to?url=http://{METADATA}/latest"));
    all_denied(
        &mut slot,
        &[
            (format!("http://{METADATA}/latest"), metadata),
            ("http://2852039166/".to_owned(), metadata),
            ("http://0xa9.0376.43518/".to_owned(), metadata),
            ("http://[::ffff:a9fe:a9fe]/".to_owned(), "cloud's metadata"),
            ("http://[fd00:ec2::254]/".to_owned(), "cloud's metadata"),
            ("http://metadata.google.internal/".to_owned(), "cloud's metadata"),
            ("http://metadata.test/".to_owned(), "metadata.test:80: it may tell a cloud's"),
            (site.url("rebound.test", "/"), "cloud's metadata"),
            (redirected, metadata),
            ("http://0.0.0.0/".to_owned(), "its address is unspecified"),
            (mesh.url("127.0.0.1", "/"), "it is a port of the mesh"),
            (mesh.url("localhost", "/"), "it is a port of the mesh"),
            (mesh.url("shop.test", "/"), "it is a port of the mesh"),
            (mesh.url("127.9.9.9", "/"), "it is a port of the mesh"),
            (site.url("store.test", "/"), "the executor denies store.test"),
            (site.url("127.0.0.9", "/"), "the executor denies store.test"),
            (site.url("127.0.0.2", "/"), "the environment denies 127.0.0.2"),
            (site.url("denied.test", "/"), "the environment denies denied.test"),
        ],
    )
    .await;
    for host in ["127.0.0.2", "127.0.0.9", METADATA] {
        assert_eq!(site.asked_of(host), Vec::<String>::new());
    }
    assert_eq!(*mesh.asked.lock().expect("nobody panicked"), BTreeSet::new());
    let (class, message) = visit(&mut slot, "http://unknown.test/").await.expect("nobody there");
    assert_eq!(class, FailureClass::TargetUnreachable, "{message}");
}

#[tokio::test]
async fn g9_loopback_is_denied_outside_of_embedded_mode_and_so_is_the_machine_itself() {
    let site = Site::start().await;
    let mut slot = slot_of(BrowserKind::HeadlessShell, EgressPolicy::default(), 1);
    let own = own_address().to_string();
    let hosts =
        ["127.0.0.1", "127.8.8.8", "localhost", "shop.localhost", "shop.test", "[::1]", &own];
    let cases = hosts.map(|host| (site.url(host, "/"), "it is the executor's own"));
    all_denied(&mut slot, &cases).await;
    assert_eq!(*site.asked.lock().expect("nobody panicked"), BTreeSet::new());
    let files = ["file:///proc/self/environ", "FILE:///etc/hosts", "view-source:file:///etc/hosts"];
    let cases = files.map(|url| (url.to_owned(), "it is the executor's own"));
    all_denied(&mut slot, &cases).await;
}

#[tokio::test]
async fn g9_with_an_allow_list_nothing_else_is_reached() {
    let site = Site::start().await;
    let allow = patterns(&["*.shop.test", "shop.test", "10.0.0.0/8"]);
    let policy = embedded(EgressRules { allow, deny: Vec::new() });
    let mut slot = slot_of(BrowserKind::HeadlessShell, policy, 1);
    for host in ["shop.test", "www.shop.test"] {
        assert_eq!(visit(&mut slot, &site.url(host, "/")).await, None, "{host}");
    }
    let hosts = ["127.0.0.1", "other.test", "localhost"];
    let cases = hosts.map(|host| (site.url(host, "/"), "the environment does not allow it"));
    all_denied(&mut slot, &cases).await;
}

/// Tries every way that a page has to reach `host`, and waits for what comes of each. `prefix` is that of the WebSocket.
fn tries(site: &Site, host: &str) -> Step {
    let (http, ws) = (site.url(host, ""), site.url(host, "/socket").replace("http:", "ws:"));
    let script = format!(
        "(async () => {{
            const settled = (begin) => new Promise((done) => begin(() => done('reached'), () => done('denied')));
            window.tried ??= (async () => [
                await settled((yes, no) => fetch('{http}/fetch', {{ mode: 'no-cors' }}).then(yes, no)),
                await settled((yes, no) => Object.assign(new Image(), {{ onload: yes, onerror: no, src: '{http}/image' }})),
                await settled((yes, no) => {{
                    const script = Object.assign(document.createElement('script'), {{ onload: yes, onerror: no, src: '{http}/script' }});
                    document.head.append(script);
                }}),
                await settled((yes, no) => {{
                    const socket = new WebSocket('{ws}');
                    socket.onopen = yes; socket.onerror = no;
                }}),
                await settled((yes, no) => {{
                    const request = new XMLHttpRequest();
                    request.onload = yes; request.onerror = no;
                    request.open('GET', '{http}/xhr'); request.send();
                }}),
                navigator.sendBeacon('{http}/beacon') && 'sent',
            ])();
            document.title = (await window.tried).join();
        }})(), document.title.length > 0"
    );
    step(StepKind::WaitForExpression { expression: script })
}

async fn asked_by_trying(slot: &mut BrowserSlot, site: &Site, host: &str) -> (Vec<String>, u64) {
    // An image that is a page does not load, and nobody speaks WebSocket here: what counts is who was asked.
    let test = flow("tries", &site.url("127.0.0.1", ""), "", vec![tries(site, host)]);
    let outcome = run(slot, &test).await;
    assert_eq!(outcome.result, TestResult::Passed);
    (site.asked_of(host), outcome.egress_denied_count)
}

/// Has a page call a STUN server by WebRTC, and waits until it has given up, or for three seconds: then it must have no address
/// to call from. Browsers without WebRTC do nothing.
fn calls(server: SocketAddr) -> Vec<Step> {
    let calls = format!(
        "(() => {{
            if (!window.RTCPeerConnection) return true;
            if (!window.caller) {{
                window.caller = new RTCPeerConnection({{ iceServers: [{{ urls: 'stun:{server}' }}] }});
                caller.createDataChannel('x');
                caller.createOffer().then((offer) => caller.setLocalDescription(offer));
            }}
            const gaveUp = caller.iceGatheringState === 'complete' || caller.iceConnectionState === 'failed';
            return gaveUp || performance.now() > 3_000;
        }})()"
    );
    let has_none = "!window.caller?.localDescription?.sdp.includes('a=candidate')".to_owned();
    let wait = |expression| step(StepKind::WaitForExpression { expression });
    vec![Step { timeout: Some(PATIENCE.into()), ..wait(calls) }, wait(has_none)]
}

/// Asserts that no page sends packets by itself, whatever the policy is.
async fn no_packet_comes_by_itself(slot: &mut BrowserSlot, site: &Site) {
    let server = UdpSocket::bind((own_address(), 0)).expect("a socket");
    server.set_nonblocking(true).expect("a socket");
    let address = server.local_addr().expect("an address");
    let called = run(slot, &flow("calls", &site.url("127.0.0.1", ""), "", calls(address))).await;
    let received = server.recv_from(&mut [0; 1_500]).map_err(|error| error.kind());
    assert_eq!(received, Err(io::ErrorKind::WouldBlock), "a packet went past the proxy");
    assert_eq!(called.result, TestResult::Passed);
}

/// Returns the address that this machine sends from; loopback if it has no other.
fn own_address() -> IpAddr {
    let probe = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let sends = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr());
    sends.map_or([127, 0, 0, 1].into(), |address| address.ip())
}

async fn every_way_is_shut(kind: BrowserKind) {
    let _turn = turn().await;
    let site = Site::start().await;
    let mut slot = slot_of(kind, embedded(denying(&["127.0.0.2"])), 1);
    let (asked, denied_count) = asked_by_trying(&mut slot, &site, "127.0.0.3").await;
    assert_eq!(denied_count, 0);
    for way in ["fetch", "image", "script", "socket", "xhr"] {
        assert!(asked.contains(&format!("127.0.0.3/{way}")), "{way} reaches nobody: {asked:?}");
    }
    let (asked, denied_count) = asked_by_trying(&mut slot, &site, "127.0.0.2").await;
    assert_eq!(asked, Vec::<String>::new());
    assert!(denied_count >= 5, "{denied_count} were denied");
    no_packet_comes_by_itself(&mut slot, &site).await;
    let redirected = site.url("127.0.0.1", &format!("/to?url=http://{METADATA}/"));
    all_denied(
        &mut slot,
        &[
            (format!("http://{METADATA}/latest"), "cloud's metadata"),
            (redirected, "169.254.169.254:80: it may tell a cloud's metadata"),
        ],
    )
    .await;
    // Free a moment ago, so that nobody answers.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let free = free.expect("a free port");
    let (class, message) =
        visit(&mut slot, &format!("http://{free}/")).await.expect("nobody there");
    assert_eq!(class, FailureClass::TargetUnreachable, "{message}");
}

/// Returns the ports at which a process listens.
fn ports_of(pid: &str) -> Vec<u16> {
    let sockets = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sockets: BTreeSet<String> = sockets
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .filter_map(|link| {
            Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    let tables = ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/net/{table}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    let listening = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    listening
        .filter(|row| row.len() > 9 && row[3] == "0A" && sockets.contains(row[9]))
        .filter_map(|row| u16::from_str_radix(row[1].rsplit(':').next()?, 16).ok())
        .collect()
}

#[tokio::test]
async fn g9_no_page_reaches_a_port_of_a_driver_or_of_its_browser() {
    let _turn = turn().await;
    for kind in [BrowserKind::HeadlessShell, BrowserKind::Firefox, BrowserKind::WebKit] {
        let (ports, marker) = (ReservedPorts::default(), format!("ports-{kind:?}").to_lowercase());
        let egress = Egress { ports: ports.clone(), ..Egress::embedded() };
        let mut slot = BrowserSlot::new(BrowserConfig { egress, ..config_of(kind, &marker) });
        slot.browser().await.expect("it starts");
        let pids = marked(&marker).into_iter();
        let open = pids.flat_map(|line| ports_of(line.split(' ').next().unwrap_or_default()));
        let open: BTreeSet<u16> = open.collect();
        assert!(!open.is_empty(), "the driver of {kind:?} listens");
        let unshielded: Vec<_> = open.iter().filter(|port| !ports.contains(**port)).collect();
        assert_eq!(unshielded, Vec::<&u16>::new(), "{kind:?} of {open:?}");
        slot.stop().await;
        drop(slot);
        assert!(open.iter().all(|port| !ports.contains(*port)), "{kind:?} keeps {open:?}");
    }
}

#[tokio::test]
async fn g9_every_way_out_of_a_page_is_shut_in_the_headless_shell() {
    every_way_is_shut(BrowserKind::HeadlessShell).await;
}

#[tokio::test]
async fn g9_every_way_out_of_a_page_is_shut_in_chromium() {
    every_way_is_shut(BrowserKind::Chromium).await;
}

#[tokio::test]
async fn g9_every_way_out_of_a_page_is_shut_in_firefox() {
    every_way_is_shut(BrowserKind::Firefox).await;
}

#[tokio::test]
async fn g9_every_way_out_of_a_page_is_shut_in_webkit() {
    every_way_is_shut(BrowserKind::WebKit).await;
}

//! A remote endpoint: a real driver behind a proxy that misbehaves on demand (G1).

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use gauntlet_browser::{
    BasicAuth, Browser, BrowserConfig, BrowserSlot, Control, Grid, LaunchError, TestOptions,
    TestResult,
};
use gauntlet_core::flow::FailureClass;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use crate::{
    hygiene::{CLICK, FOREVER, flow},
    recordings::{folder, names},
    reset::{HOLDS, holds_nothing},
    site,
    support::{config, recording, run, turn},
};

const SOON: Duration = Duration::from_secs(10);

/// What the proxy does to requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    /// Answers to new sessions come late.
    Slow(Duration),
    /// Everything is a page of some other server, and an error.
    Broken,
    /// Commands never answer; closing a session does.
    Hanging,
}

/// What the proxy has seen.
#[derive(Debug, Default)]
struct Seen {
    mood: Mood,
    /// Slots that the status tells of; none leaves the driver's own status.
    slots: Option<usize>,
    open: Vec<String>,
    opened: usize,
    closed: usize,
    opening: usize,
    opening_max: usize,
    overfull: bool,
    requests: usize,
    authorizations: Vec<String>,
    hanging: usize,
}

type Http =
    hyper_util::client::legacy::Client<hyper_util::client::legacy::connect::HttpConnector, Body>;

/// A real driver, and the proxy in front of it.
struct FakeGrid {
    url: String,
    seen: Arc<Mutex<Seen>>,
    _driver: Child,
}

#[derive(Clone)]
struct Proxy {
    seen: Arc<Mutex<Seen>>,
    driver: String,
    http: Http,
}

impl FakeGrid {
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    async fn start() -> Self {
        // Its death closes its standard input, and the supervisor leaves nothing.
        let mut driver = Command::new(env!("CARGO_BIN_EXE_gauntlet-supervise"))
            .args(["--", "chromedriver", "--port=0"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("supervisor");
        let mut lines = BufReader::new(driver.stdout.take().expect("output")).lines();
        let port = loop {
            let line = lines.next_line().await.expect("output").expect("a port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let http =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                .build_http();
        let proxy =
            Proxy { seen: Arc::clone(&seen), driver: format!("http://127.0.0.1:{port}"), http };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/wd/hub", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(forward).with_state(proxy);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen, _driver: driver }
    }

    fn grid(&self, own: Value) -> Arc<Grid> {
        let mut capabilities = json!({
            "browserName": "chrome-headless-shell",
            "goog:chromeOptions": {
                "binary": "/usr/lib/chromium/chromium-headless-shell",
                "args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,720"],
            },
        });
        for (key, value) in own.as_object().expect("an object") {
            capabilities[key] = value.clone();
        }
        let auth = BasicAuth { user: "me".to_owned(), password: "s3cret".to_owned() };
        let capabilities: Map<_, _> = capabilities.as_object().expect("an object").clone();
        Grid::new(&self.url, Some(auth), capabilities, 8).expect("a grid")
    }

    fn config(&self) -> BrowserConfig {
        self.config_with(json!({}))
    }

    fn config_with(&self, own: Value) -> BrowserConfig {
        BrowserConfig { grid: Some(self.grid(own)), ..config("grid") }
    }

    fn set(&self, mood: Mood) {
        self.look(|seen| seen.mood = mood);
    }

    fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().expect("never poisoned"))
    }

    async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let end = Instant::now() + SOON;
        while !self.look(|seen| holds(seen)) {
            assert!(Instant::now() < end, "{what}: {:?}", self.look(|seen| format!("{seen:?}")));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches("/wd/hub").to_owned();
    let (is_new, is_close) =
        (path == "/session", request.method() == "DELETE" && path.matches('/').count() == 2);
    let mood = {
        let mut seen = proxy.seen.lock().expect("never poisoned");
        seen.requests += 1;
        let authorization = request.headers().get("authorization");
        let authorization =
            authorization.map(|value| value.to_str().unwrap_or_default().to_owned());
        seen.authorizations.push(authorization.unwrap_or_default());
        if is_new {
            seen.opening += 1;
            seen.opening_max = seen.opening_max.max(seen.opening);
            let free = seen.slots.unwrap_or(usize::MAX).saturating_sub(seen.open.len());
            seen.overfull |= seen.opening > free;
        }
        if seen.mood == Mood::Hanging && !is_close && !is_new {
            seen.hanging += 1;
        }
        seen.mood
    };
    match mood {
        Mood::Broken => {
            if is_new {
                proxy.seen.lock().expect("never poisoned").opening -= 1;
            }
            return (StatusCode::BAD_GATEWAY, "<h1>Bad Gateway</h1>").into_response();
        }
        Mood::Hanging if !is_close && !is_new => std::future::pending().await,
        _ => {}
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let onward = http::Request::builder()
        .method(parts.method)
        .uri(format!("{}{path}", proxy.driver))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .expect("a request");
    let answer = proxy.http.request(onward).await.expect("the driver answers");
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), usize::MAX).await.expect("a body");
    if let (true, Mood::Slow(delay)) = (is_new, mood) {
        tokio::time::sleep(delay).await;
    }
    let mut value: Value = serde_json::from_slice(&body).expect("JSON");
    let mut seen = proxy.seen.lock().expect("never poisoned");
    if is_new {
        seen.opening -= 1;
        if let Some(id) = value["value"]["sessionId"].as_str() {
            seen.opened += 1;
            seen.open.push(id.to_owned());
        }
    } else if is_close {
        seen.closed += 1;
        seen.open.retain(|id| !path.ends_with(id.as_str()));
    } else if let (true, Some(slots)) = (path == "/status", seen.slots) {
        let slot =
            |at| json!({ "session": seen.open.get(at).map(|id| json!({ "sessionId": id })) });
        let slots: Vec<_> = (0..slots).map(slot).collect();
        value["value"]["nodes"] = json!([{ "availability": "UP", "slots": slots }]);
    }
    (status, axum::Json(value)).into_response()
}

/// Recordings with keys that no driver knows.
const LOCAL_ONLY: &str = "keyDown-place";

async fn passes_all(config: BrowserConfig) {
    let _turn = turn().await;
    let base = site::start().await;
    let mut slot = BrowserSlot::new(config);
    let mut wrong = Vec::new();
    for name in names("pass") {
        let file = folder("pass").join(format!("{name}.json"));
        let outcome = run(&mut slot, &recording(&file, &base)).await;
        let refused = outcome.result.failure().is_some_and(|it| it.message.contains("cannot"));
        let impossible = name == LOCAL_ONLY;
        if refused != impossible || !impossible && outcome.result != TestResult::Passed {
            wrong.push(format!("{name}: {:?}", outcome.result));
        }
    }
    slot.stop().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn g1_a_grid_passes_what_it_should_in_one_session() {
    let grid = FakeGrid::start().await;
    passes_all(grid.config()).await;
    grid.look(|seen| {
        assert_eq!((seen.opened, seen.closed), (1, 1), "contexts isolate the tests");
        let ours = seen.authorizations.iter().all(|sent| sent == "Basic bWU6czNjcmV0");
        assert!(ours, "{:?}", seen.authorizations);
    });
}

#[tokio::test]
async fn g5_a_grid_without_bidi_passes_what_it_should_in_a_session_for_each_test() {
    let grid = FakeGrid::start().await;
    passes_all(grid.config_with(json!({ "webSocketUrl": false }))).await;
    grid.look(|seen| {
        assert_eq!(seen.opened, names("pass").len());
        assert_eq!((seen.closed, seen.open.len()), (seen.opened, 0));
    });
}

/// A driver keeps what is held down for as long as its session, whatever contexts there are in it.
#[tokio::test]
async fn g5_a_test_at_a_grid_finds_no_key_held_down() {
    let base = site::start().await;
    let grid = FakeGrid::start().await;
    let mut slot = BrowserSlot::new(grid.config());
    for steps in [HOLDS, &holds_nothing()] {
        let outcome = run(&mut slot, &flow(&base, "list", steps)).await;
        assert_eq!(outcome.result, TestResult::Passed, "{steps}");
    }
    assert_eq!(grid.look(|seen| seen.opened), 1, "in one session");
}

#[tokio::test]
async fn g1_a_grid_is_never_asked_for_more_sessions_than_it_has_free() {
    let grid = FakeGrid::start().await;
    grid.look(|seen| seen.slots = Some(2));
    grid.set(Mood::Slow(Duration::from_millis(100)));
    let config = grid.config();
    let one = async || {
        let mut browser = Browser::launch(&config).await.expect("a session");
        browser.kill_and_wait().await;
    };
    tokio::join!(one(), one(), one(), one(), one());
    grid.look(|seen| {
        assert_eq!((seen.opened, seen.closed, seen.overfull), (5, 5, false), "{seen:?}");
    });
}

#[tokio::test]
async fn g1_a_session_that_comes_too_late_is_closed() {
    let grid = FakeGrid::start().await;
    grid.set(Mood::Slow(Duration::from_secs(3)));
    let config = BrowserConfig { launch_timeout: Duration::from_millis(1_500), ..grid.config() };
    let error = Browser::launch(&config).await.expect_err("too slow");
    assert!(matches!(error, LaunchError::TooSlow { .. }), "{error}");
    grid.until("closed", |seen| (seen.opened, seen.closed) == (1, 1)).await;
    let config = grid.config();
    tokio::select! {
        launched = Browser::launch(&config) => panic!("{launched:?}"),
        () = grid.until("asked", |seen| seen.opening == 1) => {}
    }
    grid.until("closed, too", |seen| (seen.opened, seen.closed) == (2, 2)).await;
}

#[tokio::test]
async fn g1_a_grid_that_keeps_failing_is_left_alone() {
    let grid = FakeGrid::start().await;
    grid.set(Mood::Broken);
    let config = grid.config();
    for _ in 0..5 {
        let error = Browser::launch(&config).await.expect_err("broken");
        assert!(matches!(error, LaunchError::Session { .. }), "{error}");
    }
    let asked = grid.look(|seen| seen.requests);
    let error = Browser::launch(&config).await.expect_err("broken").to_string();
    assert!(error.contains("5 times in a row") && !error.contains("s3cret"), "{error}");
    assert_eq!(grid.look(|seen| seen.requests), asked, "nothing is sent");
}

#[tokio::test]
async fn b9_a_grid_that_breaks_during_a_test_is_an_infra_error() {
    let base = site::start().await;
    let grid = FakeGrid::start().await;
    let mut slot = BrowserSlot::new(grid.config());
    assert!(run(&mut slot, &flow(&base, "list", "")).await.result.is_passed());
    grid.set(Mood::Broken);
    let outcome = run(&mut slot, &flow(&base, "", CLICK)).await;
    let TestResult::Errored(failure) = &outcome.result else { panic!("{:?}", outcome.result) };
    assert_eq!(failure.class, FailureClass::DriverLost, "{failure:?}");
}

#[tokio::test]
async fn c4_aborting_a_hanging_grid_returns_at_once_and_closes_the_session_beside_it() {
    let base = site::start().await;
    let grid = FakeGrid::start().await;
    let mut slot = BrowserSlot::new(grid.config());
    slot.browser().await.expect("a session");
    grid.set(Mood::Hanging);
    let cancel = CancellationToken::new();
    let (control, options) = (Control::new(cancel.clone()), TestOptions::default());
    let test = flow(&base, "list", FOREVER);
    let (outcome, asked) = tokio::join!(slot.run_test(&test, &options, &control), async {
        grid.until("a command hangs", |seen| seen.hanging > 0).await;
        cancel.cancel();
        Instant::now()
    });
    assert_eq!(outcome.expect("launched").result, TestResult::Cancelled);
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
    grid.until("the session is closed", |seen| seen.open.is_empty()).await;
    println!("closed after {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_millis(1_200), "{:?}", asked.elapsed());
}

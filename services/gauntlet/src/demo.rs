//! The demo site: a small tea shop with something for every kind of step, so that a fresh clone has a page to test.
//!
//! It keeps nothing: who is signed in is a cookie, the basket lives in the browser. It is no example of a safe shop.

use crate::failure::Failure;
use crate::output;
use axum::Router;
use axum::extract::{Form, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use gauntlet_runtime::{Exit, Lifecycle};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

const LAYOUT: &str = include_str!("demo/layout.html");
const COOKIE: &str = "leaf-guest";
/// The slow page never takes longer than this.
const SLOW_MAX: Duration = Duration::from_secs(10);
const STOP_GRACE: Duration = Duration::from_secs(2);
/// Guests with their passwords; there is nothing to protect.
const GUESTS: [(&str, &str); 2] = [("mira", "oolong"), ("tom", "sencha")];

/// Serves the site until a signal.
pub(crate) async fn serve_alone(listen: SocketAddr) -> Result<Exit, Failure> {
    let signals = Lifecycle::with_signals()
        .map_err(|error| Failure::infrastructure("cannot listen for signals", &error))?;
    let addr = start(listen, &signals).await?;
    output::line(&format!("demo site on http://{addr}; Ctrl-C stops it"));
    Ok(signals.run_to_end(STOP_GRACE).await)
}

/// Starts to serve the site as a task of `lifecycle`; returns where.
pub(crate) async fn start(
    listen: SocketAddr,
    lifecycle: &Lifecycle,
) -> Result<SocketAddr, Failure> {
    let failed =
        |error| Failure::infrastructure(&format!("demo site cannot listen on {listen}"), &error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let draining = lifecycle.clone();
    let serving = axum::serve(listener, routes())
        .with_graceful_shutdown(async move { draining.draining().await });
    lifecycle.spawn("demo", async move { serving.await });
    Ok(addr)
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| page("Teas", include_str!("demo/shop.html"))))
        .route("/basket", get(|| page("Basket", include_str!("demo/basket.html"))))
        .route("/sign-in", get(|| page("Sign in", include_str!("demo/sign_in.html"))).post(sign_in))
        .route("/sign-out", get(sign_out))
        .route("/account", get(account))
        .route("/timer", get(|| page("Steeping timer", include_str!("demo/timer.html"))))
        .route("/gift", get(|| page("Gift note", include_str!("demo/gift.html"))))
        .route("/gift/card", get(|| async { Html(include_str!("demo/card.html")) }))
        .route("/orders", get(|| page("Orders", include_str!("demo/orders.html"))))
        .route("/leaflet", get(|| page("Leaflet", "<h1 id=leaflet>Brewing leaflet</h1>")))
        .route("/harvest", get(harvest))
        .route("/style.css", get(style))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page") })
}

async fn page(title: &'static str, body: &'static str) -> Html<String> {
    Html(LAYOUT.replace("{title}", title).replace("{body}", body))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("demo/style.css"))
}

#[derive(Deserialize)]
struct SignIn {
    guest: String,
    password: String,
}

async fn sign_in(Form(form): Form<SignIn>) -> Response {
    let known = GUESTS.contains(&(form.guest.as_str(), form.password.as_str()));
    if !known {
        let body = include_str!("demo/sign_in.html").replace(
            "<!--error-->",
            "<p id=\"error\" role=\"alert\">We do not know this guest.</p>",
        );
        let html = Html(LAYOUT.replace("{title}", "Sign in").replace("{body}", &body));
        return (StatusCode::UNAUTHORIZED, html).into_response();
    }
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", form.guest);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/account")).into_response()
}

async fn sign_out() -> Response {
    let cookie = format!("{COOKIE}=; Path=/; Max-Age=0");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response()
}

async fn account(headers: HeaderMap) -> Response {
    let Some(name) = guest(&headers) else { return Redirect::to("/sign-in").into_response() };
    let body = format!(
        "<h1 id=\"welcome\">Good to see you, {name}</h1><p><a id=\"sign-out\" href=\"/sign-out\">Sign out</a></p>"
    );
    Html(LAYOUT.replace("{title}", "Account").replace("{body}", &body)).into_response()
}

/// Returns who is signed in. Only known names are shown, so the page never repeats what a cookie says.
fn guest(headers: &HeaderMap) -> Option<&'static str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let value = cookies
        .split(';')
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))?;
    match value {
        "mira" => Some("Mira"),
        "tom" => Some("Tom"),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Slow {
    #[serde(default)]
    ms: u64,
}

/// A page that is slow to answer, and slow again to show what matters.
async fn harvest(Query(slow): Query<Slow>) -> Html<String> {
    tokio::time::sleep(Duration::from_millis(slow.ms).min(SLOW_MAX)).await;
    page("Harvest", include_str!("demo/harvest.html")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_guests_are_shown() {
        let with = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            guest(&headers)
        };
        assert_eq!(with("a=b; leaf-guest=mira"), Some("Mira"));
        assert_eq!(with("leaf-guest=<script>"), None);
    }

    #[test]
    fn every_demo_recording_is_valid_and_recorded_on_the_demo_port() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo");
        let loaded = crate::import::load(&[folder.into()]).unwrap();
        assert!(loaded.len() >= 8);
        for recording in loaded {
            let text = String::from_utf8(recording.content).unwrap();
            assert!(text.contains("http://127.0.0.1:7431/"), "{}", recording.file);
        }
    }
}

//! Console and network of a test, as the browser tells them. Bounded; secrets are redacted before anybody sees.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use crate::{
    driver::GRACE,
    error::{DriverError, cut},
    pages::Pages,
    session::Session,
};

/// Entries that are kept of each; the first ones, since what follows a failure mostly repeats it.
const ENTRIES_MAX: usize = 500;

/// What a test's pages said and fetched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Logs {
    /// What was written to the console, errors that nobody caught included.
    pub console: Vec<ConsoleEntry>,
    /// What was fetched.
    pub requests: Vec<Request>,
    /// Entries that were not kept.
    pub dropped: u32,
    began: Option<Instant>,
}

/// One entry of the console.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsoleEntry {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What was written, or the error.
    pub text: String,
    /// When it was heard of, after the start of the test.
    pub offset: Duration,
}

/// One request that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// GET, POST, …
    pub method: String,
    /// Without user and password.
    pub url: String,
    /// 0 if there was no answer.
    pub status: u16,
    /// Why there was none.
    pub error: Option<String>,
    /// From its start to the last byte.
    pub duration: Duration,
    /// When its end was heard of, after the start of the test.
    pub offset: Duration,
}

impl Logs {
    /// Begins anew, if logs are kept. Times are those at which things are heard of: the browser's clock may be another
    /// machine's.
    pub(crate) fn start(kept: bool) -> Self {
        Self { began: kept.then(Instant::now), ..Self::default() }
    }

    /// Takes one event in, if it is one of ours.
    pub(crate) fn take(&mut self, method: &str, params: &Value) {
        let Some(offset) = self.began.map(|began| began.elapsed()) else { return };
        let text = |value: &Value| cut(value.as_str().unwrap_or_default());
        match method {
            "log.entryAdded" if self.console.len() < ENTRIES_MAX => {
                self.console.push(ConsoleEntry {
                    level: text(&params["level"]),
                    text: text(&params["text"]),
                    offset,
                });
            }
            "network.responseCompleted" | "network.fetchError"
                if self.requests.len() < ENTRIES_MAX =>
            {
                let request = &params["request"];
                let started = request["timings"]["requestTime"].as_f64().unwrap_or_default();
                let ended = request["timings"]["responseEnd"].as_f64().unwrap_or_default();
                let status = params["response"]["status"].as_u64().unwrap_or_default();
                self.requests.push(Request {
                    method: text(&request["method"]),
                    url: cut(&without_user(request["url"].as_str().unwrap_or_default())),
                    status: u16::try_from(status).unwrap_or_default(),
                    error: params["errorText"].as_str().map(cut),
                    duration: Duration::from_secs_f64((ended - started).max(0.0) / 1_000.0),
                    offset,
                });
            }
            "log.entryAdded" | "network.responseCompleted" | "network.fetchError" => {
                self.dropped += 1;
            }
            _ => {}
        }
    }

    /// Says of requests that got no answer what `explain` knows about the host and the port of their URL.
    pub(crate) fn explain(&mut self, explain: impl Fn(&str, u16) -> Option<String>) {
        for request in self.requests.iter_mut().filter(|request| request.error.is_some()) {
            let Ok(url) = Url::parse(&request.url) else { continue };
            let Some((host, port)) = url.host_str().zip(url.port_or_known_default()) else {
                continue;
            };
            if let Some(why) = explain(host.trim_matches(['[', ']']), port) {
                request.error = Some(why);
            }
        }
    }

    /// Changes every text that may hold a secret.
    pub(crate) fn redact(&mut self, redact: impl Fn(&str) -> String) {
        let requests = self.requests.iter_mut();
        let requests = requests.flat_map(|r| [Some(&mut r.url), r.error.as_mut()]).flatten();
        for text in self.console.iter_mut().map(|entry| &mut entry.text).chain(requests) {
            *text = redact(text);
        }
    }
}

fn without_user(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            let _ = (parsed.set_username(""), parsed.set_password(None));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

impl Session<'_> {
    /// Has console and network told, from the first test of a browser that wants them on: to subscribe for each test costs
    /// it some 20 ms. Nobody tells them to who has to look.
    pub(crate) async fn keep_logs(&self) -> Result<(), DriverError> {
        let bidi = match self.pages {
            Pages::DevTools(devtools) => {
                return devtools.tell_logs(self.user_context.as_deref().unwrap_or_default()).await;
            }
            Pages::Bidi(bidi) => bidi,
            Pages::Classic(_) => return Ok(()),
        };
        if bidi.tells_logs.load(Ordering::Relaxed) {
            return Ok(());
        }
        let events = ["log.entryAdded", "network.responseCompleted", "network.fetchError"];
        let subscribe = json!({ "events": events });
        self.pages.command("session.subscribe", subscribe, GRACE).await?;
        bidi.tells_logs.store(true, Ordering::Relaxed);
        Ok(())
    }
}

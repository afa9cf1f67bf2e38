//! A remote W3C endpoint, such as a Selenium Grid or Moon: sessions come from it, no process of ours runs (G1).
//!
//! The scheduler is the queue, so a grid is never asked for more than it has free: new-session requests in flight are
//! bounded by the free slots that `GET /status` tells of. A grid that keeps failing is left alone for a while (the
//! breaker). A session that comes after nobody waits for it any more is closed. After a crash the grid's own time limit
//! closes what was open.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{sync::oneshot, time::Instant};
use url::Url;

use crate::{
    LaunchError,
    driver::lock,
    endpoint::{Endpoint, EndpointError, Opened},
    kind,
};
use breaker::Breaker;

mod breaker;

/// Pause between two looks whether a slot is free.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// How long a new session is waited for by the task that closes it when it comes too late.
const LATE_MAX: Duration = Duration::from_secs(600);

/// A remote endpoint and what it may be asked for. One per endpoint and process: it counts.
#[derive(Debug)]
pub struct Grid {
    endpoint: Endpoint,
    capabilities: Map<String, Value>,
    sessions_max: u32,
    state: Mutex<State>,
    /// One look at the status at a time, so that two cannot take the same slot.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    in_flight: u32,
    /// Sessions of ours that are open.
    open: HashSet<String>,
    /// New-session requests that have ended.
    ended: u64,
    breaker: Breaker,
}

/// Who we are at a grid.
#[derive(Clone)]
pub struct BasicAuth {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A new-session request that may be sent.
struct Permit(Arc<Grid>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.in_flight -= 1;
        state.ended += 1;
    }
}

impl Grid {
    /// Returns the grid at `url`. `capabilities` are added to what every session asks for, and win over it.
    ///
    /// # Errors
    /// [`LaunchError::Endpoint`]: the URL is not one of http or https, or user or password cannot be sent.
    pub fn new(
        url: &str,
        auth: Option<BasicAuth>,
        capabilities: Map<String, Value>,
        sessions_max: u32,
    ) -> Result<Arc<Self>, LaunchError> {
        let wrong = |detail: &str| LaunchError::Endpoint { detail: detail.to_owned() };
        let mut base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong("its URL must be one of http or https"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        if let Some(BasicAuth { user, password }) = auth {
            let set = base.set_username(&user).and_then(|()| base.set_password(Some(&password)));
            // fantoccini sends them as they stand in the URL, where other characters are escaped.
            if set.is_err() || (base.username(), base.password()) != (&user, Some(&password)) {
                let signs = "user and password may hold letters, digits and -._~!$&'()*+, only";
                return Err(wrong(signs));
            }
        }
        let mut all = kind::common();
        all.insert("webSocketUrl".to_owned(), json!(true));
        all.extend(capabilities);
        Ok(Arc::new(Self {
            endpoint: Endpoint::new(base),
            capabilities: all,
            sessions_max: sessions_max.max(1),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a session for a browser of this name, which the grid's own capabilities may overrule.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue; a session that comes nevertheless is closed.
    pub(crate) async fn open(
        self: &Arc<Self>,
        browser_name: &str,
        limit: Duration,
    ) -> Result<Opened, LaunchError> {
        let deadline = Instant::now() + limit;
        let mut capabilities = self.capabilities.clone();
        capabilities.entry("browserName").or_insert_with(|| json!(browser_name));
        let permit = self.permit(capabilities["browserName"].as_str(), deadline, limit).await?;
        let (answer, wait) = oneshot::channel();
        let grid = Arc::clone(self);
        #[expect(
            clippy::disallowed_methods,
            reason = "it must outlive whoever asked, to close what comes too late; bounded by LATE_MAX"
        )]
        tokio::spawn(async move {
            let opened = grid.ask(&capabilities, permit).await;
            if let Err(Ok(late)) = answer.send(opened) {
                tracing::warn!(grid = ?grid.endpoint, "a session came too late and is closed");
                grid.close(&late.id).await;
            }
        });
        match tokio::time::timeout_at(deadline, wait).await {
            Ok(Ok(Ok(opened))) => Ok(opened),
            Ok(Ok(Err(error))) => Err(LaunchError::Session { detail: error.to_string() }),
            Ok(Err(_)) => Err(LaunchError::Session { detail: "its task ended".to_owned() }),
            Err(_) => {
                lock(&self.state).breaker.failed(Instant::now());
                Err(LaunchError::TooSlow { what: "opening a session at the grid", after: limit })
            }
        }
    }

    async fn ask(
        &self,
        capabilities: &Map<String, Value>,
        _permit: Permit,
    ) -> Result<Opened, EndpointError> {
        let opened = tokio::time::timeout(LATE_MAX, self.endpoint.open(capabilities)).await;
        let opened = opened.unwrap_or_else(|_| {
            Err(EndpointError::Unreachable(format!("no session in {LATE_MAX:?}")))
        });
        let mut state = lock(&self.state);
        match &opened {
            Ok(opened) => {
                state.open.insert(opened.id.clone());
                state.breaker.succeeded();
            }
            Err(error) if error.is_trouble() => state.breaker.failed(Instant::now()),
            Err(_) => state.breaker.succeeded(),
        }
        opened
    }

    /// Tells whether a session is open and ours.
    pub(crate) fn is_open(&self, id: &str) -> bool {
        lock(&self.state).open.contains(id)
    }

    /// Closes a session within [`crate::endpoint::DELETE_LIMIT`], on a connection of its own: one that hangs keeps the
    /// session's own connection busy.
    pub(crate) async fn close(&self, id: &str) {
        lock(&self.state).open.remove(id);
        if let Err(error) = self.endpoint.close(id).await {
            tracing::warn!(grid = ?self.endpoint, %error, "a session may linger at the grid until its own time limit");
        }
    }

    /// Waits until the grid has a slot for one more request.
    async fn permit(
        self: &Arc<Self>,
        browser_name: Option<&str>,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Permit, LaunchError> {
        loop {
            if let Some(permit) = self.try_permit(browser_name).await? {
                return Ok(permit);
            }
            if Instant::now() + LOOK_PAUSE >= deadline {
                let what = "waiting for a free slot of the grid";
                return Err(LaunchError::TooSlow { what, after: limit });
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn try_permit(
        self: &Arc<Self>,
        browser_name: Option<&str>,
    ) -> Result<Option<Permit>, LaunchError> {
        let _turn = self.turn.lock().await;
        let ended = {
            let mut state = lock(&self.state);
            if let Some((failures, after)) = state.breaker.refuses(Instant::now()) {
                let endpoint = self.endpoint.origin();
                return Err(LaunchError::Broken { endpoint, failures, after });
            }
            state.ended
        };
        let status = match self.endpoint.status().await {
            Ok(status) => status,
            Err(error) => {
                lock(&self.state).breaker.failed(Instant::now());
                return Err(LaunchError::Session { detail: format!("grid status: {error}") });
            }
        };
        let mut state = lock(&self.state);
        if state.ended != ended {
            // A session came up while the grid answered: the answer may not know of it.
            return Ok(None);
        }
        let ours = u32::try_from(state.open.len()).unwrap_or(u32::MAX);
        let room = self.sessions_max.saturating_sub(ours);
        let free = free_slots(&status, browser_name).map_or(room, |free| free.min(room));
        if state.in_flight >= free {
            return Ok(None);
        }
        state.in_flight += 1;
        drop(state);
        Ok(Some(Permit(Arc::clone(self))))
    }
}

/// Returns how many sessions a status says can be opened; `None` if it does not say, as a single driver's does not.
fn free_slots(status: &Value, browser_name: Option<&str>) -> Option<u32> {
    if status["ready"] == false {
        return Some(0);
    }
    let nodes = status["nodes"].as_array()?;
    let up = nodes.iter().filter(|node| node["availability"].as_str().is_none_or(|at| at == "UP"));
    let slots = up.flat_map(|node| node["slots"].as_array().into_iter().flatten());
    let free = slots.filter(|slot| {
        let fits = match (slot["stereotype"]["browserName"].as_str(), browser_name) {
            (Some(has), Some(wanted)) => has.eq_ignore_ascii_case(wanted),
            _ => true,
        };
        slot["session"].is_null() && fits
    });
    u32::try_from(free.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_slots_are_those_of_living_nodes_without_a_session_for_this_browser() {
        let slot = |name: &str, busy: bool| {
            let session = if busy { json!({ "sessionId": "x" }) } else { Value::Null };
            json!({ "session": session, "stereotype": { "browserName": name } })
        };
        let status = json!({ "ready": true, "nodes": [
            { "availability": "UP", "slots": [slot("chrome", true), slot("chrome", false), slot("firefox", false)] },
            { "availability": "DRAINING", "slots": [slot("chrome", false)] },
        ]});
        assert_eq!(free_slots(&status, Some("Chrome")), Some(1));
        assert_eq!(free_slots(&status, None), Some(2));
        assert_eq!(free_slots(&json!({ "ready": false }), None), Some(0));
        assert_eq!(free_slots(&json!({ "ready": true }), None), None);
    }

    #[test]
    fn a_password_never_shows_and_one_that_would_be_sent_wrongly_is_refused() {
        let auth =
            |password: &str| BasicAuth { user: "u".to_owned(), password: password.to_owned() };
        let grid = Grid::new("http://h:4444/wd/hub", Some(auth("s3cret")), Map::new(), 1);
        let grid = grid.expect("a grid");
        assert!(!format!("{grid:?} {:?}", auth("s3cret")).contains("s3cret"));
        assert_eq!(grid.endpoint.base().path(), "/wd/hub/");
        assert!(Grid::new("http://h", Some(auth("a b")), Map::new(), 1).is_err());
        assert!(Grid::new("ftp://h", None, Map::new(), 1).is_err());
    }
}

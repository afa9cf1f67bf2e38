//! Steps about whole pages: navigate, viewport, network, scroll, close.

use std::time::Duration;

use gauntlet_core::flow::{FailureClass, Selectors, Step, StepKind, Target, Viewport};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::Done;
use crate::{
    Network,
    bidi::Events,
    error::{DriverError, tells_unreachable},
    locate::{Act, Want},
    session::{Session, Stop, limit},
};

const SCROLL: &str = include_str!("../js/act/scroll.js");

impl Session<'_> {
    /// Loads a URL and waits for `load`.
    pub(super) async fn navigate(
        &mut self,
        step: &Step,
        url: &str,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let (page, mut path) = self.target(step, deadline).await?;
        if step.target == Target::Current {
            path.clear();
            self.current = Some((page.clone(), Vec::new()));
        }
        let url = &self.absolute(url)?;
        if let Some(Err(denied)) = self.proxy.map(|proxy| proxy.vet_url(url)) {
            return Err(Stop::failure(FailureClass::EgressDenied, denied));
        }
        if url.contains('@') {
            // The browser remembers whom it logged in as.
            self.lasting = Some("a login by URL");
        }
        let frame = self.pages.wait_for(deadline, |events| events.frame_at(&page, &path)).await;
        let Some(context) = frame else {
            return Err(Stop::failure(
                FailureClass::ElementNotFound,
                "the step's frame did not appear in time",
            ));
        };
        if self.holds() {
            return Err(DriverError::open_dialog("browsingContext.navigate").into());
        }
        let mark = self.pages.events().mark();
        let order = json!({ "context": context, "url": url, "wait": "complete" });
        let wait = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        // A page that shows a dialog while it loads goes on when a step has answered it.
        let held = |events: &Events| events.held.then_some(Value::Null);
        let ended = tokio::select! {
            ended = self.pages.command("browsingContext.navigate", order, wait) => ended,
            Some(nothing) = self.pages.wait_for(deadline, held) => Ok(nothing),
        };
        match ended {
            Ok(_) => Ok(Done::default()),
            Err(DriverError::Hung { .. }) => {
                let stop =
                    Stop::failure(FailureClass::Timeout, "the page did not finish loading in time");
                Err(stop.because(format!("{url} loaded"), "still loading"))
            }
            Err(error) if error.is_fatal() => Err(error.into()),
            Err(error) => {
                self.navigation_failed(&context, mark, url, &error.to_string(), deadline).await
            }
        }
    }

    /// Returns a URL that may be relative to the flow's own base.
    fn absolute(&self, url: &str) -> Result<String, Stop> {
        let whole = Url::parse(url).or_else(|error| match &self.base_url {
            Some(base) => Url::parse(base).and_then(|base| base.join(url)),
            None => Err(error),
        });
        whole.map(Into::into).map_err(|error| {
            Stop::failure(FailureClass::ImportError, "the page has no usable address")
                .because("a URL, or a path below a base URL", format!("{url}: {error}"))
        })
    }

    async fn navigation_failed(
        &self,
        context: &str,
        mark: u64,
        url: &str,
        why: &str,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        // A page that sends the browser elsewhere while it loads aborts our navigation, and that is no failure.
        let replaced =
            why.contains("ERR_ABORTED") || why.contains("abort") || why.contains("cancel");
        if replaced
            && self
                .pages
                .wait_for(deadline, |events| {
                    events.navigated_since(context, mark, false).then_some(())
                })
                .await
                .is_some()
        {
            return Ok(Done::default());
        }
        let gone = tells_unreachable(why);
        let class = if gone { FailureClass::TargetUnreachable } else { FailureClass::Navigation };
        Err(Stop::failure(class, "the page could not be loaded")
            .because(format!("{url} loaded"), why))
    }

    pub(super) async fn set_viewport(
        &mut self,
        step: &Step,
        viewport: Viewport,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        self.enter(step, deadline).await?;
        if step.target != Target::Main || viewport != self.viewport {
            self.emulate(viewport, limit(deadline)).await?;
        }
        Ok(Done::default())
    }

    /// Throttles the main page, as the reference does; zero both ways is offline.
    pub(super) async fn throttle(
        &mut self,
        download: f64,
        upload: f64,
        latency_ms: f64,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        self.enter(&Step::new(StepKind::Close), deadline).await?;
        let network = if download == 0.0 && upload == 0.0 {
            Network::Offline
        } else {
            Network::Slow { download, upload, latency_ms }
        };
        self.lasting = Some("a change of the network");
        self.throttle_page(network, limit(deadline)).await?;
        Ok(Done::default())
    }

    pub(super) async fn scroll(
        &mut self,
        step: &Step,
        selectors: Option<&Selectors>,
        to: (f64, f64),
        deadline: Instant,
    ) -> Result<Done, Stop> {
        if let Some(selectors) = selectors {
            let act = Act { script: SCROLL, given: json!({ "left": to.0, "top": to.1 }) };
            let ready = self.ready(step, selectors, Want::Scroll, act, deadline).await?;
            return Ok(Done::by(ready.alternative));
        }
        self.enter(step, deadline).await?;
        let script = "const [left, top] = arguments; scrollTo({ left, top, behavior: 'instant' });";
        self.examine(script, json!([to.0, to.1]), deadline).await?;
        Ok(Done::default())
    }

    pub(super) async fn close_page(
        &mut self,
        step: &Step,
        deadline: Instant,
    ) -> Result<Done, Stop> {
        let (page, path) = self.target(step, deadline).await?;
        if !path.is_empty() && step.target != Target::Current {
            // A frame cannot be closed; the reference leaves it alone, too.
            return Ok(Done::default());
        }
        self.pages
            .command("browsingContext.close", json!({ "context": page }), limit(deadline))
            .await?;
        let closed = self
            .pages
            .wait_for(deadline, |events| events.context(&page).is_none().then_some(()))
            .await;
        self.lose_way();
        match closed {
            Some(()) => Ok(Done::default()),
            None => Err(Stop::failure(FailureClass::Timeout, "the page did not close in time")),
        }
    }
}

//! One test's own corner of the browser: its user context, its pages, and which page and frame commands go to.

use std::time::Duration;

use gauntlet_core::flow::{FailureClass, Scope, Step, Target, Viewport};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    TestOptions,
    bidi::Events,
    devtools::DevTools,
    driver::{Driver, GRACE, Place, Turns},
    egress::EgressProxy,
    emulate::{permit, refuse_to_pretend},
    error::DriverError,
    hand::Hand,
    pages::Pages,
    reset::Traces,
    run::Reach,
    tab::Tab,
};

/// Pause between two looks at a page.
pub(crate) const POLL: Duration = Duration::from_millis(15);

/// Why a step stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The page is not as the test wants it.
    Failure(Box<Problem>),
    /// A command failed.
    Driver(DriverError),
}

/// What is wrong with the page.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) class: FailureClass,
    pub(crate) message: String,
    pub(crate) expected: Option<String>,
    pub(crate) found: Option<String>,
}

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        if error.is_open_dialog() {
            let message = "a dialog is open, and the step does not answer it";
            return Self::failure(FailureClass::Assertion, message).because("no dialog", "one");
        }
        match error {
            // Nothing is wrong with the browser: it is asked for what it does not have.
            DriverError::Unsupported { .. } => {
                Self::failure(FailureClass::Unknown, error.to_string())
            }
            error => Self::Driver(error),
        }
    }
}

impl Stop {
    pub(crate) fn failure(class: FailureClass, message: impl Into<String>) -> Self {
        Self::Failure(Box::new(Problem {
            class,
            message: message.into(),
            expected: None,
            found: None,
        }))
    }

    pub(crate) fn because(self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        match self {
            Self::Failure(mut problem) => {
                problem.expected = Some(crate::error::cut(&expected.into()));
                problem.found = Some(crate::error::cut(&found.into()));
                Self::Failure(problem)
            }
            driver => driver,
        }
    }
}

/// A test's state in the browser.
pub(crate) struct Session<'b> {
    pub(crate) driver: &'b Driver,
    pub(crate) pages: &'b Pages,
    pub(crate) options: &'b TestOptions,
    /// The way out of a browser of this machine; it knows why pages were not reached.
    pub(crate) proxy: Option<&'b EgressProxy>,
    pub(crate) reach: Reach,
    pub(crate) main: String,
    /// Where it runs, until it is given back.
    tab: Option<Tab>,
    /// Whether commands go to the test's page, or have gone.
    pub(crate) arrived: bool,
    /// When the step before began, if it may have begun a navigation that nobody has told yet.
    pub(crate) acted: Option<u64>,
    /// Kept until the test's first page is there: then the next test's tab is made.
    pub(crate) busy: Option<oneshot::Sender<()>>,
    /// Mouse and keyboard.
    pub(crate) hand: Hand,
    /// What the test has done that nobody can undo.
    pub(crate) lasting: Option<&'static str>,
    pub(crate) viewport: Viewport,
    /// The test's variables.
    pub(crate) scope: Scope,
    /// Where relative URLs start.
    pub(crate) base_url: Option<String>,
    /// The window and the way down to the frame that steps have chosen, for [`Target::Current`].
    pub(crate) current: Option<(String, Vec<u16>)>,
    /// The context that isolates the test; where there is none, the session itself does.
    pub(crate) user_context: Option<String>,
}

/// Returns how long a command may take when its step ends at `deadline`.
pub(crate) fn limit(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()) + GRACE
}

impl<'b> Session<'b> {
    /// Begins a test in its tab; without user contexts in the tab of the session, which nobody had before.
    pub(crate) async fn open(
        driver: &'b Driver,
        pages: &'b Pages,
        options: &'b TestOptions,
        tab: Option<Tab>,
        origins: &[String],
    ) -> Result<Session<'b>, Stop> {
        let user_context = tab.as_ref().map(|tab| tab.user_context.clone());
        pages.events().start_test(options.dialogs, options.logs, user_context.as_deref());
        let main = match &tab {
            Some(tab) => {
                permit(pages, tab.permissions(), &tab.user_context, origins).await?;
                tab.page.clone()
            }
            None => {
                refuse_to_pretend(&options.emulation)?;
                let main = driver.call(http::Method::GET, "window", None, GRACE * 2).await?;
                main.as_str().unwrap_or_default().to_owned()
            }
        };
        let mut session = Self {
            driver,
            pages,
            options,
            proxy: None,
            reach: Reach::default(),
            main,
            tab,
            arrived: false,
            acted: None,
            busy: None,
            hand: Hand::default(),
            lasting: None,
            viewport: options.viewport,
            scope: Scope::default(),
            base_url: None,
            current: None,
            user_context,
        };
        if session.tab.is_none() {
            session.arrive().await?;
            // As it is by itself.
            session.viewport.has_touch = false;
            session.emulate(options.viewport, GRACE).await?;
        }
        if let Some(network) = options.emulation.network {
            session.arrive().await?;
            session.throttle_page(network, GRACE).await?;
        }
        if options.logs {
            session.keep_logs().await?;
        }
        Ok(session)
    }

    /// Has commands go to the test's page, if they have gone nowhere yet.
    pub(crate) async fn arrive(&mut self) -> Result<(), DriverError> {
        if std::mem::replace(&mut self.arrived, true) {
            return Ok(());
        }
        if self.pages.devtools().is_some() {
            self.driver.head_for(Place::page(&self.main), Turns::new());
            return Ok(());
        }
        self.driver.go(Place::page(&self.main), Turns::new(), GRACE * 2).await
    }

    /// Releases keys and buttons, and gives the tab back, with what is known of what the test has left.
    pub(crate) async fn close(mut self) -> Result<Option<(Tab, Traces)>, DriverError> {
        if self.hand.holds() {
            self.let_go().await?;
        }
        let driven = self.driver.is_there();
        self.driver.leave();
        let left = self.pages.events().end_test(&self.main);
        let left = Traces {
            acted: self.arrived,
            driven,
            screen: Some(self.viewport),
            lasting: self.lasting.or(left.lasting),
            ..left
        };
        Ok(self.tab.map(|tab| (tab, left)))
    }

    /// Returns the page (or frame) that a step acts on, and the way down from the page, waiting for it until `deadline`.
    pub(crate) async fn target(
        &self,
        step: &Step,
        deadline: Instant,
    ) -> Result<(String, Vec<u16>), Stop> {
        let url = match (&step.target, &self.current) {
            (Target::Url(url), _) => url,
            (Target::Current, Some((page, path))) => {
                let path = path.iter().chain(&step.frame).copied();
                return self.open_page(page, path.collect(), deadline).await;
            }
            (Target::Main | Target::Current, _) => {
                return self.open_page(&self.main, step.frame.clone(), deadline).await;
            }
        };
        let found = self.pages.wait_for(deadline, |events| {
            let id = events.find_url(self.user_context.as_deref(), url)?;
            Some(events.path_of(&id))
        });
        let Some((page, mut path)) = found.await else {
            let message = "no page or frame with the target's URL appeared in time";
            return Err(
                Stop::failure(FailureClass::Navigation, message).because(url, "no such page")
            );
        };
        path.extend(&step.frame);
        Ok((page, path))
    }

    async fn open_page(
        &self,
        page: &str,
        path: Vec<u16>,
        deadline: Instant,
    ) -> Result<(String, Vec<u16>), Stop> {
        let is_open = self.pages.events().context(page).is_some();
        if !is_open {
            // A page whose process died is gone like one that was closed; only the browser knows.
            let asked = match self.pages.devtools() {
                Some(devtools) => Err(devtools.gone(page, "a look at the page")),
                None => self.driver.call(http::Method::GET, "title", None, limit(deadline)).await,
            };
            if let Err(error) = asked
                && error.is_fatal()
            {
                return Err(error.into());
            }
            let which = if page == self.main { "main page" } else { "window" };
            let message = format!("the {which} is closed");
            return Err(Stop::failure(FailureClass::Navigation, message));
        }
        Ok((page.to_owned(), path))
    }

    /// Sends the following commands to the step's page and frame, waiting for it until `deadline`.
    pub(crate) async fn enter(&mut self, step: &Step, deadline: Instant) -> Result<(), Stop> {
        loop {
            let (page, path) = self.target(step, deadline).await?;
            match self.go(Place { page, path: path.clone() }, limit(deadline)).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) if error.is_open_dialog() && self.holds() => return Err(error.into()),
                Err(error) if Instant::now() >= deadline => {
                    let class = FailureClass::ElementNotFound;
                    let message = "the step's frame did not appear in time";
                    return Err(Stop::failure(class, message)
                        .because(format!("frame {path:?}"), error.to_string()));
                }
                Err(_) => {
                    self.pages.answer_dialog(limit(deadline)).await?;
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    async fn go(&mut self, place: Place, limit: Duration) -> Result<(), DriverError> {
        let turns = self.pages.turns(&place, limit).await?;
        if self.pages.devtools().is_none() {
            return self.driver.go(place, turns, limit).await;
        }
        self.arrived = true;
        self.driver.head_for(place, turns);
        Ok(())
    }

    /// Returns the page or frame that commands go to.
    pub(crate) fn frame(&self) -> Option<String> {
        let place = self.driver.place()?;
        self.pages.events().frame_at(&place.page, &place.path)
    }

    /// Forgets which page and frame commands go to.
    pub(crate) fn lose_way(&self) {
        self.driver.lose_way();
    }

    /// Sends a POST; if a dialog is open, which refuses every command unexecuted, waits until it has been answered,
    /// unless that is for a step to do.
    pub(crate) async fn post(
        &self,
        path: &'static str,
        body: Value,
        deadline: Instant,
    ) -> Result<Value, DriverError> {
        loop {
            match self.driver.post(path, body.clone(), limit(deadline)).await {
                Err(error)
                    if error.is_open_dialog() && !self.holds() && Instant::now() < deadline =>
                {
                    self.pages.answer_dialog(limit(deadline)).await?;
                    tokio::time::sleep(POLL).await;
                }
                answer => return answer,
            }
        }
    }

    /// Tells whether a dialog is open that waits for a step to answer it.
    pub(crate) fn holds(&self) -> bool {
        self.pages.events().held
    }

    /// Runs a script in the current frame.
    pub(crate) async fn execute(
        &self,
        script: &str,
        args: Value,
        deadline: Instant,
    ) -> Result<Value, DriverError> {
        self.post("execute/sync", json!({ "script": script, "args": args }), deadline).await
    }

    /// Returns the document that commands go to, where `DevTools` reach it beside the driver.
    pub(crate) fn near(&self) -> Option<(&DevTools, (String, String))> {
        let (devtools, frame) = self.pages.devtools().zip(self.frame())?;
        let document = devtools.document_of(&frame)?;
        Some((devtools, (frame, document)))
    }

    /// Runs a script of ours that looks at the current frame, on the shortest way there is; null where a dialog that waits for
    /// a step got in between.
    pub(crate) async fn examine(
        &self,
        script: &str,
        args: Value,
        deadline: Instant,
    ) -> Result<Value, DriverError> {
        let Some((devtools, (frame, document))) = self.near() else {
            return self.execute(script, args, deadline).await;
        };
        if self.holds() {
            return Err(DriverError::open_dialog("a look at the page"));
        }
        let held = |events: &Events| events.held.then_some(Value::Null);
        tokio::select! {
            answer = devtools.call((&frame, &document), script, args, limit(deadline)) => answer,
            Some(nothing) = self.pages.wait_for(deadline, held) => Ok(nothing),
        }
    }

    /// Takes a picture of the page that commands go to, or else of the main page; `None` if that takes too long.
    pub(crate) async fn screenshot(&mut self, limit: Duration) -> Option<Vec<u8>> {
        use base64::Engine as _;
        self.arrive().await.ok()?;
        let taken = if let (Some(devtools), Some(place)) =
            (self.pages.devtools(), self.driver.place())
        {
            devtools.page(&place.page, "Page.captureScreenshot", json!({}), limit / 2).await
        } else if self.driver.has_cdp() {
            // Measured: for a popup chromedriver's `BiDi` never answers, so the driver is asked first.
            self.driver.cdp("Page.captureScreenshot", json!({}), limit / 2).await
        } else {
            let taken = self.driver.call(http::Method::GET, "screenshot", None, limit / 2).await;
            taken.map(|data| json!({ "data": data }))
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(_) => {
                let page = json!({ "context": self.main });
                self.pages
                    .command("browsingContext.captureScreenshot", page, limit / 2)
                    .await
                    .ok()?
            }
        };
        base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str()?).ok()
    }
}

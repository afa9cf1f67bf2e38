//! The kinds of browser, and in one place all that differs between them before a session is open.
//!
//! What differs inside a session is asked of the session: whether it has `BiDi`, and whether it takes commands of the
//! Chrome `DevTools` protocol.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{BrowserConfig, Programs, sweep};

/// Which browser is driven, and how it shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BrowserKind {
    /// `chromium-headless-shell`: fast, and what tests want.
    #[default]
    HeadlessShell,
    /// Full Chromium without a window.
    Chromium,
    /// Full Chromium with a window.
    ChromiumHeaded,
    /// Firefox without a window.
    Firefox,
    /// Firefox with a window.
    FirefoxHeaded,
    /// `WebKitGTK`'s small browser; it always has a window, on a screen of its own that nobody sees.
    WebKit,
}

/// What renders the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

/// How a driver is told its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// It chooses one, and says so after these words.
    Announced(&'static str),
    /// It takes the one it is given, and says nothing.
    Given,
}

impl BrowserKind {
    pub(crate) fn engine(self) -> Engine {
        match self {
            Self::HeadlessShell | Self::Chromium | Self::ChromiumHeaded => Engine::Chromium,
            Self::Firefox | Self::FirefoxHeaded => Engine::Firefox,
            Self::WebKit => Engine::WebKit,
        }
    }

    /// Tells whether a screen of its own is started for it: where there is a display, a window that is asked for is shown.
    pub(crate) fn wants_screen(self, has_display: bool) -> bool {
        match self {
            Self::WebKit => true,
            Self::ChromiumHeaded | Self::FirefoxHeaded => !has_display,
            Self::HeadlessShell | Self::Chromium | Self::Firefox => false,
        }
    }
}

impl Engine {
    /// Returns how its driver comes by its port.
    pub(crate) fn port(self) -> Port {
        match self {
            Self::Chromium => Port::Announced("started successfully on port "),
            Self::Firefox => Port::Announced("Listening on 127.0.0.1:"),
            Self::WebKit => Port::Given,
        }
    }

    /// Returns the arguments of its driver; `port` is 0 where the driver chooses.
    pub(crate) fn driver_args(self, port: u16, folder: &Path) -> Vec<String> {
        let own = match self {
            Self::Chromium => vec![
                "--log-level=WARNING".to_owned(),
                format!("--log-path={}", folder.join("driver.log").display()),
            ],
            Self::Firefox => vec![
                "--log=info".to_owned(),
                // Beside its own port: the fixed one it would take belongs to one browser only.
                "--websocket-port=0".to_owned(),
                format!("--profile-root={}", folder.display()),
            ],
            Self::WebKit => Vec::new(),
        };
        [vec![format!("--port={port}")], own].concat()
    }

    /// Returns what grids call it.
    pub(crate) fn name_at_grid(self) -> &'static str {
        match self {
            Self::Chromium => "chrome",
            Self::Firefox => "firefox",
            Self::WebKit => "safari",
        }
    }
}

/// Returns what every session asks for.
pub(crate) fn common() -> Map<String, Value> {
    object(json!({
        // Navigation is watched; no classic command may wait for a page that never loads.
        "pageLoadStrategy": "none",
        // Dialogs are answered by policy.
        "unhandledPromptBehavior": "ignore",
    }))
}

/// Returns what a session of a browser of this machine asks for.
pub(crate) fn capabilities(
    config: &BrowserConfig,
    programs: &Programs,
    folder: &Path,
) -> Map<String, Value> {
    let binary = &programs.browser;
    let own = match config.kind {
        // With "chrome" a classic session on the headless shell fails.
        BrowserKind::HeadlessShell => json!({
            "browserName": "chrome-headless-shell",
            "goog:chromeOptions": { "binary": binary, "args": flags(config, folder) },
        }),
        BrowserKind::Chromium | BrowserKind::ChromiumHeaded => json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": binary, "args": flags(config, folder) },
        }),
        BrowserKind::Firefox | BrowserKind::FirefoxHeaded => {
            let args: &[&str] =
                if config.kind == BrowserKind::Firefox { &["-headless"] } else { &[] };
            json!({
                "browserName": "firefox", "webSocketUrl": true,
                "moz:firefoxOptions": { "binary": binary, "args": args, "prefs": prefs() },
            })
        }
        BrowserKind::WebKit => json!({
            "browserName": "MiniBrowser",
            "webkitgtk:browserOptions": { "binary": binary, "args": ["--automation"] },
        }),
    };
    let mut all = common();
    all.extend(object(own));
    all
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Preferences that keep Firefox from calling home; its driver sets most others of this sort itself.
fn prefs() -> Value {
    json!({
        "app.normandy.enabled": false,
        "browser.region.network.url": "",
        "browser.safebrowsing.update.enabled": false,
        "datareporting.healthreport.uploadEnabled": false,
        "network.captive-portal-service.enabled": false,
        "network.connectivity-service.enabled": false,
        "services.settings.server": "",
        "toolkit.telemetry.server": "",
        // A page in the back of a window must go on as one in front does.
        "dom.min_background_timeout_value": 4,
        "browser.tabs.unloadOnLowMemory": false,
    })
}

/// Flags that start clean without a network. `--vmodule` changes nothing but is handed down to every child process, so that
/// each carries the marker.
fn flags(config: &BrowserConfig, folder: &Path) -> Vec<String> {
    let mut flags: Vec<String> = [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-dev-shm-usage",
        "--disable-back-forward-cache",
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--password-store=basic",
        "--use-mock-keychain",
        "--window-size=1280,720",
    ]
    .map(str::to_owned)
    .into();
    if config.kind != BrowserKind::ChromiumHeaded {
        flags.push("--headless".to_owned());
    }
    if !config.sandbox {
        flags.push("--no-sandbox".to_owned());
    }
    flags.push(format!("--vmodule={}=0", sweep::tag(&config.marker)));
    flags.push(format!("--user-data-dir={}", folder.join("profile").display()));
    flags.extend(config.extra_args.iter().cloned());
    flags
}

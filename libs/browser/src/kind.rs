//! The kinds of browser, and in one place all that differs between them before a session is open.
//!
//! What differs inside a session is asked of the session: how its pages tell what they do, and whether it takes commands
//! of the Chrome `DevTools` protocol.

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

/// Returns what a session of a browser of this machine asks for; its connections go through the proxy at `proxy_port`.
pub(crate) fn capabilities(
    config: &BrowserConfig,
    programs: &Programs,
    folder: &Path,
    proxy_port: u16,
) -> Map<String, Value> {
    let binary = &programs.browser;
    let own = match config.kind {
        // With "chrome" a classic session on the headless shell fails.
        BrowserKind::HeadlessShell => json!({
            "browserName": "chrome-headless-shell",
            "goog:chromeOptions": { "binary": binary, "args": flags(config, folder, proxy_port) },
        }),
        BrowserKind::Chromium | BrowserKind::ChromiumHeaded => json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": binary, "args": flags(config, folder, proxy_port) },
        }),
        BrowserKind::Firefox | BrowserKind::FirefoxHeaded => {
            let args: &[&str] =
                if config.kind == BrowserKind::Firefox { &["-headless"] } else { &[] };
            json!({
                "browserName": "firefox", "webSocketUrl": true,
                "moz:firefoxOptions": { "binary": binary, "args": args, "prefs": prefs(proxy_port) },
            })
        }
        BrowserKind::WebKit => json!({
            "browserName": "MiniBrowser",
            "webkitgtk:browserOptions": {
                "binary": binary,
                "args": ["--automation", format!("--proxy=socks5://127.0.0.1:{proxy_port}")],
            },
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

/// Preferences that send all of Firefox's connections through the proxy and keep it from calling home; its driver sets most
/// others of the latter sort itself.
fn prefs(proxy_port: u16) -> Value {
    json!({
        "network.proxy.type": 1,
        "network.proxy.socks": "127.0.0.1",
        "network.proxy.socks_port": proxy_port,
        "network.proxy.socks_version": 5,
        "network.proxy.socks_remote_dns": true,
        "network.proxy.no_proxies_on": "",
        "network.proxy.allow_hijacking_localhost": true,
        "network.proxy.failover_direct": false,
        // Its own services would be tried again without.
        "network.proxy.allow_bypass": false,
        // Its limit of 32 is meant for proxies that many share.
        "network.http.max-persistent-connections-per-proxy": 256,
        // What would go beside the proxy: names, calls by UDP.
        "network.dns.disablePrefetch": true,
        "network.dns.disablePrefetchFromHTTPS": true,
        "network.trr.mode": 5,
        "network.http.http3.enable": false,
        "network.webtransport.enabled": false,
        "media.peerconnection.ice.proxy_only": true,
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
fn flags(config: &BrowserConfig, folder: &Path, proxy_port: u16) -> Vec<String> {
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
        // Measured: a page that gets a frame of its own, in the same process, costs an eighth of an empty test.
        "--disable-features=RenderDocument",
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--password-store=basic",
        "--use-mock-keychain",
        "--window-size=1280,720",
        // By itself it connects to this machine without the proxy.
        "--proxy-bypass-list=<-loopback>",
        // It looks up no name by itself, as it would to be early.
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        // Calls by UDP would go beside the proxy. One name is the headless shell's, the other full Chromium's.
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    ]
    .map(str::to_owned)
    .into();
    if config.kind != BrowserKind::ChromiumHeaded {
        flags.push("--headless".to_owned());
    }
    if !config.sandbox {
        flags.push("--no-sandbox".to_owned());
    }
    flags.push(format!("--proxy-server=socks5://127.0.0.1:{proxy_port}"));
    flags.push(format!("--vmodule={}=0", sweep::tag(&config.marker)));
    flags.push(format!("--user-data-dir={}", folder.join("profile").display()));
    flags.extend(config.extra_args.iter().cloned());
    flags
}

//! What each browser can do: the one table behind `import --check` and behind refusing a run before it starts.

use super::{Step, StepKind, Viewport};

/// A browser engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// Chromium, headless shell included.
    Chromium,
    /// Firefox.
    Firefox,
    /// WebKit.
    Webkit,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 3] = [Self::Chromium, Self::Firefox, Self::Webkit];

    /// Returns the stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::Webkit => "webkit",
        }
    }
}

/// How a browser performs a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// By the W3C's protocols.
    Native,
    /// By an endpoint of the browser's vendor.
    Vendor,
    /// Not at all, and why.
    Impossible(&'static str),
}

/// Returns how `engine` performs `step`.
#[must_use]
pub fn support(step: &Step, engine: Engine) -> Support {
    match (&step.kind, engine) {
        (StepKind::SetViewport(viewport), engine) => screen(*viewport, engine),
        (StepKind::EmulateNetworkConditions { .. }, Engine::Chromium) => Support::Vendor,
        (StepKind::EmulateNetworkConditions { download, upload, .. }, Engine::Firefox)
            if *download == 0.0 && *upload == 0.0 =>
        {
            Support::Native
        }
        (StepKind::EmulateNetworkConditions { .. }, Engine::Firefox) => {
            Support::Impossible("only being offline can be emulated, not a slow network")
        }
        (StepKind::EmulateNetworkConditions { .. }, Engine::Webkit) => {
            Support::Impossible("network conditions cannot be emulated")
        }
        (StepKind::KeyDown { key } | StepKind::KeyUp { key } | StepKind::Press { key, .. }, _)
            if key.key().value.is_none() =>
        {
            match engine {
                Engine::Chromium => Support::Vendor,
                Engine::Firefox | Engine::Webkit => {
                    Support::Impossible("its driver cannot press this key")
                }
            }
        }
        _ => Support::Native,
    }
}

/// What a run can make pages believe, besides their screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// Language and region.
    Locale,
    /// Time zone.
    TimeZone,
    /// Place on earth.
    Geolocation,
    /// Name of the browser.
    UserAgent,
    /// Permissions granted.
    Permissions,
    /// A network that is slow.
    SlowNetwork,
    /// No network.
    Offline,
}

/// Returns how `engine` makes pages believe something.
#[must_use]
pub fn belief(belief: Belief, engine: Engine) -> Support {
    match (engine, belief) {
        (Engine::Chromium, Belief::SlowNetwork | Belief::Offline) => Support::Vendor,
        (Engine::Firefox, Belief::SlowNetwork) => {
            Support::Impossible("only being offline can be emulated, not a slow network")
        }
        (Engine::Chromium | Engine::Firefox, _) => Support::Native,
        (Engine::Webkit, _) => {
            Support::Impossible("it has no emulation but the size of its window")
        }
    }
}

/// Returns how `engine` clears a context between two tests, so that it can be used again.
#[must_use]
pub fn resets(engine: Engine) -> Support {
    match engine {
        Engine::Chromium => Support::Vendor,
        Engine::Firefox | Engine::Webkit => Support::Impossible(
            "what sites have stored cannot be cleared and seen to be clear; use isolation by context",
        ),
    }
}

/// Returns how `engine` is filmed.
#[must_use]
pub fn film(engine: Engine) -> Support {
    match engine {
        Engine::Chromium => Support::Vendor,
        Engine::Firefox => Support::Native,
        Engine::Webkit => {
            Support::Impossible("its driver takes pictures only between the commands of the test")
        }
    }
}

/// Returns how `engine` tells what pages write to the console and fetch.
#[must_use]
pub fn tells_logs(engine: Engine) -> Support {
    match engine {
        Engine::Chromium | Engine::Firefox => Support::Native,
        Engine::Webkit => Support::Impossible("it tells nothing of console and network"),
    }
}

/// Returns how `engine` shows a page on a screen.
#[must_use]
pub fn screen(viewport: Viewport, engine: Engine) -> Support {
    if engine == Engine::Chromium {
        return Support::Vendor;
    }
    if viewport.is_mobile {
        return Support::Impossible("a mobile screen cannot be emulated");
    }
    match engine {
        // Measured in Firefox 153: its driver does not know `emulation.setTouchOverride`.
        Engine::Firefox | Engine::Webkit if viewport.has_touch => {
            Support::Impossible("touch cannot be emulated")
        }
        Engine::Webkit if (viewport.device_scale_factor - 1.0).abs() > f64::EPSILON => {
            Support::Impossible("the device scale factor cannot be set")
        }
        Engine::Chromium | Engine::Firefox | Engine::Webkit => Support::Native,
    }
}

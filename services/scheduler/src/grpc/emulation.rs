//! Checks what a run wants its pages to believe: that it makes sense, and that the run's browser can do it.

use gauntlet_core::flow::{Belief, Engine, Support, Viewport, belief, screen};
use gauntlet_proto::{edge::Violations, v1};

const SIDE_PIXELS_MAX: i32 = 16_384;
const SCALE_MAX: f64 = 10.0;
const LOCALE_CHARS_MAX: usize = 35;
const USER_AGENT_CHARS_MAX: usize = 1_024;
const PERMISSIONS_MAX: usize = 32;
const PERMISSION_CHARS_MAX: usize = 64;
const LATENCY_MS_MAX: i32 = 60_000;

/// Adds what is wrong with `emulation` for `browser`.
pub(crate) fn check(emulation: &v1::Emulation, browser: v1::Browser, violations: &mut Violations) {
    sense(emulation, violations);
    let engine = engine(browser);
    let mut able = |field: &str, support: Support| {
        if let Support::Impossible(why) = support {
            let text = format!("{} cannot do this: {why}", engine.as_str());
            violations.check(false, &format!("options.emulation.{field}"), text);
        }
    };
    if let Some(viewport) = &emulation.viewport {
        able("viewport", screen(flow_viewport(viewport), engine));
    }
    let offline = emulation.network.as_ref().is_some_and(|network| network.offline);
    let network = if offline { Belief::Offline } else { Belief::SlowNetwork };
    for (field, wanted, what) in [
        ("locale", !emulation.locale.is_empty(), Belief::Locale),
        ("time_zone", !emulation.time_zone.is_empty(), Belief::TimeZone),
        ("geolocation", emulation.geolocation.is_some(), Belief::Geolocation),
        ("user_agent", !emulation.user_agent.is_empty(), Belief::UserAgent),
        ("permissions", !emulation.permissions.is_empty(), Belief::Permissions),
        ("network", emulation.network.is_some(), network),
    ] {
        if wanted {
            able(field, belief(what, engine));
        }
    }
}

/// Returns what drives a browser.
pub(crate) fn engine(browser: v1::Browser) -> Engine {
    match browser {
        v1::Browser::Unspecified | v1::Browser::Chromium | v1::Browser::ChromiumFull => {
            Engine::Chromium
        }
        v1::Browser::Firefox => Engine::Firefox,
        v1::Browser::Webkit => Engine::Webkit,
    }
}

fn flow_viewport(wire: &v1::Viewport) -> Viewport {
    let scale = wire.device_scale_factor;
    Viewport {
        width: wire.width.unsigned_abs(),
        height: wire.height.unsigned_abs(),
        device_scale_factor: if scale > 0.0 { scale } else { 1.0 },
        is_mobile: wire.mobile,
        has_touch: wire.touch,
        is_landscape: wire.width > wire.height,
    }
}

/// What no browser could do.
fn sense(emulation: &v1::Emulation, violations: &mut Violations) {
    let mut check = |ok: bool, field: &str, rule: &str| {
        violations.check(ok, &format!("options.emulation.{field}"), rule);
    };
    if let Some(v1::Viewport { width, height, device_scale_factor, .. }) = &emulation.viewport {
        let sides = 1..=SIDE_PIXELS_MAX;
        check(sides.contains(width), "viewport.width", "must be between 1 and 16,384");
        check(sides.contains(height), "viewport.height", "must be between 1 and 16,384");
        let ok = (0.0..=SCALE_MAX).contains(device_scale_factor);
        check(ok, "viewport.device_scale_factor", "must be between 0 and 10");
    }
    let is_tag = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let locale = &emulation.locale;
    let ok = locale.len() <= LOCALE_CHARS_MAX && locale.chars().all(is_tag);
    check(ok, "locale", "must be a language tag such as de-DE");
    let zone = &emulation.time_zone;
    let ok = zone.is_empty() || jiff::tz::TimeZone::get(zone).is_ok();
    check(ok, "time_zone", "must be an IANA name such as Asia/Tokyo");
    if let Some(at) = &emulation.geolocation {
        let ok = (-90.0..=90.0).contains(&at.latitude);
        check(ok, "geolocation.latitude", "must be between -90 and 90");
        let ok = (-180.0..=180.0).contains(&at.longitude);
        check(ok, "geolocation.longitude", "must be between -180 and 180");
        let ok = at.accuracy_m >= 0.0 && at.accuracy_m.is_finite();
        check(ok, "geolocation.accuracy_m", "must be 0 or more");
    }
    let agent = &emulation.user_agent;
    let ok = agent.len() <= USER_AGENT_CHARS_MAX && !agent.chars().any(char::is_control);
    check(ok, "user_agent", "at most 1,024 characters, no control characters");
    if let Some(network) = &emulation.network {
        let rates = [network.download_bytes_per_s, network.upload_bytes_per_s];
        let ok = if network.offline {
            rates == [0, 0] && network.latency_ms == 0
        } else {
            rates.iter().all(|rate| *rate >= 1)
        };
        check(
            ok,
            "network",
            "is offline, or has a download and an upload of 1 byte a second or more",
        );
        let ok = (0..=LATENCY_MS_MAX).contains(&network.latency_ms);
        check(ok, "network.latency_ms", "must be between 0 and 60,000");
    }
    let permissions = &emulation.permissions;
    let ok = permissions.len() <= PERMISSIONS_MAX
        && permissions.iter().all(|name| (1..=PERMISSION_CHARS_MAX).contains(&name.len()));
    check(ok, "permissions", "at most 32, each of 1 to 64 characters");
}

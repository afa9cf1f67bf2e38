//! What pages are made to believe: flags, and what they mean on the wire.

use clap::Args;
use gauntlet_proto::v1;

/// What pages are made to believe.
#[derive(Args, Debug)]
#[command(next_help_heading = "Emulation (what the browser cannot do is refused, not ignored)")]
pub(crate) struct EmulationArgs {
    /// Screen before any setViewport, such as 1280x720, or 390x844@3 with a pixel ratio.
    #[arg(long, value_name = "WxH[@RATIO]", value_parser = viewport)]
    pub(crate) viewport: Option<v1::Viewport>,
    /// A phone or tablet: the viewport tag counts, and the screen can be touched. Chromium only.
    #[arg(long, requires = "viewport")]
    pub(crate) mobile: bool,
    /// Language and region, such as de-DE.
    #[arg(long, default_value = "")]
    pub(crate) locale: String,
    /// Time zone, such as Asia/Tokyo.
    #[arg(long, default_value = "", value_name = "ZONE")]
    pub(crate) time_zone: String,
    /// Place in degrees, such as 52.52,13.40; sites are also permitted to ask for it.
    #[arg(long, value_name = "LAT,LON", value_parser = geolocation, allow_hyphen_values = true)]
    pub(crate) geolocation: Option<v1::Geolocation>,
    /// What the browser calls itself.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) user_agent: String,
    /// fast, slow3g, offline, or DOWN/UP/LATENCY in bytes a second and milliseconds, such as 50000/20000/400.
    #[arg(long, value_name = "CONDITION", value_parser = network)]
    pub(crate) network: Option<v1::Network>,
    /// Permission that the sites have, by its W3C name; can be repeated.
    #[arg(long = "permission", value_name = "NAME")]
    pub(crate) permissions: Vec<String>,
}

impl EmulationArgs {
    /// Returns what was asked for; none when nothing was.
    pub(crate) fn wire(&self) -> Option<v1::Emulation> {
        let mut viewport = self.viewport;
        if let Some(viewport) = viewport.as_mut().filter(|_| self.mobile) {
            (viewport.mobile, viewport.touch) = (true, true);
        }
        let mut permissions = self.permissions.clone();
        let asks_where = || "geolocation".to_owned();
        if self.geolocation.is_some() && !permissions.contains(&asks_where()) {
            permissions.push(asks_where());
        }
        let wanted = v1::Emulation {
            viewport,
            locale: self.locale.clone(),
            time_zone: self.time_zone.clone(),
            geolocation: self.geolocation,
            user_agent: self.user_agent.clone(),
            network: self.network,
            permissions,
        };
        (wanted != v1::Emulation::default()).then_some(wanted)
    }
}

fn viewport(text: &str) -> Result<v1::Viewport, String> {
    let parse = || {
        let (size, ratio) = text.split_once('@').unwrap_or((text, "1"));
        let (width, height) = size.split_once('x')?;
        Some(v1::Viewport {
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            device_scale_factor: ratio.parse().ok()?,
            ..Default::default()
        })
    };
    parse()
        .ok_or_else(|| "expected WIDTHxHEIGHT or WIDTHxHEIGHT@RATIO, such as 390x844@3".to_owned())
}

fn geolocation(text: &str) -> Result<v1::Geolocation, String> {
    let parse = || {
        let (latitude, longitude) = text.split_once(',')?;
        Some(v1::Geolocation {
            latitude: latitude.trim().parse().ok()?,
            longitude: longitude.trim().parse().ok()?,
            accuracy_m: 0.0,
        })
    };
    parse().ok_or_else(|| "expected LATITUDE,LONGITUDE in degrees, such as 52.52,13.40".to_owned())
}

/// `fast` is a good mobile network (9 Mbit/s down, 1.5 up, 60 ms), `slow3g` a bad one (400 kbit/s both ways, 400 ms).
fn network(text: &str) -> Result<v1::Network, String> {
    let slow = |download_bytes_per_s, upload_bytes_per_s, latency_ms| v1::Network {
        offline: false,
        download_bytes_per_s,
        upload_bytes_per_s,
        latency_ms,
    };
    let custom = || {
        let mut parts = text.split('/');
        let (down, up, latency) = (parts.next()?, parts.next()?, parts.next()?);
        let all = parts.next().is_none();
        all.then_some(slow(down.parse().ok()?, up.parse().ok()?, latency.parse().ok()?))
    };
    match text {
        "offline" => Ok(v1::Network { offline: true, ..Default::default() }),
        "fast" => Ok(slow(1_125_000, 187_500, 60)),
        "slow3g" => Ok(slow(50_000, 50_000, 400)),
        _ => custom().ok_or_else(|| {
            "expected fast, slow3g, offline or DOWN/UP/LATENCY, such as 50000/20000/400".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_places_and_networks_are_read_and_nonsense_is_refused() {
        let phone = viewport("390x844@3").unwrap();
        assert_eq!((phone.width, phone.height, phone.device_scale_factor), (390, 844, 3.0));
        assert_eq!(viewport("1280x720").unwrap().device_scale_factor, 1.0);
        assert_eq!(geolocation("-33.9, 151.2").unwrap().latitude, -33.9);
        assert!(network("offline").unwrap().offline);
        assert_eq!(network("50000/20000/400").unwrap().upload_bytes_per_s, 20_000);
        for bad in ["", "wide", "1280", "1280x", "x720", "1x1@big"] {
            assert!(viewport(bad).is_err(), "{bad}");
        }
        assert!(
            geolocation("52.5").is_err() && network("5/5").is_err() && network("1/1/1/1").is_err()
        );
    }
}

//! What a run's pages are made to believe, from the wire. The scheduler has checked it.

use gauntlet_browser::{Emulation, Geolocation, Network};
use gauntlet_core::flow::Viewport;
use gauntlet_proto::v1;

pub(crate) fn viewport(wire: &v1::Viewport) -> Viewport {
    let v1::Viewport { width, height, device_scale_factor, mobile, touch } = *wire;
    Viewport {
        width: width.unsigned_abs(),
        height: height.unsigned_abs(),
        device_scale_factor: if device_scale_factor > 0.0 { device_scale_factor } else { 1.0 },
        is_mobile: mobile,
        has_touch: touch,
        is_landscape: width > height,
    }
}

pub(crate) fn emulation(wire: &v1::Emulation) -> Emulation {
    let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Emulation {
        locale: set(&wire.locale),
        timezone: set(&wire.time_zone),
        geolocation: wire.geolocation.as_ref().map(|at| Geolocation {
            latitude: at.latitude,
            longitude: at.longitude,
            accuracy: if at.accuracy_m > 0.0 { at.accuracy_m } else { 1.0 },
        }),
        user_agent: set(&wire.user_agent),
        network: wire.network.as_ref().map(network),
        permissions: wire.permissions.clone(),
    }
}

fn network(wire: &v1::Network) -> Network {
    if wire.offline {
        return Network::Offline;
    }
    Network::Slow {
        download: wire.download_bytes_per_s as f64,
        upload: wire.upload_bytes_per_s as f64,
        latency_ms: wire.latency_ms.into(),
    }
}

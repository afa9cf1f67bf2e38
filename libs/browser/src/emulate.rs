//! What a page is made to believe about the device it is on.

use std::time::Duration;

use gauntlet_core::flow::Viewport;
use serde_json::json;

use crate::{error::DriverError, session::Session};

impl Session<'_> {
    /// Sets the screen of the current page.
    pub(crate) async fn emulate(
        &mut self,
        viewport: Viewport,
        limit: Duration,
    ) -> Result<(), DriverError> {
        if self.driver.has_cdp() {
            self.emulate_by_cdp(viewport, limit).await?;
        } else if self.bidi.has_bidi() {
            self.emulate_by_bidi(viewport, limit).await?;
        } else {
            self.resize(viewport, limit).await?;
        }
        self.viewport = viewport;
        Ok(())
    }

    async fn emulate_by_cdp(&self, viewport: Viewport, limit: Duration) -> Result<(), DriverError> {
        let orientation =
            if viewport.is_landscape { ("landscapePrimary", 90) } else { ("portraitPrimary", 0) };
        let metrics = json!({
            "width": viewport.width, "height": viewport.height, "deviceScaleFactor": viewport.device_scale_factor,
            "mobile": viewport.is_mobile, "screenOrientation": { "type": orientation.0, "angle": orientation.1 },
        });
        self.driver.cdp("Emulation.setDeviceMetricsOverride", metrics, limit).await?;
        if viewport.has_touch != self.viewport.has_touch {
            let touch = json!({ "enabled": viewport.has_touch, "maxTouchPoints": 1 });
            self.driver.cdp("Emulation.setTouchEmulationEnabled", touch, limit).await?;
        }
        Ok(())
    }

    async fn emulate_by_bidi(
        &self,
        viewport: Viewport,
        limit: Duration,
    ) -> Result<(), DriverError> {
        refuse(viewport.is_mobile, "a mobile viewport")?;
        let Some(page) = self.driver.place().map(|place| place.page) else { return Ok(()) };
        let size = json!({
            "context": page, "viewport": { "width": viewport.width, "height": viewport.height },
            "devicePixelRatio": viewport.device_scale_factor,
        });
        self.bidi.command("browsingContext.setViewport", size, limit).await?;
        if viewport.has_touch != self.viewport.has_touch {
            let touch = viewport.has_touch.then_some(1);
            let touch = json!({ "maxTouchPoints": touch, "contexts": [page] });
            self.bidi.command("emulation.setTouchOverride", touch, limit).await?;
        }
        Ok(())
    }

    /// All that classic `WebDriver` can do is to size the window, so that the page inside has the size.
    async fn resize(&self, viewport: Viewport, limit: Duration) -> Result<(), DriverError> {
        refuse(viewport.is_mobile, "a mobile viewport")?;
        refuse(viewport.has_touch, "touch")?;
        let script =
            "return [outerWidth - innerWidth, outerHeight - innerHeight, devicePixelRatio]";
        let frame = json!({ "script": script, "args": [] });
        let frame = self.driver.post("execute/sync", frame, limit).await?;
        let ratio = frame[2].as_f64().unwrap_or(1.0);
        refuse((ratio - viewport.device_scale_factor).abs() > 0.01, "another pixel ratio")?;
        let outer = |inner: u32, at: usize| u64::from(inner) + frame[at].as_u64().unwrap_or(0);
        let rect =
            json!({ "width": outer(viewport.width, 0), "height": outer(viewport.height, 1) });
        self.driver.post("window/rect", rect, limit).await.map(drop)
    }
}

fn refuse(asked: bool, what: &str) -> Result<(), DriverError> {
    if asked { Err(DriverError::Unsupported { what: what.to_owned() }) } else { Ok(()) }
}

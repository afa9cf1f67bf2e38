//! What a page is made to believe about the device it is on.

use std::time::Duration;

use gauntlet_core::flow::Viewport;
use http::Method;
use serde_json::{Value, json};

use crate::{
    Emulation, Network,
    driver::{Driver, GRACE},
    error::DriverError,
    pages::Pages,
    session::Session,
};

impl Session<'_> {
    /// Sets the screen of the current page.
    pub(crate) async fn emulate(
        &mut self,
        viewport: Viewport,
        limit: Duration,
    ) -> Result<(), DriverError> {
        let page = self.driver.place().map_or_else(|| self.main.clone(), |place| place.page);
        set_screen((self.driver, self.pages), &page, (self.viewport, viewport), limit).await?;
        self.viewport = viewport;
        Ok(())
    }

    /// Ends the emulation of a screen, so that the page has the size of its window.
    pub(crate) async fn show_window(&self, limit: Duration) -> Result<(), DriverError> {
        let Some(page) = self.driver.place().map(|place| place.page) else { return Ok(()) };
        if self.driver.has_cdp() {
            let clear = ("Emulation.clearDeviceMetricsOverride", json!({}));
            page_cdp((self.driver, self.pages), &page, clear, limit).await?;
        } else if self.pages.has_user_contexts() {
            // Firefox measures the window while the screen still stretches it, and waits for that size for ever: the screen
            // must fit in. The width is nearly kept, since pages take a narrow one for another device.
            let window = self.driver.call(Method::GET, "window/rect", None, limit).await?;
            let outer = |key: &str| window[key].as_u64().unwrap_or_default();
            let fitting = json!({ "width": outer("width") * 7 / 8, "height": outer("height") / 8 });
            for viewport in [fitting, Value::Null] {
                let screen =
                    json!({ "context": page, "viewport": viewport, "devicePixelRatio": null });
                self.pages.command("browsingContext.setViewport", screen, limit).await?;
            }
        }
        Ok(())
    }

    /// Sets the network of the current page.
    pub(crate) async fn throttle_page(
        &self,
        network: Network,
        limit: Duration,
    ) -> Result<(), DriverError> {
        if self.driver.has_cdp() {
            // Measured: without `Network.enable` on this page the conditions are accepted and ignored.
            self.driver.cdp("Network.enable", json!({}), limit).await?;
            let conditions = match network {
                Network::Offline => json!({
                    "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0,
                }),
                Network::Slow { download, upload, latency_ms } => json!({
                    "offline": false, "latency": latency_ms,
                    "downloadThroughput": download, "uploadThroughput": upload,
                }),
            };
            self.driver.cdp("Network.emulateNetworkConditions", conditions, limit).await?;
            return Ok(());
        }
        refuse(network != Network::Offline, "a slow network")?;
        let page = self.driver.place().map(|place| place.page);
        let offline = json!({ "networkConditions": { "type": "offline" }, "contexts": [page] });
        self.pages.command("emulation.setNetworkConditions", offline, limit).await.map(drop)
    }
}

/// What a page's screen is now, and what it shall be.
type Change = (Viewport, Viewport);

/// Sets the screen of a page.
pub(crate) async fn set_screen(
    (driver, pages): (&Driver, &Pages),
    page: &str,
    change: Change,
    limit: Duration,
) -> Result<(), DriverError> {
    if driver.has_cdp() {
        emulate_by_cdp((driver, pages), page, change, limit).await
    } else if pages.has_user_contexts() {
        emulate_by_bidi(pages, page, change, limit).await
    } else {
        resize(driver, change.1, limit).await
    }
}

/// Sends a `DevTools` command to a page; where pages have a connection, the driver need not switch to it.
async fn page_cdp(
    (driver, pages): (&Driver, &Pages),
    page: &str,
    (command, params): (&'static str, Value),
    limit: Duration,
) -> Result<Value, DriverError> {
    match pages {
        Pages::DevTools(devtools) => devtools.page(page, command, params, limit).await,
        Pages::Classic(_) => driver.cdp(command, params, limit).await,
        Pages::Bidi(_) => {
            let context = json!({ "context": page });
            let session = pages.command("goog:cdp.getSession", context, limit).await?;
            let order =
                json!({ "method": command, "params": params, "session": session["session"] });
            pages.command("goog:cdp.sendCommand", order, limit).await
        }
    }
}

async fn emulate_by_cdp(
    connections: (&Driver, &Pages),
    page: &str,
    (now, wanted): Change,
    limit: Duration,
) -> Result<(), DriverError> {
    let orientation =
        if wanted.is_landscape { ("landscapePrimary", 90) } else { ("portraitPrimary", 0) };
    let metrics = json!({
        "width": wanted.width, "height": wanted.height, "deviceScaleFactor": wanted.device_scale_factor,
        "mobile": wanted.is_mobile, "screenOrientation": { "type": orientation.0, "angle": orientation.1 },
    });
    let order = ("Emulation.setDeviceMetricsOverride", metrics);
    page_cdp(connections, page, order, limit).await?;
    if wanted.has_touch != now.has_touch {
        let touch = json!({ "enabled": wanted.has_touch, "maxTouchPoints": 1 });
        let order = ("Emulation.setTouchEmulationEnabled", touch);
        page_cdp(connections, page, order, limit).await?;
    }
    Ok(())
}

async fn emulate_by_bidi(
    pages: &Pages,
    page: &str,
    (now, wanted): Change,
    limit: Duration,
) -> Result<(), DriverError> {
    refuse(wanted.is_mobile, "a mobile viewport")?;
    let size = json!({
        "context": page, "viewport": { "width": wanted.width, "height": wanted.height },
        "devicePixelRatio": wanted.device_scale_factor,
    });
    pages.command("browsingContext.setViewport", size, limit).await?;
    if wanted.has_touch != now.has_touch {
        let touch = wanted.has_touch.then_some(1);
        let touch = json!({ "maxTouchPoints": touch, "contexts": [page] });
        match pages.command("emulation.setTouchOverride", touch, limit).await {
            // Firefox has it not yet.
            Err(DriverError::Unsupported { .. }) => refuse(true, "touch")?,
            answer => drop(answer?),
        }
    }
    Ok(())
}

/// All that classic `WebDriver` can do is to size the window, so that the page inside has the size.
async fn resize(driver: &Driver, viewport: Viewport, limit: Duration) -> Result<(), DriverError> {
    refuse(viewport.is_mobile, "a mobile viewport")?;
    refuse(viewport.has_touch, "touch")?;
    let script = "return [outerWidth - innerWidth, outerHeight - innerHeight, devicePixelRatio]";
    let frame = json!({ "script": script, "args": [] });
    let frame = driver.post("execute/sync", frame, limit).await?;
    let ratio = frame[2].as_f64().unwrap_or(1.0);
    refuse((ratio - viewport.device_scale_factor).abs() > 0.01, "another pixel ratio")?;
    let outer = |inner: u32, at: usize| u64::from(inner) + frame[at].as_u64().unwrap_or(0);
    let rect = json!({ "width": outer(viewport.width, 0), "height": outer(viewport.height, 1) });
    driver.post("window/rect", rect, limit).await.map(drop)
}

fn refuse(asked: bool, what: &str) -> Result<(), DriverError> {
    if asked { Err(DriverError::Unsupported { what: what.to_owned() }) } else { Ok(()) }
}

/// Makes every page of a user context, popups included, believe in another place.
pub(crate) async fn pretend(
    pages: &Pages,
    emulation: &Emulation,
    user_context: &str,
) -> Result<(), DriverError> {
    let order = async |method: &'static str, mut params: Value| {
        params["userContexts"] = json!([user_context]);
        pages.command(method, params, GRACE).await
    };
    let Emulation { locale, timezone, geolocation, user_agent, network: _, permissions: _ } =
        emulation;
    if let Some(locale) = locale {
        order("emulation.setLocaleOverride", json!({ "locale": locale })).await?;
    }
    if let Some(timezone) = timezone {
        order("emulation.setTimezoneOverride", json!({ "timezone": timezone })).await?;
    }
    if let Some(at) = geolocation {
        let at =
            json!({ "latitude": at.latitude, "longitude": at.longitude, "accuracy": at.accuracy });
        order("emulation.setGeolocationOverride", json!({ "coordinates": at })).await?;
    }
    if let Some(user_agent) = user_agent {
        order("emulation.setUserAgentOverride", json!({ "userAgent": user_agent })).await?;
    }
    Ok(())
}

/// Gives the sites of a test what they need not ask for.
pub(crate) async fn permit(
    pages: &Pages,
    permissions: &[String],
    user_context: &str,
    origins: &[String],
) -> Result<(), DriverError> {
    for name in permissions {
        for origin in origins {
            let grant = json!({
                "descriptor": { "name": name }, "state": "granted", "origin": origin,
                "userContext": user_context,
            });
            pages.command("permissions.setPermission", grant, GRACE).await?;
        }
    }
    Ok(())
}

/// Classic `WebDriver` knows no other place than the one it is in.
pub(crate) fn refuse_to_pretend(emulation: &Emulation) -> Result<(), DriverError> {
    let Emulation { locale, timezone, geolocation, user_agent, network: _, permissions } =
        emulation;
    refuse(locale.is_some(), "another locale")?;
    refuse(timezone.is_some(), "another time zone")?;
    refuse(geolocation.is_some(), "another place")?;
    refuse(user_agent.is_some(), "another user agent")?;
    refuse(!permissions.is_empty(), "permissions")
}

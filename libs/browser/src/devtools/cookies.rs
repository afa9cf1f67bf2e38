//! Cookies: the same ones, in the words of `BiDi` and in those of the browser.

use serde_json::{Value, json};

use super::DevTools;
use crate::error::DriverError;

impl DevTools {
    /// Returns the cookies of a user context, as `storage.getCookies` does.
    pub(super) async fn cookies(&self, params: &Value) -> Result<Value, DriverError> {
        let of = json!({ "browserContextId": params["partition"]["userContext"] });
        let found = self.browser("Storage.getCookies", of).await?;
        let cookies: Vec<Value> =
            found["cookies"].as_array().into_iter().flatten().map(told).collect();
        Ok(json!({ "cookies": cookies }))
    }

    /// Sets a cookie in a user context, as `storage.setCookie` does.
    pub(super) async fn set_cookie(&self, params: &Value) -> Result<Value, DriverError> {
        let order = json!({
            "browserContextId": params["partition"]["userContext"], "cookies": [given(&params["cookie"])],
        });
        self.browser("Storage.setCookies", order).await
    }
}

/// Puts a cookie of the browser into the words of `BiDi`.
fn told(cookie: &Value) -> Value {
    let mut told = json!({
        "name": cookie["name"], "value": { "type": "string", "value": cookie["value"] },
        "domain": cookie["domain"], "path": cookie["path"], "httpOnly": cookie["httpOnly"],
        "secure": cookie["secure"],
    });
    if let Some(same_site) = cookie["sameSite"].as_str() {
        told["sameSite"] = json!(same_site.to_lowercase());
    }
    // -1 says that it ends with the session.
    if let Some(expires) = cookie["expires"].as_f64().filter(|expires| *expires >= 0.0) {
        told["expiry"] = json!(expires);
    }
    told
}

/// Puts a cookie that is given in the words of `BiDi` into those of the browser.
fn given(cookie: &Value) -> Value {
    let mut given = cookie.clone();
    given["value"] = cookie["value"]["value"].clone();
    let Some(fields) = given.as_object_mut() else { return given };
    if let Some(expiry) = fields.remove("expiry") {
        fields.insert("expires".to_owned(), expiry);
    }
    let same_site = match fields.remove("sameSite").as_ref().and_then(Value::as_str) {
        Some("strict") => Some("Strict"),
        Some("lax") => Some("Lax"),
        Some("none") => Some("None"),
        _ => None,
    };
    if let Some(same_site) = same_site {
        fields.insert("sameSite".to_owned(), json!(same_site));
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_as_it_was() {
        let cookie = json!({
            "name": "a", "value": "1", "domain": "shop.test", "path": "/", "httpOnly": true,
            "secure": true, "sameSite": "Lax", "expires": 1_900_000_000.5,
        });
        assert_eq!(given(&told(&cookie)), cookie);
        let until_the_end = json!({
            "name": "a", "value": "1", "domain": "shop.test", "path": "/", "httpOnly": false,
            "secure": false,
        });
        let mut given_by_browser = until_the_end.clone();
        given_by_browser["expires"] = json!(-1);
        assert_eq!(given(&told(&given_by_browser)), until_the_end);
    }
}

//! What the pages of a user context are made to believe about the place they are in.

use serde_json::{Value, json};

use super::{DevTools, targets::Pretence};
use crate::error::DriverError;

impl DevTools {
    /// Notes what an `emulation` command of `BiDi` says, for every page that opens in its user contexts from now on.
    pub(super) fn pretend(
        &self,
        method: &'static str,
        params: &Value,
    ) -> Result<Value, DriverError> {
        let Some(orders) = orders(method, params) else {
            return Err(DriverError::Unsupported { what: method.to_owned() });
        };
        let targets = &mut self.known().targets;
        for user_context in params["userContexts"].as_array().into_iter().flatten() {
            for order in orders.clone() {
                targets.pretend(user_context.as_str().unwrap_or_default(), order);
            }
        }
        Ok(json!({}))
    }
}

fn orders(method: &str, params: &Value) -> Option<Pretence> {
    Some(match method {
        "emulation.setLocaleOverride" => {
            let locale = &params["locale"];
            vec![
                ("Emulation.setLocaleOverride", json!({ "locale": locale })),
                // An empty user agent leaves it as it is.
                (USER_AGENT, json!({ "userAgent": "", "acceptLanguage": locale })),
            ]
        }
        "emulation.setTimezoneOverride" => {
            vec![("Emulation.setTimezoneOverride", json!({ "timezoneId": params["timezone"] }))]
        }
        "emulation.setGeolocationOverride" => {
            vec![("Emulation.setGeolocationOverride", params["coordinates"].clone())]
        }
        "emulation.setUserAgentOverride" => {
            vec![(USER_AGENT, json!({ "userAgent": params["userAgent"] }))]
        }
        _ => return None,
    })
}

const USER_AGENT: &str = "Emulation.setUserAgentOverride";

//! The `grpc-timeout` header.
//!
//! Owns its text form: at most eight digits and a unit.

use http::{HeaderMap, HeaderValue};
use std::time::Duration;

pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";
const DIGITS_MAX: usize = 8;

/// Returns the time that the caller grants; none when the header is absent or malformed.
pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > DIGITS_MAX {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// Sets the header, in milliseconds, or in seconds when those do not fit.
pub(crate) fn write(headers: &mut HeaderMap, timeout: Duration) {
    let (ms, limit) = (timeout.as_millis(), 10_u128.pow(8));
    let text =
        if ms < limit { format!("{ms}m") } else { format!("{}S", (ms / 1_000).min(limit - 1)) };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_travels_and_back() {
        let mut headers = HeaderMap::new();
        for timeout in [Duration::ZERO, Duration::from_millis(1_500), Duration::from_secs(200_000)]
        {
            write(&mut headers, timeout);
            assert_eq!(read(&headers), Some(timeout));
        }
    }

    #[test]
    fn a_malformed_timeout_is_none() {
        let mut headers = HeaderMap::new();
        for bad in ["", "S", "5", "123456789S", "5x", "-1S"] {
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(bad));
            assert_eq!(read(&headers), None, "{bad}");
        }
    }
}

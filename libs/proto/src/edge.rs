//! Checks at the edge: a malformed field is named by its dotted path, and all of them are reported at once.

use jiff::Timestamp;
use std::fmt::Write as _;
use std::time::Duration;
use uuid::Uuid;

/// Page size used when a request leaves it at 0.
pub const PAGE_SIZE_DEFAULT: usize = 50;
/// Largest page; larger requests are taken as this.
pub const PAGE_SIZE_MAX: usize = 1_000;

/// One malformed field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Dotted path of the field, such as `options.base_url`.
    pub field: String,
    /// What is wrong with it, lower case, without a full stop.
    pub description: String,
}

impl FieldViolation {
    /// Returns a violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }

    /// Returns the same violation seen from the message that holds `parent`.
    #[must_use]
    pub fn scope(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), ..self }
    }
}

/// Gathers the violations of one request, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// Notes a violation unless `ok`.
    pub fn check(&mut self, ok: bool, field: &str, description: impl Into<String>) {
        if !ok {
            self.0.push(FieldViolation::new(field, description));
        }
    }

    /// Returns the value, or notes the violation and returns none.
    pub fn take<T>(&mut self, result: Result<T, FieldViolation>) -> Option<T> {
        result.map_err(|violation| self.0.push(violation)).ok()
    }

    /// Returns all violations noted.
    ///
    /// # Errors
    /// The violations, when there is at least one.
    pub fn finish(self) -> Result<(), Vec<FieldViolation>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Parses an id in lower-case UUID text.
///
/// # Errors
/// A violation of `field` when it is empty or not a UUID.
pub fn uuid(field: &str, text: &str) -> Result<Uuid, FieldViolation> {
    if text.is_empty() {
        return Err(FieldViolation::new(field, "must be set"));
    }
    Uuid::try_parse(text).map_err(|_| FieldViolation::new(field, "must be a UUID in text form"))
}

/// Returns how many items a page holds.
///
/// # Errors
/// Returns bytes as lower-case hex, the form in which hashes travel.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the bytes of hex, or none.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// A violation when `page_size` is negative.
pub fn page_size(page_size: i32) -> Result<usize, FieldViolation> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) => Err(FieldViolation::new("page_size", "must not be negative")),
    }
}

/// Returns a timestamp of the wire; values outside its range are clamped to zero nanoseconds.
#[must_use]
pub fn timestamp(at: Timestamp) -> pbjson_types::Timestamp {
    pbjson_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond().max(0) }
}

/// Returns the instant of a wire timestamp, or none when it is out of range.
#[must_use]
pub fn instant(at: &pbjson_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}

/// Returns a duration of the wire.
#[must_use]
pub fn wire_duration(duration: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// Returns the duration of a wire duration.
///
/// # Errors
/// A violation of `field` when it is negative or out of range.
pub fn duration(
    field: &str,
    duration: &pbjson_types::Duration,
) -> Result<Duration, FieldViolation> {
    let seconds = u64::try_from(duration.seconds);
    let nanos = u32::try_from(duration.nanos);
    match (seconds, nanos) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(FieldViolation::new(field, "must be a duration of zero or more")),
    }
}

//! New identifiers, and bytes that nobody can guess.
//!
//! Owns the only calls that draw a UUID. It does not parse or print them; the domain wraps them in newtypes. A crash
//! loses nothing: an id that was drawn and not stored never existed.

use rand::RngCore as _;
use uuid::Uuid;

/// Returns a random id, for tokens and request ids.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that draws a random id")]
pub fn v4() -> Uuid {
    Uuid::new_v4()
}

/// Returns a time-ordered id, for rows; increasing within one process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that draws a time-ordered id")]
pub fn v7() -> Uuid {
    Uuid::now_v7()
}

/// Returns bytes from a cryptographic generator, for keys and nonces.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn row_ids_grow_within_a_process() {
        let ids: Vec<_> = (0..1_000).map(|_| super::v7()).collect();
        assert!(ids.is_sorted());
    }
}

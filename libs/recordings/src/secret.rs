//! Which fields hold secrets, judged by what their selectors say. A guess in favour of hiding: a value that is hidden without
//! need costs nothing but convenience.

use gauntlet_core::flow::Selectors;

/// Words that fields for secrets are called by. Short ones must stand alone.
const WORDS: [&str; 8] =
    ["password", "passwd", "passphrase", "passcode", "secret", "token", "credential", "cardnumber"];
const WORDS_ALONE: [&str; 6] = ["pwd", "pin", "otp", "cvv", "cvc", "pass"];

/// Tells whether the element that these selectors look for is likely to hold a secret.
pub(crate) fn looks_secret(selectors: &Selectors) -> bool {
    says_secret(&selectors.to_string())
}

/// Tells whether a name is likely to be that of a secret.
pub(crate) fn says_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
        || lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| WORDS_ALONE.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::flow::Selector;

    #[test]
    fn fields_for_secrets_are_told_from_others() {
        for (css, secret) in [
            ("input[type=\"password\"]", true),
            ("#userPassword", true),
            ("[name=card-cvc]", true),
            ("#compass", false),
            ("#shipping", false),
            ("#topping", false),
        ] {
            assert_eq!(looks_secret(&Selector::Css(css.to_owned()).into()), secret, "{css}");
        }
    }
}

//! Keeps secrets out of what is reported: where one stands in a text, its name stands afterwards.
//!
//! Pure. What a page shows is shown in screenshots, too; those are not looked into.

use gauntlet_proto::v1;
use std::fmt;

/// Values that must not leave the executor, and their names.
#[derive(Clone, Default)]
pub(crate) struct Mask(Vec<(String, String)>);

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({} secrets)", self.0.len())
    }
}

impl Mask {
    /// Longer values first: one may hold another. Pages also show a value in the spelling of URLs, HTML and JSON.
    pub(crate) fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let given = secrets.into_iter().filter(|(_, value)| !value.is_empty());
        let mut secrets: Vec<_> = given
            .flat_map(|(name, value)| {
                spellings(&value).map(move |spelling| (name.clone(), spelling))
            })
            .collect();
        secrets.sort_by(|(a, v), (b, w)| w.len().cmp(&v.len()).then_with(|| a.cmp(b)));
        Self(secrets)
    }

    /// Puts names in the place of values, in every text of an attempt that may hold some of a page or a recording.
    pub(crate) fn cover(&self, attempt: &mut v1::Attempt) {
        if self.0.is_empty() {
            return;
        }
        if let Some(failure) = &mut attempt.failure {
            let v1::Failure { selector, expected, found, message, .. } = failure;
            [selector, expected, found, message].into_iter().for_each(|text| self.cover_text(text));
        }
        for step in &mut attempt.steps {
            let v1::StepResult { selector_used, label, note, problem, .. } = step;
            [selector_used, label, note, problem]
                .into_iter()
                .for_each(|text| self.cover_text(text));
        }
    }

    /// Returns a text with names in the place of values.
    pub(crate) fn covered(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.cover_text(&mut text);
        text
    }

    fn cover_text(&self, text: &mut String) {
        for (name, value) in &self.0 {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), &format!("${{{name}}}"));
            }
        }
    }
}

/// Returns a value as itself, in a URL (two ways to write a space), in HTML and in JSON.
fn spellings(value: &str) -> impl Iterator<Item = String> + use<> {
    let escaped = |space: &str| {
        let byte = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            b' ' => space.to_owned(),
            other => format!("%{other:02X}"),
        };
        value.bytes().map(byte).collect::<String>()
    };
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let json = serde_json::Value::from(value).to_string();
    let json = json.trim_matches('"').to_owned();
    let all = [value.to_owned(), escaped("%20"), escaped("+"), html, json];
    std::collections::BTreeSet::from(all).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_an_attempt_holds_a_secret_afterwards() {
        let secrets = [("PIN", "12"), ("PASSWORD", "pass12word"), ("NONE", "")];
        let mask = Mask::new(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let text = || "found pass12word and 12".to_owned();
        let mut attempt = v1::Attempt {
            failure: Some(v1::Failure {
                selector: text(),
                expected: text(),
                found: text(),
                message: text(),
                ..Default::default()
            }),
            steps: vec![v1::StepResult {
                selector_used: text(),
                label: text(),
                note: text(),
                problem: text(),
                ..Default::default()
            }],
            ..Default::default()
        };
        mask.cover(&mut attempt);
        let failure = attempt.failure.unwrap();
        let texts = [failure.selector, failure.expected, failure.found, failure.message];
        let v1::StepResult { selector_used, label, note, problem, .. } = &attempt.steps[0];
        for text in texts.iter().chain([selector_used, label, note, problem]) {
            assert_eq!(text, "found ${PASSWORD} and ${PIN}");
        }
        assert_eq!(format!("{mask:?}"), "Mask(2 secrets)");
    }

    #[test]
    fn g6_a_secret_is_covered_however_a_page_spells_it() {
        let mask = Mask::new([("KEY".to_owned(), "a b&\"ä".to_owned())]);
        let text = r#"?k=a%20b%26%22%C3%A4 ?k=a+b%26%22%C3%A4 <p>a b&amp;"ä {"k":"a b&\"ä"}"#;
        let covered = r#"?k=${KEY} ?k=${KEY} <p>${KEY} {"k":"${KEY}"}"#;
        assert_eq!(mask.covered(text), covered);
    }
}

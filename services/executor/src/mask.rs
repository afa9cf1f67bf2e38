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
    /// Longer values first: one may hold another.
    pub(crate) fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|(_, v)| !v.is_empty()).collect();
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
        attempt.steps.iter_mut().for_each(|step| self.cover_text(&mut step.selector_used));
    }

    fn cover_text(&self, text: &mut String) {
        for (name, value) in &self.0 {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), &format!("${{{name}}}"));
            }
        }
    }
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
            steps: vec![v1::StepResult { selector_used: text(), ..Default::default() }],
            ..Default::default()
        };
        mask.cover(&mut attempt);
        let failure = attempt.failure.unwrap();
        let texts = [failure.selector, failure.expected, failure.found, failure.message];
        for text in texts.iter().chain([&attempt.steps[0].selector_used]) {
            assert_eq!(text, "found ${PASSWORD} and ${PIN}");
        }
        assert_eq!(format!("{mask:?}"), "Mask(2 secrets)");
    }
}

//! Aims a flow at another environment and fills in its variables. Pure text work: no URL library in `core`.

use std::collections::BTreeMap;

use super::{Flow, Selector, Step, StepKind, Target};

/// Returns the origin of an absolute URL (`scheme://host[:port]`), and what follows it, if it has one.
#[must_use]
pub fn origin_of(url: &str) -> Option<(&str, &str)> {
    let scheme_end = url.find("://")?;
    let scheme = &url[..scheme_end];
    if scheme.is_empty() || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return None;
    }
    let host_start = scheme_end + 3;
    let host_length = url[host_start..].find(['/', '?', '#']).unwrap_or(url.len() - host_start);
    (host_length > 0).then(|| url.split_at(host_start + host_length))
}

/// Compares origins as browsers do: without case, and with the default port left out.
fn normal(origin: &str) -> String {
    let lower = origin.to_ascii_lowercase();
    let bare = lower
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix(":80"))
        .map(|host| format!("http://{host}"));
    let secure = lower
        .strip_prefix("https://")
        .and_then(|rest| rest.strip_suffix(":443"))
        .map(|host| format!("https://{host}"));
    bare.or(secure).unwrap_or(lower)
}

impl Flow {
    /// Re-aims every absolute URL of the recorded site at `base_url`, keeping paths; a path in `base_url` is prepended.
    ///
    /// The recorded site is the origin of the first `navigate` over http(s) (recordings may start on a new-tab page). URLs of other origins stay as they are.
    pub fn rebase(&mut self, base_url: &str) {
        let Some((base_origin, base_rest)) = origin_of(base_url) else { return };
        let prefix = base_rest.split(['?', '#']).next().unwrap_or("").trim_end_matches('/');
        let recorded = self.steps.iter().find_map(|step| match &step.kind {
            StepKind::Navigate { url } => origin_of(url)
                .map(|(origin, _)| normal(origin))
                .filter(|origin| origin.starts_with("http")),
            _ => None,
        });
        let Some(recorded) = recorded else { return };
        self.each_url(|url| {
            let Some((origin, rest)) = origin_of(url) else { return };
            if normal(origin) == recorded {
                let slash = if rest.starts_with('/') { "" } else { "/" };
                *url = format!("{base_origin}{prefix}{slash}{rest}");
            }
        });
    }

    /// Replaces `${NAME}` by its value in values, URLs, selectors and expressions. A name that is not in `vars` stays as it is.
    pub fn substitute(&mut self, vars: &BTreeMap<String, String>) {
        let fill = |text: &mut String| {
            if text.contains("${") {
                *text = expand(text, vars);
            }
        };
        self.each_url(fill);
        for step in &mut self.steps {
            match &mut step.kind {
                StepKind::Change { value, .. } => fill(value),
                StepKind::WaitForExpression { expression } => fill(expression),
                _ => {}
            }
            each_selector(step, fill);
        }
    }

    fn each_url(&mut self, mut change: impl FnMut(&mut String)) {
        for step in &mut self.steps {
            if let StepKind::Navigate { url } = &mut step.kind {
                change(url);
            }
            if let Target::Url(url) = &mut step.target {
                change(url);
            }
            if let Some(url) =
                step.navigation.as_mut().and_then(|navigation| navigation.url.as_mut())
            {
                change(url);
            }
        }
    }
}

fn each_selector(step: &mut Step, change: impl Fn(&mut String)) {
    let selectors = match &mut step.kind {
        StepKind::Click(click) | StepKind::DoubleClick(click) => Some(&mut click.selectors),
        StepKind::Hover { selectors } | StepKind::Change { selectors, .. } => Some(selectors),
        StepKind::Scroll { selectors, .. } => selectors.as_mut(),
        StepKind::WaitForElement(wait) => Some(&mut wait.selectors),
        _ => None,
    };
    for part in selectors.into_iter().flat_map(|all| &mut all.0).flat_map(|chain| &mut chain.0) {
        match part {
            Selector::Css(text)
            | Selector::Text(text)
            | Selector::XPath(text)
            | Selector::Pierce(text) => change(text),
            Selector::Aria { name, role } => name.iter_mut().chain(role).for_each(&change),
        }
    }
}

/// One pass from left to right: a value is never expanded again.
fn expand(text: &str, vars: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let known =
            rest.find('}').and_then(|end| vars.get(&rest[2..end]).map(|value| (end, value)));
        let taken = if let Some((end, value)) = known {
            out.push_str(value);
            end + 1
        } else {
            out.push_str("${");
            2
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

//! Aims a flow at another environment and fills in its variables. Pure text work: no URL library in `core`.

use std::collections::BTreeMap;

use super::{Flow, Scope, StepKind, Value, texts::each_url};

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

/// Returns where `url` leads from `base`. Dots in paths are left to the browser.
pub(super) fn absolute(base: &str, url: &str) -> String {
    let Some((origin, rest)) = origin_of(base) else { return url.to_owned() };
    let scheme = url.split([':']).next().unwrap_or_default();
    let has_scheme = scheme.len() < url.len()
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if has_scheme {
        return url.to_owned();
    }
    if url.starts_with("//") {
        let end = origin.find("//").unwrap_or_default();
        return format!("{}{url}", &origin[..end]);
    }
    if url.starts_with('/') {
        return format!("{origin}{url}");
    }
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    match url.chars().next() {
        None => base.to_owned(),
        Some('?') => format!("{origin}{path}{url}"),
        Some('#') => format!("{}{url}", base.split('#').next().unwrap_or_default()),
        Some(_) => {
            let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
            format!("{origin}{folder}{url}")
        }
    }
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
    /// The recorded site is the origin of the flow's base URL, otherwise of the first `navigate` over http(s) (recordings
    /// may start on a new-tab page). Relative URLs then start at `base_url`. URLs of other origins stay as they are.
    pub fn rebase(&mut self, base_url: &str) {
        let Some((base_origin, base_rest)) = origin_of(base_url) else { return };
        let prefix = base_rest.split(['?', '#']).next().unwrap_or("").trim_end_matches('/');
        let navigates = self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Navigate { url } => Some(url),
            _ => None,
        });
        let recorded = self
            .base_url
            .iter()
            .chain(navigates)
            .filter_map(|url| origin_of(url))
            .map(|(origin, _)| normal(origin))
            .find(|origin| origin.starts_with("http"));
        let aim = |url: &mut String| {
            if url.starts_with('/') && !url.starts_with("//") {
                url.insert_str(0, &format!("{base_origin}{prefix}"));
                return;
            }
            let Some((origin, rest)) = origin_of(url) else { return };
            if recorded.as_ref() == Some(&normal(origin)) {
                let slash = if rest.starts_with('/') { "" } else { "/" };
                *url = format!("{base_origin}{prefix}{slash}{rest}");
            }
        };
        self.steps.iter_mut().for_each(|step| each_url(step, &aim));
        match &mut self.base_url {
            Some(recorded) => aim(recorded),
            None => self.base_url = Some(base_url.to_owned()),
        }
    }

    /// Gives the flow's variables the values of a run. URLs are filled at once, so that they can be re-aimed afterwards,
    /// unless a step gives one of their variables another value.
    pub fn substitute(&mut self, vars: &BTreeMap<String, String>) {
        for (name, value) in vars {
            self.variables.insert(name.clone(), Value::Text(value.clone()));
        }
        let mut fixed = Flow::new("", Vec::new());
        fixed.variables.clone_from(&self.variables);
        for step in &self.steps {
            if let Some(name) = step.kind.assigns() {
                fixed.variables.remove(name);
            }
        }
        let scope = Scope::new(&fixed);
        let fill = |url: &mut String| {
            if url.contains("${") {
                *url = scope.fill(url);
            }
        };
        self.steps.iter_mut().for_each(|step| each_url(step, &fill));
    }
}

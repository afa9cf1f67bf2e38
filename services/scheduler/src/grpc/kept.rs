//! Checks what a run wants to keep of its attempts: that it is known, and that the run's browser can give it.

use crate::admit;
use gauntlet_core::flow::{Engine, Support, film, tells_logs};
use gauntlet_proto::{edge::Violations, v1};

/// Adds what is wrong with screenshots, logs and video.
pub(crate) fn check(options: &v1::RunOptions, violations: &mut Violations) {
    let unknown = "is not a known value";
    let screenshots = v1::ScreenshotMode::try_from(options.screenshots).is_ok();
    violations.check(screenshots, "options.screenshots", unknown);
    violations.check(v1::LogMode::try_from(options.logs).is_ok(), "options.logs", unknown);
    violations.check(v1::VideoMode::try_from(options.video).is_ok(), "options.video", unknown);
    let engine = admit::engine_of(options.browser());
    let mut able = |field: &str, wanted: bool, able: fn(Engine) -> Support| {
        if let (true, Support::Impossible(why)) = (wanted, able(engine)) {
            let text = format!("{} cannot do this: {why}", engine.as_str());
            violations.check(false, field, text);
        }
    };
    able("options.video", admit::is_filmed(options), film);
    // What nobody asked for by name is kept where there is something to keep.
    let logs = matches!(options.logs(), v1::LogMode::On | v1::LogMode::OnFailure);
    able("options.logs", logs, tells_logs);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: v1::RunOptions) -> Vec<String> {
        let mut violations = Violations::default();
        check(&options, &mut violations);
        let refused = violations.finish().err().unwrap_or_default();
        refused.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a3_what_cannot_be_kept_is_refused_by_its_field() {
        let mut options =
            v1::RunOptions { screenshots: 9, video: 9, logs: 9, ..Default::default() };
        assert_eq!(refused(options), ["options.screenshots", "options.logs", "options.video"]);
        options = v1::RunOptions::default();
        options.set_browser(v1::Browser::Webkit);
        assert!(refused(options.clone()).is_empty());
        options.set_video(v1::VideoMode::OnFailure);
        options.set_logs(v1::LogMode::On);
        assert_eq!(refused(options.clone()), ["options.video", "options.logs"]);
        options.set_browser(v1::Browser::Firefox);
        assert!(refused(options).is_empty());
    }
}

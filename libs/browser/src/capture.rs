//! What is kept of a test besides its result: pictures of its steps, and the page behind a failure.
//!
//! Pictures go to files in a folder of the caller's, who also removes it: a long test must not fill the memory. A crash
//! leaves them to whoever sweeps that folder.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use gauntlet_core::limits::{PAGE_SOURCE_BYTES_MAX, STEP_SCREENSHOTS_MAX};

use crate::{driver::GRACE, session::Session};

/// How long a picture of a page may take.
pub(crate) const PICTURE_LIMIT: Duration = Duration::from_secs(3);

/// What is kept of one test besides its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// Where pictures and frames are written: an empty folder.
    pub folder: PathBuf,
    /// Whether there is a picture after every step.
    pub every_step: bool,
    /// Whether the test is filmed.
    pub film: bool,
}

/// Cuts a page's source to its limit.
fn cut(mut source: String) -> String {
    if source.len() > PAGE_SOURCE_BYTES_MAX {
        let end = (0..=PAGE_SOURCE_BYTES_MAX).rev().find(|end| source.is_char_boundary(*end));
        source.truncate(end.unwrap_or_default());
    }
    source
}

impl Session<'_> {
    /// Returns the HTML of the document that commands go to; `None` if that takes too long.
    pub(crate) async fn page_source(&mut self) -> Option<String> {
        self.arrive().await.ok()?;
        let source = match self.pages.devtools() {
            Some(_) => {
                let (devtools, (frame, document)) = self.near()?;
                let object = devtools.object_of((&frame, &document), GRACE).await.ok()?;
                let order = json!({ "objectId": object });
                devtools.page(&frame, "DOM.getOuterHTML", order, GRACE).await.ok()?["outerHTML"]
                    .take()
            }
            None => self.driver.call(http::Method::GET, "source", None, GRACE).await.ok()?,
        };
        source.as_str().map(|source| cut(source.to_owned()))
    }

    /// Takes a picture of the page after the step that was recorded as the `taken`th one, if that is asked for.
    pub(crate) async fn picture_of_step(&mut self, taken: usize) -> Option<PathBuf> {
        let capture = self.options.capture.as_ref().filter(|capture| capture.every_step)?;
        if taken >= STEP_SCREENSHOTS_MAX || self.holds() {
            return None;
        }
        let png = self.screenshot(PICTURE_LIMIT).await?;
        write(&capture.folder, &format!("step-{taken:04}.png"), &png).await
    }
}

/// Writes a picture; one that cannot be written is left out, as one that cannot be taken.
pub(crate) async fn write(folder: &Path, name: &str, content: &[u8]) -> Option<PathBuf> {
    let path = folder.join(name);
    match tokio::fs::write(&path, content).await {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "a picture could not be written");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_page_is_cut_between_two_characters() {
        let page = format!("x{}", "ä".repeat(PAGE_SOURCE_BYTES_MAX));
        assert_eq!(cut(page).len(), PAGE_SOURCE_BYTES_MAX - 1);
        assert_eq!(cut("<p>".to_owned()), "<p>");
    }
}

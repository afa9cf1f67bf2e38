//! What is written when a run has ended: the summary, the JSON document, the `JUnit` file.

use crate::cli::run::ReportArgs;
use crate::failure::Failure;
use crate::output;
use crate::report::document::Document;
use crate::report::{Report, junit, summary};
use std::path::Path;

/// Writes everything that was asked for. The summary leaves standard output to a document that goes there.
pub(super) fn write(report: &Report, args: &ReportArgs) -> Result<(), Failure> {
    let summary = summary::render(report);
    match &args.json {
        Some(None) => {
            output::note(&summary);
            output::line(Document::new(report).render().trim_end());
        }
        Some(Some(file)) => {
            output::line(&summary);
            write_file(file, &Document::new(report).render())?;
        }
        None => output::line(&summary),
    }
    match &args.junit {
        Some(file) => write_file(file, &junit::render(report)),
        None => Ok(()),
    }
}

fn write_file(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(file, text))
        .map_err(|error| {
            Failure::infrastructure(&format!("cannot write {}", file.display()), &error)
        })
}

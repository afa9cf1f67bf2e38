//! `JUnit` XML as common CI parsers read it: a suite per file, a case per test.
//!
//! XML 1.0 cannot hold most control characters, not even escaped, so they are dropped.

use super::{Report, ReportedTest};
use crate::names;
use gauntlet_proto::v1;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// Returns the report as `JUnit` XML.
pub(crate) fn render(report: &Report) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing into memory cannot fail; what was written is returned.
    let _ = write(&mut writer, report);
    String::from_utf8_lossy(&writer.into_inner()).into_owned() + "\n"
}

type Xml = Writer<Vec<u8>>;

fn write(writer: &mut Xml, report: &Report) -> io::Result<()> {
    let mut suites: BTreeMap<&str, Vec<&ReportedTest>> = BTreeMap::new();
    for test in &report.tests {
        suites.entry(&test.planned.file).or_default().push(test);
    }
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<_> = report.tests.iter().collect();
    let mut attributes = vec![("name", "gauntlet".to_owned())];
    attributes.extend(totals(&all));
    element(writer, "testsuites", &attributes, |writer| {
        for (file, tests) in &suites {
            suite(writer, report, file, tests)?;
        }
        Ok(())
    })
}

fn suite(writer: &mut Xml, report: &Report, file: &str, tests: &[&ReportedTest]) -> io::Result<()> {
    let mut attributes = vec![("name", file.to_owned())];
    attributes.extend(totals(tests));
    if let Some(at) = super::document::time(report.run.create_time.as_ref()) {
        attributes.push(("timestamp", at));
    }
    element(writer, "testsuite", &attributes, |writer| {
        let run_id = report.run.run_id.clone();
        properties(writer, &[("run_id", run_id)])?;
        tests.iter().try_for_each(|test| case(writer, test))
    })
}

fn case(writer: &mut Xml, test: &ReportedTest) -> io::Result<()> {
    let file = test.planned.file.as_str();
    let class = file.trim_end_matches(".json").replace('/', ".");
    let attributes = [
        ("name", test.planned.name.clone()),
        ("classname", class),
        ("file", file.to_owned()),
        ("time", seconds(test.duration())),
    ];
    element(writer, "testcase", &attributes, |writer| {
        let retries = test.attempts.len().saturating_sub(1).to_string();
        let mut list =
            vec![("retries", retries), ("outcome", names::outcome(test.outcome).to_owned())];
        list.extend(test.executor().map(|executor| ("executor", executor.to_owned())));
        properties(writer, &list)?;
        ending(writer, test)
    })
}

/// Writes the element that says why the test did not pass, if it did not.
fn ending(writer: &mut Xml, test: &ReportedTest) -> io::Result<()> {
    let failure = test.failed_attempt().and_then(|attempt| attempt.failure.as_ref());
    match test.outcome {
        v1::TestOutcome::Passed | v1::TestOutcome::Flaky => Ok(()),
        v1::TestOutcome::Skipped => {
            empty_element(writer, "skipped", &[("message", test.skip_reason.clone())])
        }
        v1::TestOutcome::Failed | v1::TestOutcome::TimedOut => {
            trouble(writer, "failure", test, failure)
        }
        v1::TestOutcome::Errored | v1::TestOutcome::NotRun | v1::TestOutcome::Unspecified => {
            trouble(writer, "error", test, failure)
        }
    }
}

fn trouble(
    writer: &mut Xml,
    tag: &str,
    test: &ReportedTest,
    failure: Option<&v1::Failure>,
) -> io::Result<()> {
    let outcome = names::outcome(test.outcome);
    let Some(failure) = failure else {
        let attributes = [("message", outcome.replace('_', " ")), ("type", outcome.to_uppercase())];
        return empty_element(writer, tag, &attributes);
    };
    let attributes =
        [("message", failure.message.clone()), ("type", failure.failure_class.clone())];
    let mut lines = super::summary::details(failure);
    lines.extend(test.failed_attempt().map(super::summary::steps).unwrap_or_default());
    let mut text = lines.join("\n");
    if let Some(path) = &test.screenshot {
        text.push_str(&format!("\nscreenshot: {path}"));
    }
    element(writer, tag, &attributes, |writer| {
        writer.write_event(Event::Text(BytesText::new(&clean(&text))))
    })?;
    // Where CI servers look for attachments.
    match &test.screenshot {
        Some(path) => element(writer, "system-out", &[], |writer| {
            let text = clean(&format!("[[ATTACHMENT|{path}]]"));
            writer.write_event(Event::Text(BytesText::new(&text)))
        }),
        None => Ok(()),
    }
}

fn totals(tests: &[&ReportedTest]) -> Vec<(&'static str, String)> {
    let count = |wanted: &[v1::TestOutcome]| {
        tests.iter().filter(|test| wanted.contains(&test.outcome)).count().to_string()
    };
    let time: Duration = tests.iter().map(|test| test.duration()).sum();
    vec![
        ("tests", tests.len().to_string()),
        ("failures", count(&[v1::TestOutcome::Failed, v1::TestOutcome::TimedOut])),
        (
            "errors",
            count(&[
                v1::TestOutcome::Errored,
                v1::TestOutcome::NotRun,
                v1::TestOutcome::Unspecified,
            ]),
        ),
        ("skipped", count(&[v1::TestOutcome::Skipped])),
        ("time", seconds(time)),
    ]
}

fn properties(writer: &mut Xml, list: &[(&str, String)]) -> io::Result<()> {
    element(writer, "properties", &[], |writer| {
        list.iter().try_for_each(|(name, value)| {
            let attributes = [("name", (*name).to_owned()), ("value", value.clone())];
            empty_element(writer, "property", &attributes)
        })
    })
}

fn element(
    writer: &mut Xml,
    tag: &str,
    attributes: &[(&str, String)],
    inner: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    writer.write_event(Event::Start(start(tag, attributes)))?;
    inner(writer)?;
    writer.write_event(Event::End(BytesEnd::new(tag)))
}

fn empty_element(writer: &mut Xml, tag: &str, attributes: &[(&str, String)]) -> io::Result<()> {
    writer.write_event(Event::Empty(start(tag, attributes)))
}

fn start<'t>(tag: &'t str, attributes: &[(&str, String)]) -> BytesStart<'t> {
    let mut start = BytesStart::new(tag);
    for (name, value) in attributes {
        start.push_attribute((*name, clean(value).as_str()));
    }
    start
}

/// Drops what XML 1.0 cannot hold.
fn clean(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().filter(allowed).collect()
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn the_report_reads_as_junit() {
        assert_eq!(render(&sample()), include_str!("golden/report.xml"));
    }

    #[test]
    fn control_characters_are_dropped() {
        assert_eq!(clean("a\u{0}b\u{1b}[31m\tc\u{FFFF}"), "ab[31m\tc");
    }
}

//! Checks of requests about runs: every malformed field is named, all at once.

use super::{emulation, kept};
use crate::abort::AbortRequest;
use crate::admit::{NewRunRequest, Selection, engine_of};
use crate::retry::RetryRequest;
use gauntlet_core::RunId;
use gauntlet_core::flow::{Support, resets};
use gauntlet_core::limits::{
    LISTED_TESTS_MAX, RUN_SHARDS_MAX, RUN_TESTS_MAX, RUN_TIMEOUT_MAX, SHARD_WORKERS_MAX,
    TEST_RETRIES_MAX, TEST_TIMEOUT_MAX,
};
use gauntlet_proto::edge::{self, Violations};
use gauntlet_proto::{FieldViolation, v1};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

const NAME_CHARS_MAX: usize = 128;
const REASON_CHARS_MAX: usize = 1_024;
const URL_CHARS_MAX: usize = 2_048;
const LABELS_MAX: usize = 32;
const LABEL_CHARS_MAX: usize = 1_024;
const VARIABLES_MAX: usize = 256;
const VARIABLE_CHARS_MAX: usize = 4_096;

/// Returns the project, "default" when empty.
pub(crate) fn project(text: String) -> Result<String, FieldViolation> {
    if text.is_empty() {
        return Ok("default".to_owned());
    }
    name("project", &text)?;
    Ok(text)
}

/// Checks a name of a project, environment or label.
pub(crate) fn name(field: &str, text: &str) -> Result<(), FieldViolation> {
    if text.is_empty() || text.chars().count() > NAME_CHARS_MAX || text.contains('\0') {
        let rule = format!("must have 1 to {NAME_CHARS_MAX} characters and no NUL");
        return Err(FieldViolation::new(field, rule));
    }
    Ok(())
}

/// Turns a request, made in the trace of `traceparent`, into one to admit.
pub(crate) fn trigger_run(
    request: v1::TriggerRunRequest,
    traceparent: String,
) -> Result<NewRunRequest, Vec<FieldViolation>> {
    let mut violations = Violations::default();
    let request_id = match request.request_id.as_str() {
        "" => None,
        id => violations.take(edge::uuid("request_id", id)),
    };
    let project = violations.take(project(request.project));
    if !request.environment.is_empty() {
        violations.take(name("environment", &request.environment));
    }
    let selection = selection(request.selection.unwrap_or_default(), &mut violations);
    let options = request.options.unwrap_or_default();
    check_options(&options, &mut violations);
    let trigger = request.trigger.unwrap_or_default();
    check_trigger(&trigger, &mut violations);
    violations.finish()?;
    Ok(NewRunRequest {
        request_id,
        project: project.unwrap_or_default(),
        environment: request.environment,
        selection,
        options,
        trigger,
        traceparent,
    })
}

/// Turns a request into an abort.
pub(crate) fn abort_run(request: v1::AbortRunRequest) -> Result<AbortRequest, Vec<FieldViolation>> {
    let mut violations = Violations::default();
    let run_id = violations.take(edge::uuid("run_id", &request.run_id));
    let generation = u32::try_from(request.generation);
    violations.check(generation.is_ok(), "generation", "must not be negative");
    violations.finish()?;
    let reason: String = request.reason.replace('\0', "").chars().take(REASON_CHARS_MAX).collect();
    Ok(AbortRequest {
        run_id: RunId(run_id.unwrap_or_default()),
        generation: generation.ok().filter(|generation| *generation > 0),
        reason: if reason.is_empty() { "aborted by request".to_owned() } else { reason },
    })
}

/// Turns a request into tests to run again.
pub(crate) fn retry_run(request: v1::RetryRunRequest) -> Result<RetryRequest, Vec<FieldViolation>> {
    let mut violations = Violations::default();
    let run_id = violations.take(edge::uuid("run_id", &request.run_id));
    let generation = u32::try_from(request.generation).unwrap_or(0);
    violations.check(generation > 0, "generation", "must be 1 or more");
    let known = request.ordinals.iter().all(|ordinal| *ordinal >= 0);
    violations.check(known, "ordinals", "must not be negative");
    let ordinals: BTreeSet<u32> = request.ordinals.iter().map(|o| o.unsigned_abs()).collect();
    let rule = format!("must have 1 to {RUN_TESTS_MAX} items");
    violations.check((1..=RUN_TESTS_MAX).contains(&ordinals.len()), "ordinals", rule);
    let shards = u32::try_from(request.shards).unwrap_or(u32::MAX);
    let rule = format!("must be between 0 and {RUN_SHARDS_MAX}");
    violations.check(shards <= RUN_SHARDS_MAX, "shards", rule);
    violations.finish()?;
    Ok(RetryRequest {
        run_id: RunId(run_id.unwrap_or_default()),
        generation,
        ordinals: ordinals.into_iter().collect(),
        shards: (shards > 0).then_some(shards),
    })
}

fn selection(selection: v1::TestSelection, violations: &mut Violations) -> Selection {
    let include_drafts = selection.include_drafts;
    if selection.test_ids.is_empty() {
        check_tags("selection.tags", &selection.tags, violations);
        return Selection::Tagged { tags: selection.tags, include_drafts };
    }
    violations.check(selection.tags.is_empty(), "selection.tags", "must be empty with test_ids");
    let count = selection.test_ids.len();
    let rule = format!("{count} ids, at most {LISTED_TESTS_MAX} may be listed");
    violations.check(count <= LISTED_TESTS_MAX, "selection.test_ids", rule);
    let ids = selection.test_ids.iter().enumerate().filter_map(|(index, id)| {
        violations.take(edge::uuid(&format!("selection.test_ids[{index}]"), id))
    });
    Selection::Listed { ids: ids.collect(), include_drafts }
}

/// Checks labels of tests.
pub(crate) fn check_tags(field: &str, tags: &[String], violations: &mut Violations) {
    violations.check(tags.len() <= LABELS_MAX, field, format!("at most {LABELS_MAX} labels"));
    for tag in tags {
        let ok = (1..=64).contains(&tag.chars().count()) && !tag.contains('\0');
        violations.check(ok, field, "labels must have 1 to 64 characters");
    }
}

fn check_options(options: &v1::RunOptions, violations: &mut Violations) {
    let within = |value: i32, max: u32| (0..=i64::from(max)).contains(&i64::from(value));
    let number = |max: u32| format!("must be between 0 and {max}");
    let (shards, workers, retries) = (options.shards, options.workers, options.retries);
    violations.check(within(shards, RUN_SHARDS_MAX), "options.shards", number(RUN_SHARDS_MAX));
    let workers_ok = within(workers, SHARD_WORKERS_MAX);
    violations.check(workers_ok, "options.workers", number(SHARD_WORKERS_MAX));
    let retries_ok = within(retries, TEST_RETRIES_MAX);
    violations.check(retries_ok, "options.retries", number(TEST_RETRIES_MAX));
    check_enums(options, violations);
    if !options.base_url.is_empty() {
        check_url("options.base_url", &options.base_url, violations);
    }
    check_variables("options.variables", &options.variables, violations);
    if let Some(emulation) = &options.emulation {
        emulation::check(emulation, options.browser(), violations);
    }
    check_isolation(options, violations);
    kept::check(options, violations);
    let rule = "belongs to an environment, so that nobody goes round it";
    violations.check(options.egress.is_none(), "options.egress", rule);
    let ok = options.speed == 0.0 || (0.1..=10.0).contains(&options.speed);
    violations.check(ok, "options.speed", "must be between 0.1 and 10");
    if let Some(sign_in) = &options.sign_in {
        violations.take(edge::uuid("options.sign_in.test_id", &sign_in.test_id));
        let ok = !matches!(options.browser(), v1::Browser::Webkit);
        let rule = "webkit cannot begin where another test ended: it has no WebDriver BiDi";
        violations.check(ok, "options.sign_in", rule);
    }
    let failures = options.stop_after_failures;
    let failures_max = u32::try_from(RUN_TESTS_MAX).unwrap_or(u32::MAX);
    let rule = number(failures_max);
    violations.check(within(failures, failures_max), "options.stop_after_failures", rule);
    if let Some(timeout) = &options.run_timeout {
        let timeout = violations.take(edge::duration("options.run_timeout", timeout));
        let range = Duration::from_secs(1)..=RUN_TIMEOUT_MAX;
        let ok = timeout.is_none_or(|timeout| range.contains(&timeout));
        violations.check(ok, "options.run_timeout", "must be between 1 s and 7 days");
    }
    if let Some(timeout) = &options.test_timeout {
        let timeout = violations.take(edge::duration("options.test_timeout", timeout));
        let range = Duration::from_secs(1)..=TEST_TIMEOUT_MAX;
        let ok = timeout.is_none_or(|timeout| range.contains(&timeout));
        violations.check(ok, "options.test_timeout", "must be between 1 s and 1 h");
    }
}

fn check_isolation(options: &v1::RunOptions, violations: &mut Violations) {
    let field = "options.isolation";
    let known = v1::Isolation::try_from(options.isolation).is_ok();
    violations.check(known, field, "is not a known value");
    let engine = engine_of(options.browser());
    if options.isolation() == v1::Isolation::Reset
        && let Support::Impossible(why) = resets(engine)
    {
        violations.check(false, field, format!("{} cannot do this: {why}", engine.as_str()));
    }
}

fn check_enums(options: &v1::RunOptions, violations: &mut Violations) {
    let unknown = "is not a known value";
    let browser = v1::Browser::try_from(options.browser).is_ok();
    violations.check(browser, "options.browser", unknown);
    let infra = v1::OnInfraFailure::try_from(options.on_infra_failure).is_ok();
    violations.check(infra, "options.on_infra_failure", unknown);
    let dialogs = v1::DialogPolicy::try_from(options.dialog_policy).is_ok();
    violations.check(dialogs, "options.dialog_policy", unknown);
    let timing = v1::TimingMode::try_from(options.timing).is_ok();
    violations.check(timing, "options.timing", unknown);
}

fn check_trigger(trigger: &v1::Trigger, violations: &mut Violations) {
    let known = v1::TriggeredBy::try_from(trigger.triggered_by).is_ok();
    violations.check(known, "trigger.triggered_by", "is not a known value");
    if !trigger.callback_url.is_empty() {
        check_url("trigger.callback_url", &trigger.callback_url, violations);
    }
    let labels = &trigger.labels;
    let few = labels.len() <= LABELS_MAX;
    violations.check(few, "trigger.labels", format!("at most {LABELS_MAX} labels"));
    let short = labels.iter().all(|(k, v)| k.len() <= NAME_CHARS_MAX && v.len() <= LABEL_CHARS_MAX);
    violations.check(short, "trigger.labels", "keys up to 128, values up to 1,024 characters");
}

/// Checks an http or https URL.
pub(crate) fn check_url(field: &str, text: &str, violations: &mut Violations) {
    let parsed = url::Url::parse(text);
    let ok = parsed.is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    violations.check(ok, field, "must be an absolute http or https URL");
    let rule = format!("at most {URL_CHARS_MAX} characters");
    violations.check(text.chars().count() <= URL_CHARS_MAX, field, rule);
}

/// Checks values for `${NAME}`. The values themselves are never repeated in an error.
pub(crate) fn check_variables(
    field: &str,
    variables: &HashMap<String, String>,
    violations: &mut Violations,
) {
    let few = variables.len() <= VARIABLES_MAX;
    violations.check(few, field, format!("at most {VARIABLES_MAX} variables"));
    for (name, value) in variables {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let ok = first && rest && name.len() <= NAME_CHARS_MAX;
        violations.check(ok, field, "names must match [A-Za-z_][A-Za-z0-9_]*");
        let short = value.len() <= VARIABLE_CHARS_MAX;
        violations.check(short, field, format!("values up to {VARIABLE_CHARS_MAX} bytes"));
    }
}

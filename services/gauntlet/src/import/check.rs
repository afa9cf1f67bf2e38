//! What `import --check` prints: every step of every test, and which browser performs it how.

use super::Loaded;
use gauntlet_core::flow::{Engine, Step, Support, support};
use std::fmt::Write as _;

/// A label may be long; the table stays a table.
const LABEL_CHARS_MAX: usize = 60;

/// Returns the table of all tests, and below it what no browser, or not every browser, can do.
pub(crate) fn table(loaded: &[Loaded]) -> String {
    let mut out = String::new();
    for (file, flow) in loaded.iter().flat_map(|one| one.flows.iter().map(|flow| (&one.file, flow)))
    {
        let _ = writeln!(out, "{file}  {:?}", flow.title);
        let _ = writeln!(
            out,
            "  {:>4}  {:<24}  {:<12}  {:<12}  {:<12}",
            "step", "kind", "chromium", "firefox", "webkit"
        );
        let mut reasons = Vec::new();
        for (index, step) in flow.steps.iter().enumerate() {
            out.push_str(row(index + 1, step).trim_end());
            out.push('\n');
            for engine in Engine::ALL {
                if let Support::Impossible(why) = support(step, engine) {
                    reasons.push(format!("  step {} on {}: {why}", index + 1, engine.as_str()));
                }
            }
        }
        let missing = flow.missing_variables();
        if !missing.is_empty() {
            reasons.push(format!("  the run must give a value to: {}", missing.join(", ")));
        }
        reasons.iter().for_each(|reason| out.push_str(&format!("{reason}\n")));
    }
    out
}

fn row(number: usize, step: &Step) -> String {
    let [chromium, firefox, webkit] = Engine::ALL.map(|engine| match support(step, engine) {
        Support::Native => "native",
        Support::Vendor => "vendor",
        Support::Impossible(_) => "not possible",
    });
    let label: String =
        step.label.iter().flat_map(|label| label.chars()).take(LABEL_CHARS_MAX).collect();
    let label = label.replace(char::is_control, " ");
    format!(
        "  {number:>4}  {:<24}  {chromium:<12}  {firefox:<12}  {webkit:<12}  {label}",
        step.type_name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::flow::{Flow, StepKind, Value};

    #[test]
    fn g2_every_step_is_listed_with_what_each_browser_makes_of_it() {
        let slow =
            StepKind::EmulateNetworkConditions { download: 1.0, upload: 1.0, latency_ms: 0.0 };
        let mut secret = Step::new(StepKind::Echo { text: "hunter2".into() });
        secret.label = Some("t › 2 echo".into());
        let mut flow = Flow::new("t", vec![Step::new(slow), secret]);
        flow.variables.insert("password".into(), Value::Null);
        let loaded = Loaded { file: "a.side".into(), content: Vec::new(), flows: vec![flow] };
        let table = table(&[loaded]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "a.side  \"t\"");
        assert!(
            lines[2].contains("emulateNetworkConditions  vendor        not possible  not possible")
        );
        assert!(lines[3].contains("echo") && lines[3].ends_with("t › 2 echo"), "{table}");
        assert!(lines[4].starts_with("  step 1 on firefox: only being offline"), "{table}");
        assert_eq!(lines[6], "  the run must give a value to: password");
        assert!(!table.contains("hunter2"));
    }
}

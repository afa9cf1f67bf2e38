//! The tasks work and print what is documented. How fast anything is is never asserted here: others use the machine too.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn task(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output();
    let output = output.expect("xtask starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn documented(document: &str, heading: &str) -> BTreeSet<String> {
    let section = document.split(heading).nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("a section on the output").lines().filter(|l| l.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    // Options of the command are told there, too.
    let keys = quoted.filter(|word| !word.starts_with('-'));
    keys.map(|key| key.trim_start_matches('.').trim_end_matches("[]").to_owned()).collect()
}

/// Gathers the keys of every object, except those that name a process.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                if !["cpu_ms", "cpu_ms_per_run", "peak_rss_mib"].contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn the_quick_benchmark_of_the_mesh_writes_every_key_that_is_documented_and_no_other() {
    writes_what_is_documented(&["bench", "mesh", "--quick"], "## Output");
}

#[test]
fn the_quick_benchmark_of_browsers_writes_every_key_that_is_documented_and_no_other() {
    // Without Playwright: a test asks no registry for anything.
    writes_what_is_documented(
        &["bench", "browser", "--quick", "--alone"],
        "## Keys of bench browser",
    );
}

fn writes_what_is_documented(bench: &[&str], heading: &str) {
    let name = format!("{}.json", bench[1]);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // A file of an earlier time proves nothing.
    let _ = std::fs::remove_file(&file);
    task(&[bench, &["--json", &file.display().to_string()]].concat());
    let report: Value =
        serde_json::from_slice(&std::fs::read(&file).expect("a report")).expect("JSON");
    let mut written = BTreeSet::new();
    keys(&report, &mut written);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let documented = documented(&std::fs::read_to_string(document).expect("the document"), heading);
    let missing: Vec<_> = documented.difference(&written).collect();
    let unknown: Vec<_> = written.difference(&documented).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

#[test]
fn the_simulator_prints_its_coverage_or_one_schedule() {
    let all = task(&["sim", "--seeds", "5"]);
    let all = String::from_utf8(all.stdout).unwrap();
    assert!(all.contains("5 seeds from 0 on") && all.contains("| change of state |"), "{all}");
    let one = task(&["sim", "--seed", "3"]);
    let one = String::from_utf8(one.stdout).unwrap();
    assert!(one.contains(" ms  ") && one.ends_with(" deliveries\n"), "{one}");
}

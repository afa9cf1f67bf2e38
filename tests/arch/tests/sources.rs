//! What every Rust file keeps to: a module says what it is, stays readable, and leaves statuses to `libs/rpc`.

use crate::scan::scan;
use crate::tree::File;

const LINES_MAX: usize = 500;

/// The constructors of `tonic::Status`. Reading a status is everybody's right.
const CONSTRUCTORS: [&str; 20] = [
    "aborted",
    "already_exists",
    "cancelled",
    "data_loss",
    "deadline_exceeded",
    "failed_precondition",
    "from_error",
    "internal",
    "invalid_argument",
    "new",
    "not_found",
    "ok",
    "out_of_range",
    "permission_denied",
    "resource_exhausted",
    "unauthenticated",
    "unavailable",
    "unimplemented",
    "unknown",
    "with_details",
];

fn layout(file: &File) -> Vec<String> {
    let (path, mut found) = (&file.path, Vec::new());
    if path.ends_with("/mod.rs") {
        found.push(format!("{path}:1: a module is called by its name, not mod.rs"));
    }
    if !file.text.starts_with("//!") {
        found.push(format!(
            "{path}:1: a module starts with `//!`: what it owns and what it does not do"
        ));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        found.push(format!(
            "{path}:{LINES_MAX}: {lines} lines; at most {LINES_MAX}, one idea a file"
        ));
    }
    found
}

fn statuses(file: &File) -> Vec<String> {
    if file.path.starts_with("libs/rpc/") || file.is_test() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, line) in scan(&file.text).code.lines().enumerate() {
        for (at, _) in line.match_indices("Status::") {
            let part_of_name = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let call = line[at + "Status::".len()..]
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .next();
            if let Some(call) = call.filter(|call| !part_of_name && CONSTRUCTORS.contains(call)) {
                let line = index + 1;
                found.push(format!(
                    "{}:{line}: Status::{call}: only libs/rpc makes a status",
                    file.path
                ));
            }
        }
    }
    found
}

fn rust() -> Vec<File> {
    crate::tree::files(&["libs", "services", "tests", "xtask"], &[".rs"])
}

#[test]
fn every_module_says_what_it_is_and_stays_readable() {
    crate::tree::none(&rust().iter().flat_map(layout).collect::<Vec<_>>());
}

#[test]
fn only_the_rpc_library_makes_statuses() {
    crate::tree::none(&rust().iter().flat_map(statuses).collect::<Vec<_>>());
}

#[cfg(test)]
mod seeded {
    use super::*;

    #[test]
    fn a_long_a_silent_and_a_misnamed_module_are_found() {
        let long = format!("//! Long.\n{}", "\n".repeat(500));
        assert_eq!(layout(&File::new("libs/a/src/ok.rs", "//! Fine.\n")), Vec::<String>::new());
        assert!(layout(&File::new("libs/a/src/long.rs", &long))[0].contains("501 lines"));
        assert!(
            layout(&File::new("libs/a/src/b.rs", "use a;\n//! Late.\n"))[0].contains("starts with")
        );
        assert!(layout(&File::new("libs/a/src/b/mod.rs", "//! B.\n"))[0].contains("not mod.rs"));
    }

    #[test]
    fn a_status_made_outside_of_rpc_is_found() {
        let text = "//! S.\nfn f() -> tonic::Status {\n    tonic::Status::not_found(\"x\")\n}\n";
        let found = statuses(&File::new("services/results/src/grpc.rs", text));
        assert!(
            found.len() == 1 && found[0].starts_with("services/results/src/grpc.rs:3:"),
            "{found:?}"
        );
        assert!(statuses(&File::new("libs/rpc/src/status.rs", text)).is_empty());
        let harmless = "// Status::internal\nlet a = ErrorStatus::new(); let b = Status::code(&c); \"Status::ok\"";
        assert!(statuses(&File::new("services/results/src/grpc.rs", harmless)).is_empty());
    }
}

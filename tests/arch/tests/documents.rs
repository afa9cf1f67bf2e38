//! What documents promise exists: links lead somewhere, and settings are the ones the program reads.

use crate::scan::scan;
use crate::tree::File;
use std::collections::BTreeSet;

/// Returns links of a document that lead to no file, given which paths exist.
fn dead_links(file: &File, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for rest in line.split("](").skip(1) {
            let link = rest.split(')').next().unwrap_or_default();
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
            for part in path.split('/') {
                match part {
                    "." | "" => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            if !exists(&parts.join("/")) {
                found.push(format!("{}:{}: {link} leads nowhere", file.path, index + 1));
            }
        }
    }
    found
}

/// Returns tests that a document cites as proof and that nobody wrote. A citation is a long `snake_case_name` in backticks.
fn unwritten(file: &File, sources: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let cited = line.split('`').skip(1).step_by(2).filter(|word| {
            let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            word.matches('_').count() >= 4 && word.chars().all(name)
        });
        let gone = cited.filter(|word| !sources.contains(&format!("fn {word}(")));
        found.extend(
            gone.map(|word| format!("{}:{}: no test is called {word}", file.path, index + 1)),
        );
    }
    found
}

/// Returns every name such as `GAUNTLET_PG_URL` in a text.
fn settings(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    let whole = words.filter(|word| word.starts_with("GAUNTLET_") && !word.ends_with('_'));
    whole.map(str::to_owned).collect()
}

/// Settings that a document names and the program does not read.
fn invented(file: &File, known: &BTreeSet<String>) -> Vec<String> {
    let unknown = settings(&file.text).into_iter().filter(|name| !known.contains(name));
    unknown.map(|name| format!("{}: nothing reads {name}", file.path)).collect()
}

/// Returns what a manifest starts and the program does not have, and ports that do not agree.
fn unfit(manifest: &File, services: &[String]) -> Vec<String> {
    let (mut found, mut listens, mut ports) = (Vec::new(), Vec::new(), Vec::new());
    let mut setting = "";
    for (index, line) in manifest.text.lines().enumerate() {
        let at = format!("{}:{}", manifest.path, index + 1);
        let (key, value) = line.trim().trim_start_matches("- ").split_once(':').unwrap_or_default();
        let value = value.trim().trim_matches('"');
        match key {
            "name" => setting = value,
            "value" if setting.ends_with("LISTEN") => {
                listens.push(value.rsplit(':').next().unwrap_or_default());
            }
            "containerPort" => ports.push(value),
            "args" => {
                let mut words = value.split(|c: char| !(c.is_alphanumeric() || c == '-'));
                let mut words = words.by_ref().filter(|word| !word.is_empty());
                match (words.next(), words.next()) {
                    (Some("migrate"), None) => {}
                    (Some("serve"), Some(name)) if services.iter().any(|s| s == name) => {}
                    _ => found.push(format!("{at}: there is no such command: {value}")),
                }
            }
            _ => {}
        }
    }
    if listens != ports {
        found.push(format!("{}: listens on {listens:?} and names {ports:?}", manifest.path));
    }
    found
}

fn known() -> BTreeSet<String> {
    let rust = crate::tree::files(&["libs", "services"], &[".rs"]);
    let product = rust.iter().filter(|file| !file.is_test());
    product.flat_map(|file| scan(&file.text).literals).flat_map(|l| settings(&l.text)).collect()
}

fn documents() -> Vec<File> {
    let mut files =
        crate::tree::files(&["docs", "k8s", "proto", "examples"], &[".md", ".yaml", ".env"]);
    for path in ["README.md", "CHANGELOG.md"] {
        let text =
            std::fs::read_to_string(crate::tree::root().join(path)).expect("the document exists");
        files.push(File { path: path.to_owned(), text });
    }
    files
}

#[test]
fn every_link_leads_to_a_file() {
    let root = crate::tree::root();
    let files = documents();
    let dead = files.iter().filter(|file| file.path.ends_with(".md"));
    crate::tree::none(
        &dead
            .flat_map(|file| dead_links(file, |path| root.join(path).exists()))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_test_that_a_document_cites_exists() {
    let rust = crate::tree::files(&["libs", "services", "tests"], &[".rs"]);
    let sources: String = rust.iter().map(|file| file.text.as_str()).collect();
    crate::tree::none(
        &documents().iter().flat_map(|file| unwritten(file, &sources)).collect::<Vec<_>>(),
    );
}

#[test]
fn documents_and_manifests_name_only_settings_that_are_read() {
    let known = known();
    assert!(known.contains("GAUNTLET_PG_URL_FILE"), "{known:?}");
    crate::tree::none(
        &documents().iter().flat_map(|file| invented(file, &known)).collect::<Vec<_>>(),
    );
}

#[test]
fn manifests_start_what_there_is() {
    let services = std::fs::read_dir(crate::tree::root().join("services")).expect("services");
    let services = services.map(|entry| entry.expect("an entry").file_name());
    let services: Vec<_> = services.map(|name| name.to_string_lossy().into_owned()).collect();
    let manifests = crate::tree::files(&["k8s"], &[".yaml"]);
    assert!(
        manifests.iter().any(|file| file.text.contains("args:")),
        "no manifest starts anything"
    );
    crate::tree::none(&manifests.iter().flat_map(|m| unfit(m, &services)).collect::<Vec<_>>());
}

#[test]
fn every_setting_is_described_in_operations() {
    let operations =
        std::fs::read_to_string(crate::tree::root().join("docs/operations.md")).unwrap();
    let described = settings(&operations);
    let missing: Vec<_> = known().into_iter().filter(|name| !described.contains(name)).collect();
    crate::tree::none(&missing);
}

#[cfg(test)]
mod seeded {
    use super::*;

    #[test]
    fn a_dead_link_is_found() {
        let file = File::new(
            "docs/a.md",
            "[x](b.md#c) [y](../README.md)\n[z](https://a.b/c) [q](#here) [d](gone.md)",
        );
        let found = dead_links(&file, |path| ["docs/b.md", "README.md"].contains(&path));
        assert_eq!(found, ["docs/a.md:2: gone.md leads nowhere"]);
    }

    #[test]
    fn a_citation_of_no_test_is_found() {
        let file = File::new("docs/a.md", "SH | `a_test_that_is_there`, `a_test_that_is_not`");
        let found = unwritten(&file, "async fn a_test_that_is_there() {}");
        assert_eq!(found, ["docs/a.md:1: no test is called a_test_that_is_not"]);
        assert_eq!(
            unwritten(&File::new("docs/a.md", "`open_shard_count`, `gauntlet up`"), ""),
            [""; 0]
        );
    }

    #[test]
    fn a_manifest_that_fits_no_program_is_found() {
        let manifest = |args: &str, port| {
            let text = format!(
                "args: {args}\nenv:\n- name: GAUNTLET_LISTEN\n  value: \"0.0.0.0:7004\"\nports:\n- containerPort: {port}\n"
            );
            unfit(&File::new("k8s/a.yaml", &text), &["executor".to_owned()]).join("\n")
        };
        assert_eq!(manifest(r#"["serve", "executor"]"#, 7004), "");
        assert!(manifest(r#"["serve", "mailer"]"#, 7004).contains("a.yaml:1: there is no such"));
        assert!(manifest(r#"["serve", "executor"]"#, 7001).contains("names"));
    }

    #[test]
    fn an_invented_setting_is_found() {
        let known = settings("GAUNTLET_PG_URL");
        let file = File::new("docs/a.md", "`GAUNTLET_PG_URL`, `GAUNTLET_*` and `GAUNTLET_PG_URI`");
        assert_eq!(invented(&file, &known), ["docs/a.md: nothing reads GAUNTLET_PG_URI"]);
    }
}

//! What is refused, and that all of it is told at once.

use super::*;
use std::fs;

const GOOD: &str = r#"{"title":"a","steps":[{"type":"navigate","url":"http://x/"}]}"#;

fn problems(paths: &[PathBuf]) -> String {
    let failure = load(paths).unwrap_err();
    assert_eq!(failure.exit(), gauntlet_runtime::Exit::Code(2));
    failure.to_string()
}

#[test]
fn folders_are_read_recursively_by_name_and_each_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("b/c")).unwrap();
    fs::create_dir_all(root.join(".hidden")).unwrap();
    for file in ["z.json", "b/c/m.json", ".hidden/no.json"] {
        fs::write(root.join(file), GOOD).unwrap();
    }
    fs::write(root.join("readme.md"), "no recording").unwrap();
    let loaded = load(&[root.to_owned(), root.join("z.json")]).unwrap();
    let files: Vec<_> = loaded.iter().map(|one| one.file.as_str()).collect();
    assert_eq!(files, ["b/c/m.json", "z.json"]);
}

#[test]
fn every_problem_of_every_file_is_told_with_file_step_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("a.json"), "{").unwrap();
    fs::write(root.join("b.json"), r#"{"title":"b","steps":[{"type":"fly"}]}"#).unwrap();
    fs::write(root.join("c.json"), r#"{"title":"c","steps":[{"type":"navigate"}]}"#).unwrap();
    fs::write(root.join("d.json"), r#"{"title":"d","steps":[]}"#).unwrap();
    fs::write(root.join("e.json"), b"\xff\xfe{}").unwrap();
    fs::write(root.join("f.json"), GOOD).unwrap();
    let text = problems(&[root.to_owned()]);
    for (file, part) in [
        ("a.json", "malformed JSON"),
        ("b.json", "step 1 (fly): steps[0].type"),
        ("c.json", "step 1 (navigate): steps[0].url"),
        ("d.json", "steps"),
        ("e.json", "invalid UTF-8"),
    ] {
        let line = text
            .lines()
            .find(|line| line.contains(file))
            .unwrap_or_else(|| panic!("{file} in {text}"));
        assert!(line.contains(part), "{line}");
    }
    assert!(!text.contains("f.json"), "{text}");
}

#[test]
fn a_big_file_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.json");
    fs::File::create(&path).unwrap().set_len(50_000_000).unwrap();
    let text = problems(&[path]);
    assert!(text.contains("big.json: the file has 50000000 bytes; at most 16777216"), "{text}");
}

#[test]
fn an_empty_folder_and_a_missing_file_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let text = problems(&[folder.path().to_owned(), folder.path().join("no.json")]);
    assert!(text.contains("2 problems"), "{text}");
    assert!(
        text.contains("the folder holds no recording (*.json, *.side, *.yaml, *.yml)"),
        "{text}"
    );
    assert!(text.contains("no.json: cannot be read"), "{text}");
}

#[test]
fn two_files_that_would_be_one_test_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("x.json"), GOOD).unwrap();
    }
    let text = problems(&[folder.path().join("a"), folder.path().join("b")]);
    assert!(text.contains("same file name and title"), "{text}");
}

#[test]
fn batches_stay_below_both_limits_and_keep_the_order() {
    let one = |size: usize, tests: usize, file: usize| Loaded {
        file: file.to_string(),
        content: vec![b' '; size],
        flows: vec![Flow::new("t", Vec::new()); tests],
    };
    let sizes = |loaded: Vec<Loaded>| batches(loaded).iter().map(Vec::len).collect::<Vec<_>>();
    let big = batches((0..4).map(|file| one(1_500_000, 1, file)).collect());
    assert_eq!(big.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(big[1][0].file, "2");
    assert_eq!(sizes((0..2_001).map(|file| one(1, 1, file)).collect()), [1_000, 1_000, 1]);
    assert_eq!(sizes((0..4).map(|file| one(1, 400, file)).collect()), [2, 2]);
}

#[test]
fn one_file_may_hold_several_tests_in_any_format() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let side = r#"{"version":"2.0","url":"http://x/","suites":[],"urls":[],"tests":[
        {"id":"1","name":"one","commands":[{"command":"open","target":"/","value":""}]},
        {"id":"2","name":"two","commands":[{"command":"open","target":"/","value":""}]}]}"#;
    fs::write(root.join("a.side"), side).unwrap();
    fs::write(root.join("b.yaml"), "gauntlet: 1\ntitle: three\nsteps: [close]\n").unwrap();
    let loaded = load(&[root.to_owned()]).unwrap();
    let titles: Vec<_> = loaded
        .iter()
        .flat_map(|one| one.flows.iter().map(|flow| (one.file.as_str(), flow.title.as_str())))
        .collect();
    assert_eq!(titles, [("a.side", "one"), ("a.side", "two"), ("b.yaml", "three")]);
}

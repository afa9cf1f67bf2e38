//! What goes out with BEGIN only locks and reads: should the server refuse the BEGIN alone (a cancel that hits it, say), each
//! of these statements runs by itself, and then nothing may have been written.

use crate::sql::blank;
use crate::tree::{File, files, none};

const CALL: &str = ".begin_with([";

/// Returns the names of the statements that a file sends with BEGIN, with the line of the call.
fn sent_with_begin(file: &File) -> Vec<(usize, String)> {
    let calls = file.text.match_indices(CALL).flat_map(|(at, _)| {
        let line = file.text[..at].matches('\n').count() + 1;
        let list = &file.text[at + CALL.len()..];
        let mut open = 1_u32;
        let end = list.find(|c| {
            open = match c {
                '[' => open + 1,
                ']' => open - 1,
                _ => open,
            };
            open == 0
        });
        let list = &list[..end.unwrap_or(list.len())];
        let names = list.split("sql::").skip(1).map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
                .collect()
        });
        names.map(move |name: String| (line, name)).collect::<Vec<_>>()
    });
    calls.collect()
}

fn writes(sql: &str) -> bool {
    let code = blank(sql);
    let words: Vec<&str> = code.split(|c: char| c.is_whitespace() || c == '(').collect();
    let updates =
        words.windows(2).any(|two| two[1] == "UPDATE" && !["FOR", "KEY"].contains(&two[0]));
    updates || words.iter().any(|word| ["INSERT", "DELETE", "MERGE"].contains(word))
}

fn check(file: &File, names: &[File], queries: &[File]) -> Vec<String> {
    let own = |other: &&File| other.service() == file.service();
    let sent = sent_with_begin(file).into_iter().filter_map(|(line, name)| {
        let entry = format!(" {name} = \"");
        let path = names.iter().filter(own).find_map(|file| {
            let rest = &file.text[file.text.find(&entry)? + entry.len()..];
            Some(format!("/queries/{}.sql", &rest[..rest.find('"')?]))
        });
        let Some(path) = path else {
            return Some(format!("{}:{line}: {name} is not a named statement", file.path));
        };
        let query = queries.iter().filter(own).find(|query| query.path.ends_with(&path));
        query.is_none_or(|query| writes(&query.text)).then(|| {
            format!("{}:{line}: {name} writes, so it must not go out with BEGIN", file.path)
        })
    });
    sent.collect()
}

#[test]
fn only_locks_and_reads_go_out_with_begin() {
    let (names, queries) = (files(&["services"], &["sql.rs"]), files(&["services"], &[".sql"]));
    let code = files(&["services"], &[".rs"]);
    let count: usize = code.iter().map(|file| sent_with_begin(file).len()).sum();
    assert!(count >= 7, "the calls are not found any more: {count}");
    none(&code.iter().flat_map(|file| check(file, &names, &queries)).collect::<Vec<_>>());
}

#[test]
fn a_write_with_begin_is_found() {
    let names = [File::new(
        "services/a/src/sql.rs",
        "x! {\n    LOCK = \"t/lock\",\n    PUT = \"t/put\",\n}",
    )];
    let queries = [
        File::new("services/a/queries/t/lock.sql", "-- INSERT.\nSELECT b FROM t FOR NO KEY UPDATE"),
        File::new(
            "services/a/queries/t/put.sql",
            "-- A.\nWITH c AS (UPDATE t SET b = 1) SELECT b FROM c",
        ),
    ];
    let found = |code: &str| {
        check(&File::new("services/a/src/store.rs", code), &names, &queries).join("\n")
    };
    assert_eq!(found("tx\n    .begin_with([(sql::LOCK, &[])])"), "");
    assert!(
        found("\ntx.begin_with([(sql::LOCK, &[&a]), (sql::PUT, &[])])")
            .contains("store.rs:2: PUT writes")
    );
    assert!(found("tx.begin_with([(sql::GONE, &[])])").contains("GONE is not a named statement"));
}

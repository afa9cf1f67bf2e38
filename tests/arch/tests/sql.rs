//! Where SQL stands: in `queries/<table>/<verb>.sql` and `migrations/`, one statement a file, each with its reasons.

use crate::scan::scan;
use crate::tree::File;

/// Code that speaks SQL about the server itself, not about a table of ours.
const SERVER_SQL: [(&str, &str); 2] = [
    (
        "libs/pg/src/migrate.rs",
        "the migration runner's own lock and history, before any query can be prepared",
    ),
    ("libs/embedded/src/postgres.rs", "creates the database itself"),
];

/// Tells whether a string is SQL rather than prose.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == '\\').filter(|w| !w.is_empty()).collect();
    let begins = |pair: [&str; 2]| words.windows(2).any(|two| two == pair);
    let update =
        words.iter().position(|w| *w == "UPDATE").is_some_and(|at| words[at..].contains(&"SET"));
    words.first().is_some_and(|w| *w == "SELECT")
        || words.windows(2).any(|two| two[0] == "SELECT" && words.contains(&"FROM"))
        || begins(["INSERT", "INTO"])
        || begins(["DELETE", "FROM"])
        || begins(["CREATE", "TABLE"])
        || begins(["ALTER", "TABLE"])
        || begins(["DROP", "TABLE"])
        || update
}

fn strings(file: &File) -> Vec<String> {
    if file.is_test() || SERVER_SQL.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let literals = scan(&file.text).literals;
    let sql = literals.iter().filter(|literal| is_sql(&literal.text));
    sql.map(|l| {
        format!(
            "{}:{}: SQL in a string; it belongs in queries/<table>/<verb>.sql",
            file.path, l.line
        )
    })
    .collect()
}

/// Checks a query file, given all Rust of its service in files called `sql.rs`.
fn query(file: &File, names: &str) -> Vec<String> {
    let (path, mut found) = (&file.path, Vec::new());
    let parts: Vec<&str> = path.split('/').collect();
    let ["services", _, "queries", table, verb] = parts[..] else {
        return vec![format!("{path}:1: a query is services/<name>/queries/<table>/<verb>.sql")];
    };
    if !file.text.starts_with("--") {
        found.push(format!(
            "{path}:1: a query starts with `--`: what it locks, what makes it idempotent"
        ));
    }
    let name = format!("\"{table}/{}\"", verb.trim_end_matches(".sql"));
    if !names.contains(&name) {
        found.push(format!("{path}:1: {name} is not named in its service's sql.rs"));
    }
    let code = blank(&file.text);
    if let Some((before, after)) = code.trim_end().trim_end_matches(';').split_once(';') {
        let line = before.matches('\n').count() + 1;
        found.push(format!(
            "{path}:{line}: more than one statement: {:?}",
            after.trim().chars().take(20).collect::<String>()
        ));
    }
    let in_session = code.match_indices("advisory_lock").filter(|(at, _)| {
        let function = code[..*at].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next();
        function.is_none_or(|function| !function.ends_with("xact_"))
    });
    for (at, _) in in_session {
        let line = code[..at].matches('\n').count() + 1;
        found.push(format!("{path}:{line}: a lock of the session stays with a pooled connection"));
    }
    let words: Vec<&str> = code.split_whitespace().collect();
    // The columns of unnest are named in its alias.
    let all = |four: &[&str]| four[..2] == ["SELECT", "*"] && !four[3].starts_with("unnest(");
    if words.windows(4).any(all) {
        found.push(format!(
            "{path}:1: SELECT *: columns are named, so that adding one changes no reader"
        ));
    }
    found
}

/// Blanks comments, quoted text and dollar-quoted bodies, line for line.
pub(crate) fn blank(sql: &str) -> String {
    let (mut out, mut rest) = (String::new(), sql);
    while let Some(c) = rest.chars().next() {
        let dollar = rest.starts_with('$').then(|| {
            let tag = rest[1..].find('$').map(|end| &rest[..end + 2])?;
            tag[1..tag.len() - 1].chars().all(|c| c.is_alphabetic() || c == '_').then_some(tag)
        });
        let length = match (c, dollar.flatten()) {
            ('-', _) if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            ('\'', _) => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            (_, Some(tag)) => {
                rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + 2 * tag.len())
            }
            _ => 0,
        };
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

#[test]
fn sql_stands_in_sql_files_only() {
    let files = crate::tree::files(&["libs", "services", "tests"], &[".rs"]);
    crate::tree::none(&files.iter().flat_map(strings).collect::<Vec<_>>());
}

#[test]
fn every_excuse_is_still_needed() {
    for (path, _) in SERVER_SQL {
        let text = std::fs::read_to_string(crate::tree::root().join(path)).unwrap();
        assert!(scan(&text).literals.iter().any(|l| is_sql(&l.text)), "{path} has no SQL any more");
    }
}

#[test]
fn every_query_is_one_named_statement_with_its_reasons() {
    let rust = crate::tree::files(&["services"], &["sql.rs"]);
    let queries = crate::tree::files(&["services"], &[".sql"]);
    let queries = queries.iter().filter(|file| !file.path.contains("/migrations/"));
    let found = queries.flat_map(|file| {
        let own = rust.iter().filter(|other| other.service() == file.service());
        query(file, &own.map(|other| other.text.as_str()).collect::<String>())
    });
    crate::tree::none(&found.collect::<Vec<_>>());
}

#[cfg(test)]
mod seeded {
    use super::*;

    #[test]
    fn sql_in_a_string_is_found_and_prose_is_not() {
        let file = |text: &str| {
            File::new("services/results/src/store.rs", &format!("const A: &str = \"{text}\";"))
        };
        for sql in [
            "SELECT 1",
            "WITH a AS (SELECT b FROM c) SELECT d FROM a",
            "INSERT INTO runs VALUES (1)",
            "UPDATE runs\\\n SET a = 1",
            "DELETE FROM runs",
        ] {
            let found = strings(&file(sql));
            assert!(found.len() == 1 && found[0].contains("store.rs:1:"), "{sql}: {found:?}");
        }
        for prose in ["cannot select a browser", "the last UPDATE was lost", "please SELECT one"] {
            assert_eq!(strings(&file(prose)), Vec::<String>::new(), "{prose}");
        }
        assert!(
            strings(&File::new("services/results/tests/a.rs", "const A: &str = \"SELECT 1\";"))
                .is_empty()
        );
    }

    #[test]
    fn a_bad_query_is_found() {
        let says =
            |path: &str, text: &str, names: &str| query(&File::new(path, text), names).join("\n");
        let path = "services/results/queries/runs/lock.sql";
        assert_eq!(says(path, "-- Why; and; how.\nSELECT ';' FROM a;\n", "\"runs/lock\""), "");
        assert!(says(path, "SELECT 1", "\"runs/lock\"").contains("starts with `--`"));
        assert!(says(path, "-- A.\nSELECT 1", "\"runs/other\"").contains("not named"));
        assert!(
            says(path, "-- A.\nSELECT 1;\nSELECT 2", "\"runs/lock\"")
                .contains("lock.sql:2: more than one")
        );
        assert!(says(path, "-- A.\nSELECT * FROM a", "\"runs/lock\"").contains("SELECT *"));
        for lock in ["pg_advisory_lock", "pg_try_advisory_lock", "pg_advisory_lock_shared"] {
            let query = format!("-- A.\nSELECT {lock}(1)");
            assert!(
                says(path, &query, "\"runs/lock\"").contains("lock.sql:2: a lock of the session")
            );
        }
        let query = "-- A.\nSELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(2)";
        assert_eq!(says(path, query, "\"runs/lock\""), "");
        assert!(
            says("services/results/queries/lock.sql", "-- A.\nSELECT 1", "").contains("a query is")
        );
    }

    #[test]
    fn bodies_of_functions_are_no_statements() {
        assert_eq!(blank("a $$ ; \n; $$ b 'x;' -- ;").replace(' ', ""), "a\nb");
        assert!(blank("LIMIT $1; x $2").contains("$1; x $2"));
    }
}

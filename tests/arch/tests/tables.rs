//! One table, one writing service: queries name only tables of their own migrations, and every column says what it is.

use crate::sql::blank;
use crate::tree::File;
use std::collections::{BTreeMap, BTreeSet};

/// The tables that each service makes.
type Owners = BTreeMap<String, BTreeSet<String>>;

fn tokens(sql: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in blank(sql).lines().enumerate() {
        let mut word = String::new();
        for c in line.chars().chain([' ']) {
            if c.is_alphanumeric() || matches!(c, '_' | '.') {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                found.push((index + 1, std::mem::take(&mut word)));
            }
            if !c.is_whitespace() {
                found.push((index + 1, c.to_string()));
            }
        }
    }
    found
}

/// Returns the tables, sequences and views that a migration makes, with their lines.
fn made(migration: &File) -> Vec<(usize, String)> {
    let words = tokens(&migration.text);
    let mut found = Vec::new();
    for (at, (_, word)) in words.iter().enumerate() {
        if word.eq_ignore_ascii_case("CREATE") {
            let rest: Vec<_> = words[at + 1..].iter().take(7).collect();
            let kind =
                rest.iter().position(|(_, w)| matches!(w.as_str(), "TABLE" | "VIEW" | "SEQUENCE"));
            let other = rest
                .iter()
                .position(|(_, w)| matches!(w.as_str(), "INDEX" | "FUNCTION" | "(" | ";"));
            if let Some(kind) = kind.filter(|kind| other.is_none_or(|other| *kind < other)) {
                let name = rest[kind + 1..]
                    .iter()
                    .find(|(_, w)| !matches!(w.as_str(), "IF" | "NOT" | "EXISTS"));
                found.extend(name.map(|(line, name)| (*line, name.clone())));
            }
        }
    }
    found
}

/// Returns the tables that a query names, with their lines.
fn named(query: &File) -> Vec<(usize, String)> {
    let words = tokens(&query.text);
    let word = |at: usize| words.get(at).map_or("", |(_, word)| word.as_str());
    let is_name = |w: &str| w.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let ctes: BTreeSet<&str> = (0..words.len())
        .filter(|at| is_name(word(*at)))
        .filter(|at| {
            let as_at = if word(at + 1) == "(" { closing(&words, at + 1) + 1 } else { at + 1 };
            let open = if word(as_at + 1) == "MATERIALIZED" { as_at + 2 } else { as_at + 1 };
            let begins = matches!(at.checked_sub(1).map(word), Some("WITH" | "RECURSIVE" | ","));
            begins && word(as_at) == "AS" && word(open) == "("
        })
        .map(word)
        .collect();
    let mut found = Vec::new();
    for at in 0..words.len() {
        let before = at.checked_sub(1).map_or("", word);
        let names = match word(at) {
            "FROM" => before != "DISTINCT" && !inside_call(&words, at),
            "JOIN" | "INTO" | "USING" => true,
            "UPDATE" => !matches!(before, "KEY" | "FOR" | "DO"),
            _ => false,
        };
        if !names {
            continue;
        }
        let mut next = at + 1;
        loop {
            next += usize::from(matches!(word(next), "ONLY" | "LATERAL"));
            let (name, call) = (word(next), word(next + 1) == "(" && word(at) != "INTO");
            if is_name(name) && !call && !ctes.contains(name) {
                found.push((words[next].0, name.to_owned()));
            }
            // `FROM a AS b (c), d`: the list goes on behind an alias and a call's arguments.
            let mut after = next;
            if name == "(" {
                after = closing(&words, next);
            }
            after += 1;
            while word(after) == "AS" || is_name(word(after)) || word(after) == "(" {
                after = if word(after) == "(" { closing(&words, after) + 1 } else { after + 1 };
            }
            if word(at) != "FROM" || word(after) != "," {
                break;
            }
            next = after + 1;
        }
    }
    found
}

/// Returns where the bracket at `open` closes.
fn closing(words: &[(usize, String)], open: usize) -> usize {
    let mut depth = 0;
    for (at, (_, word)) in words.iter().enumerate().skip(open) {
        depth += i32::from(word == "(") - i32::from(word == ")");
        if depth == 0 {
            return at;
        }
    }
    words.len()
}

/// Tells whether a FROM belongs to a call such as `extract(epoch FROM a)`: no SELECT or DELETE stands before it inside the bracket.
fn inside_call(words: &[(usize, String)], from: usize) -> bool {
    let mut depth = 0;
    for (_, word) in words[..from].iter().rev() {
        match word.as_str() {
            ")" => depth += 1,
            "(" if depth == 0 => return true,
            "(" => depth -= 1,
            "SELECT" | "DELETE" | "UPDATE" if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

/// Returns the tables of each service. Equal names in two services are two tables: each service has a schema of its own,
/// and its connections see no other.
fn owners(migrations: &[File]) -> (Owners, Vec<String>) {
    let (mut owners, mut found) = (Owners::new(), Vec::new());
    for file in migrations {
        let service = file.service().unwrap_or_default();
        for (line, table) in made(file) {
            if table.contains('.') {
                let path = &file.path;
                found.push(format!(
                    "{path}:{line}: {table}: the schema is {service}'s own, unnamed"
                ));
            }
            owners.entry(service.to_owned()).or_default().insert(table);
        }
    }
    (owners, found)
}

fn strangers(query: &File, owners: &Owners) -> Vec<String> {
    let service = query.service().unwrap_or_default();
    let own = |table: &String| owners.get(service).is_some_and(|tables| tables.contains(table));
    let found = named(query).into_iter().filter(|(_, t)| !t.starts_with("pg_") && !own(t));
    found
        .map(|(line, table)| {
            let others: Vec<_> = owners
                .iter()
                .filter(|(_, tables)| tables.contains(&table))
                .map(|(o, _)| o)
                .collect();
            let whose =
                if others.is_empty() { String::new() } else { format!("; {others:?} has it") };
            format!("{}:{line}: no migration of {service} makes {table}{whose}", query.path)
        })
        .collect()
}

/// Checks that every table and column of a migration has a `--` comment.
fn comments(migration: &File) -> Vec<String> {
    let blanked = blank(&migration.text);
    let (code, text): (Vec<&str>, Vec<&str>) =
        (blanked.lines().collect(), migration.text.lines().collect());
    let (mut found, mut depth, mut table, mut column) =
        (Vec::new(), 0, None::<usize>, None::<(usize, bool)>);
    let report = |column: Option<(usize, bool)>| {
        let (at, _) = column.filter(|(_, commented)| !commented)?;
        let name = code[at].split_whitespace().next()?;
        Some(format!("{}:{}: column {name} has no comment", migration.path, at + 1))
    };
    for (index, line) in code.iter().enumerate() {
        let has_comment = text[index].len() > line.trim_end().len() && text[index].contains("--");
        if table.is_none() && line.trim_start().starts_with("CREATE TABLE") && line.contains('(') {
            table = Some(index);
            let paragraph = text[..index].iter().rev().take_while(|line| !line.trim().is_empty());
            if !paragraph.last().is_some_and(|line| line.starts_with("--")) {
                let path = &migration.path;
                found.push(format!(
                    "{path}:{}: the paragraph of a table begins with a comment",
                    index + 1
                ));
            }
        } else if table.is_some() {
            let first = line.split_whitespace().next().unwrap_or_default();
            let constraint =
                ["CHECK", "CONSTRAINT", "EXCLUDE", "FOREIGN", "LIKE", "PRIMARY", "UNIQUE"]
                    .iter()
                    .any(|word| first.starts_with(word));
            if depth == 1 && first.starts_with(|c: char| c.is_ascii_lowercase()) && !constraint {
                found.extend(report(column.take()));
                column = Some((index, has_comment));
            } else if depth == 1 && !first.is_empty() {
                found.extend(report(column.take()));
            } else if let Some((_, commented)) = &mut column {
                *commented |= has_comment;
            }
        }
        if table.is_some() {
            depth += line.matches('(').count() as i32 - line.matches(')').count() as i32;
            if depth <= 0 {
                found.extend(report(column.take()));
                (table, depth) = (None, 0);
            }
        }
    }
    found
}

fn sql(folder: &str) -> Vec<File> {
    let files = crate::tree::files(&["services"], &[".sql"]);
    files.into_iter().filter(|file| file.path.contains(folder)).collect()
}

#[test]
fn a_table_has_one_service() {
    let (owners, mut found) = owners(&sql("/migrations/"));
    assert!(!owners.is_empty(), "no migration makes a table: the rule would see nothing");
    let queries = sql("/queries/");
    assert!(queries.iter().any(|query| !named(query).is_empty()), "no query names a table");
    found.extend(queries.iter().flat_map(|query| strangers(query, &owners)));
    crate::tree::none(&found);
}

#[test]
fn every_table_and_column_says_what_it_is() {
    crate::tree::none(&sql("/migrations/").iter().flat_map(comments).collect::<Vec<_>>());
}

#[cfg(test)]
mod seeded {
    use super::*;

    fn names(sql: &str) -> Vec<String> {
        named(&File::new("services/a/queries/b/c.sql", sql))
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    }

    #[test]
    fn tables_are_read_from_every_clause() {
        assert_eq!(
            names(
                "SELECT x FROM runs r, LATERAL unnest(a) AS u(v), shards WHERE a IS DISTINCT FROM b"
            ),
            ["runs", "shards"]
        );
        assert_eq!(
            names(
                "INSERT INTO runs (a) SELECT b FROM unnest($1::int[]) AS t(b) ON CONFLICT DO UPDATE SET a = 1"
            ),
            ["runs"]
        );
        assert_eq!(
            names(
                "WITH x AS (SELECT 1 FROM a), y (b) AS MATERIALIZED (SELECT 2 FROM x) SELECT z FROM y JOIN c USING (d)"
            ),
            ["a", "c"]
        );
        assert_eq!(
            names("UPDATE runs SET a = extract(epoch FROM b) FROM shards FOR NO KEY UPDATE"),
            ["runs", "shards"]
        );
        assert_eq!(
            names("DELETE FROM runs USING other WHERE a IN (SELECT b FROM deep)"),
            ["runs", "other", "deep"]
        );
    }

    #[test]
    fn a_table_of_another_service_is_found() {
        let made = |sql| File::new("services/scheduler/migrations/0001.sql", sql);
        let (owned, found) = owners(&[made("-- A.\nCREATE TABLE IF NOT EXISTS runs (\n);")]);
        assert!(found.is_empty() && owned["scheduler"].contains("runs"));
        let says = |service, sql| {
            let path = format!("services/{service}/queries/runs/find.sql");
            strangers(&File::new(&path, sql), &owned).join("\n")
        };
        assert_eq!(says("scheduler", "-- A.\nSELECT a FROM runs, pg_locks"), "");
        let foreign = says("results", "-- A.\nSELECT a FROM runs");
        assert!(foreign.contains("find.sql:2: no migration of results makes runs"), "{foreign}");
        assert!(foreign.contains("[\"scheduler\"] has it"), "{foreign}");
        assert!(says("results", "SELECT a FROM scheduler.runs").contains("scheduler.runs"));
        assert!(
            owners(&[made("CREATE TABLE results.runs (a int);")]).1[0].contains("results.runs")
        );
    }

    #[test]
    fn a_column_or_table_without_a_comment_is_found() {
        let says = |sql: &str| comments(&File::new("m.sql", sql));
        let good = "-- T.\nCREATE TABLE t (\n  a int CHECK (a > 0), -- A.\n  b text CHECK (\n    b <> ''), -- B.\n  PRIMARY KEY (a)\n);\n";
        assert_eq!(says(good), Vec::<String>::new());
        assert_eq!(says(&good.replace(" -- A.", "")), ["m.sql:3: column a has no comment"]);
        assert_eq!(says(&good.replace(" -- B.", "")), ["m.sql:4: column b has no comment"]);
        assert!(says(&good.replace("-- T.", ""))[0].contains("m.sql:2: the paragraph"));
        let last = "-- T.\nCREATE TABLE t (\n  a int\n);\n";
        assert_eq!(says(last), ["m.sql:3: column a has no comment"]);
    }
}

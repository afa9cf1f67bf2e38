//! What a statement touches, as far as its text tells: never less than it does.

use gauntlet_pg::Statement;
use std::collections::BTreeSet;

/// Tables, sequences and advisory locks; each with whether it is only read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    touched: BTreeSet<String>,
    writes: bool,
}

impl Footprint {
    /// Reads the footprint of a statement, given the names of all tables.
    pub(crate) fn of(statement: Statement, tables: &BTreeSet<String>) -> Self {
        let code = statement.sql.lines().map(|line| line.split("--").next().unwrap_or_default());
        let code: String = code.collect::<Vec<_>>().join("\n");
        let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (mut touched, mut writes) = (BTreeSet::new(), false);
        for word in words {
            match word {
                "INSERT" | "UPDATE" | "DELETE" | "nextval" => writes = true,
                word if word.contains("advisory") => {
                    writes = true;
                    touched.insert("advisory".to_owned());
                }
                word if tables.contains(word) => drop(touched.insert(word.to_owned())),
                _ => {}
            }
        }
        Self { touched, writes }
    }

    /// Adds what another statement of the same transaction touches: a COMMIT makes all of it seen and lets all of it go.
    pub(crate) fn add(&mut self, other: &Self) {
        self.touched.extend(other.touched.iter().cloned());
        self.writes |= other.writes;
    }

    /// Returns whether the order of two statements of different transactions cannot matter.
    pub(crate) fn is_independent_of(&self, other: &Self) -> bool {
        !(self.writes || other.writes) || self.touched.is_disjoint(&other.touched)
    }
}

#[test]
fn statements_are_independent_when_they_share_no_table_or_write_nothing() {
    let tables = BTreeSet::from(["runs".to_owned(), "shards".to_owned()]);
    let of = |sql| Footprint::of(Statement { name: "", sql }, &tables);
    let read = of("-- UPDATE shards\nSELECT a FROM runs");
    let lock = of("SELECT a FROM runs FOR NO KEY UPDATE");
    let other = of("UPDATE shards SET a = 1");
    assert!(read.is_independent_of(&read) && read.is_independent_of(&other));
    assert!(!read.is_independent_of(&lock) && !lock.is_independent_of(&lock));
    let (seal, feed) =
        (of("SELECT pg_advisory_xact_lock(1)"), of("SELECT pg_advisory_xact_lock(2)"));
    assert!(!seal.is_independent_of(&feed));
}

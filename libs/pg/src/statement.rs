//! SQL in files: one statement each, static, proved by a test.
//!
//! Owns the naming of statements. It formats nothing at run time, which also bounds the statement cache of each
//! connection to the number of files.

use crate::{PgError, Pool};
use std::fmt;
use tokio_postgres::types::Type;

/// One SQL statement and its name, `<table>/<verb>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Name for spans and errors, such as `runs/lock`.
    pub name: &'static str,
    /// The text.
    pub sql: &'static str,
}

impl From<&Statement> for Statement {
    fn from(statement: &Statement) -> Self {
        *statement
    }
}

impl From<&'static str> for Statement {
    fn from(sql: &'static str) -> Self {
        Self { name: "inline", sql }
    }
}

/// Names the statement in `queries/<name>.sql` of the calling crate: `const LOCK: Statement = sql!("runs/lock");`.
#[macro_export]
macro_rules! sql {
    ($name:literal) => {
        $crate::Statement {
            name: $name,
            sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $name, ".sql")),
        }
    };
}

/// What the server makes of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Name of the statement.
    pub name: &'static str,
    /// Types of its parameters, in order.
    pub params: Vec<Type>,
    /// Names and types of its columns, in order.
    pub columns: Vec<(String, Type)>,
    /// Tables and indices that it reads from end to end, as its plan says it.
    pub walks: Vec<String>,
}

impl Prepared {
    /// Returns what it reads from end to end, except tables and indices whose name begins with one of `small`.
    #[must_use]
    pub fn large_walks(&self, small: &[&str]) -> Vec<String> {
        let is_small = |walk: &&String| {
            walk.split(' ').any(|word| small.iter().any(|name| word.starts_with(name)))
        };
        let large = self.walks.iter().filter(|walk| !is_small(walk));
        large.map(|walk| format!("{}: {walk}", self.name)).collect()
    }
}

/// Prepares every statement against the migrated schema: the proof that each one parses and fits, and of how it finds its rows.
///
/// # Errors
/// The first statement that the server refuses, by name.
pub async fn prepare_all(pool: &Pool, statements: &[&Statement]) -> Result<Vec<Prepared>, PgError> {
    let mut lease = pool.lease("prepare_all").await?;
    let mut all = Vec::with_capacity(statements.len());
    for statement in statements {
        let prepared = lease
            .client()
            .prepare(statement.sql)
            .await
            .map_err(|error| PgError::of_statement(statement.name, error))?;
        let plan = explain(lease.client(), statement.sql, prepared.params().len());
        let plan = plan.await.map_err(|error| PgError::of_statement(statement.name, error))?;
        all.push(Prepared {
            name: statement.name,
            walks: walks(&plan),
            params: prepared.params().to_vec(),
            columns: prepared
                .columns()
                .iter()
                .map(|c| (c.name().to_owned(), c.type_().clone()))
                .collect(),
        });
    }
    lease.give_back();
    Ok(all)
}

/// Returns the plan that the server makes of a statement once for all its parameters.
async fn explain(
    client: &tokio_postgres::Client,
    sql: &str,
    params: usize,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let nulls = vec!["NULL"; params].join(", ");
    let values = if params == 0 { String::new() } else { format!("({nulls})") };
    client.batch_execute(&format!("PREPARE explained AS {sql}")).await?;
    let rows = client.query(&format!("EXPLAIN (COSTS OFF) EXECUTE explained{values}"), &[]).await;
    client.batch_execute("DEALLOCATE explained").await?;
    Ok(rows?.iter().map(|row| row.get(0)).collect())
}

/// Returns what a plan reads from end to end: tables, and indices without a condition.
fn walks(plan: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in plan.iter().enumerate() {
        let node = line.trim_start().trim_start_matches("->").trim_start();
        let mut details = plan[at + 1..].iter().take_while(|line| !line.contains("->"));
        let whole_index = node.contains("Index")
            && node.contains("Scan")
            && !node.starts_with("Bitmap Heap")
            && !details.any(|detail| detail.trim_start().starts_with("Index Cond"));
        if node.starts_with("Seq Scan") || whole_index {
            found.push(node.to_owned());
        }
    }
    found
}

/// Shows `pg.<table>.<query>`; formats only when a span is enabled.
pub(crate) struct SpanName(pub(crate) &'static str);

impl fmt::Display for SpanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pg")?;
        self.0.split('/').try_for_each(|part| write!(f, ".{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_named_by_table_and_query() {
        assert_eq!(SpanName("runs/lock").to_string(), "pg.runs.lock");
    }
}

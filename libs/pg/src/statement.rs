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
}

/// Prepares every statement against the migrated schema: the proof that each one parses and fits.
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
        all.push(Prepared {
            name: statement.name,
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

//! One Postgres connection for the length of one closure, without a task of its own.

use anyhow::Context as _;
use tokio_postgres::{Client, NoTls};

/// Connects to `url`, does `work`, and closes the connection.
pub(crate) async fn connected<T>(
    url: &str,
    work: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("cannot connect to the test postgres")?;
    let work = work(&client);
    tokio::pin!(connection, work);
    tokio::select! {
        done = &mut work => done,
        ended = &mut connection => {
            ended.context("the connection to the test postgres broke")?;
            anyhow::bail!("the connection to the test postgres ended early")
        }
    }
}

/// Returns `url` with another database name; keeps the query.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{query}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://u:p@h:1/old", "postgres://u:p@h:1/new"),
            ("postgres://u:p@h:1", "postgres://u:p@h:1/new"),
            ("postgres://h/old?sslmode=disable", "postgres://h/new?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}

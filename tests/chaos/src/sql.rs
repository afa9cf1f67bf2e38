//! The checker's own look into the database, past every balancer. Connects again after each outage.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Reads the database.
pub(crate) struct Sql {
    url: String,
    open: Mutex<Option<Arc<Open>>>,
}

struct Open {
    client: Client,
    _connection: JoinSet<()>,
}

impl Sql {
    pub(crate) fn new(url: String) -> Self {
        Self { url, open: Mutex::default() }
    }

    /// Runs one statement; repeats it while the database is away.
    pub(crate) async fn query(
        &self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> anyhow::Result<Vec<Row>> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let tried = async {
                let open = self.connected().await?;
                open.client.query(statement, params).await
            };
            match tried.await {
                Ok(rows) => return Ok(rows),
                Err(error) => {
                    *self.open.lock().await = None;
                    let refused = error.as_db_error().is_some_and(|e| e.code().code() < "53");
                    if refused || tokio::time::Instant::now() >= deadline {
                        return Err(error).with_context(|| statement.to_owned());
                    }
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn connected(&self) -> Result<Arc<Open>, tokio_postgres::Error> {
        let mut slot = self.open.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| !open.client.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        let mut task = JoinSet::new();
        task.spawn(async move { drop(connection.await) });
        let open = Arc::new(Open { client, _connection: task });
        *slot = Some(Arc::clone(&open));
        Ok(open)
    }
}

//! The scheduler's rows: commands and reads as whole transactions. Begin and commit never leave this module's commands.
//!
//! Lock order: lane → shard for claims ([`claim`]), run → shard for everything else ([`apply`]), several runs in ascending
//! id, feed lanes last. See `docs/locking.md`.

pub(crate) mod admit;
pub(crate) mod apply;
mod audit;
pub(crate) mod catalog;
pub(crate) mod claim;
pub(crate) mod dispatch;
pub(crate) mod reads;
pub(crate) mod rows;
pub(crate) mod sessions;
pub(crate) mod sql;

use gauntlet_core::protocol::IllegalTransition;
use gauntlet_pg::{PgError, Pool};
use std::sync::Arc;

/// What a store command can fail with. Cheap to clone: one failed commit answers everybody who was in it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// Postgres failed.
    #[error("the store failed")]
    Pg(#[source] Arc<PgError>),
    /// A row that this program cannot have written.
    #[error("table {table} has an impossible {column}")]
    Inconsistent {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
    },
    /// Tests were named that the run never planned.
    #[error("the run has no such tests")]
    NoSuchTests,
    /// A command that may not be sent in this state: a bug.
    #[error("a command was sent that the protocol does not know")]
    Illegal(#[source] IllegalTransition),
}

impl From<PgError> for StoreError {
    fn from(error: PgError) -> Self {
        Self::Pg(Arc::new(error))
    }
}

/// Connections to the schema `scheduler`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) pool: Pool,
    pub(crate) names: Arc<sessions::NameCache>,
    pub(crate) lanes: Arc<admit::LaneCache>,
}

impl Store {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, names: Arc::default(), lanes: Arc::default() }
    }
}

//! Every statement by name. The test `every_statement_fits_the_schema_and_finds_its_rows_by_a_key` prepares each of them.

use gauntlet_pg::{Statement, sql};

macro_rules! statements {
    ($($name:ident = $path:literal),+ $(,)?) => {
        $(pub(crate) const $name: Statement = sql!($path);)+
        /// Every statement of the scheduler.
        #[cfg(test)]
        pub(crate) const ALL: &[&Statement] = &[$(&$name),+];
    };
}

statements! {
    AUDIT_ADVANCE = "audit/advance",
    AUDIT_COUNT = "audit/count",
    AUDIT_ENDED = "audit/ended",
    AUDIT_FD1 = "audit/fd1",
    AUDIT_FINDINGS = "audit/findings",
    AUDIT_FN1 = "audit/fn1",
    AUDIT_LEDGER = "audit/ledger",
    AUDIT_LOCK = "audit/lock",
    AUDIT_LOG = "audit/log",
    AUDIT_RN1 = "audit/rn1",
    AUDIT_RN2 = "audit/rn2",
    AUDIT_RN3 = "audit/rn3",
    AUDIT_RN4 = "audit/rn4",
    AUDIT_SETTLE = "audit/settle",
    AUDIT_SH1 = "audit/sh1",
    AUDIT_SH2 = "audit/sh2",
    AUDIT_SH4 = "audit/sh4",
    AUDIT_ST1 = "audit/st1",
    AUDIT_ST2 = "audit/st2",
    AUDIT_SUSPECTS = "audit/suspects",
    AUDIT_SWEEP = "audit/sweep",
    ENVIRONMENT_FIND = "environments/find",
    ENVIRONMENT_PAGE = "environments/page",
    ENVIRONMENT_PUT = "environments/put",
    EVENTS_APPEND = "events/append",
    EVENTS_FEED_ID = "events/feed_id",
    EVENTS_FEED_PAGE = "events/feed_page",
    EVENTS_FEED_PAGE_OF_ENDS = "events/feed_page_of_ends",
    EVENTS_FIND_END = "events/find_end",
    EVENTS_LOCK_FEED_LANES = "events/lock_feed_lanes",
    EVENTS_PAGE = "events/page",
    LANES_ACTIVATE = "lanes/activate",
    LANES_ADVANCE = "lanes/advance",
    LANES_ENSURE = "lanes/ensure",
    LANES_FIND = "lanes/find",
    LANES_LOCK_NEXT = "lanes/lock_next",
    REQUESTS_FIND = "requests/find",
    REQUESTS_INSERT = "requests/insert",
    REQUESTS_SWEEP = "requests/sweep",
    RUNS_FIND = "runs/find",
    RUNS_FIND_CLAIMED = "runs/find_claimed",
    RUNS_FIND_OPTIONS = "runs/find_options",
    RUNS_INSERT = "runs/insert",
    RUNS_LIST_EXPIRED_FINALIZATIONS = "runs/list_expired_finalizations",
    RUNS_LIST_OVERDUE = "runs/list_overdue",
    RUNS_LIST_UNCLAIMED_FINALIZATIONS = "runs/list_unclaimed_finalizations",
    RUNS_LOCK = "runs/lock",
    RUNS_PAGE = "runs/page",
    RUNS_RENEW_FINALIZATIONS = "runs/renew_finalizations",
    RUNS_START = "runs/start",
    RUNS_TAKE_BACK = "runs/take_back",
    RUNS_UPDATE = "runs/update",
    SESSIONS_BROWSERS = "sessions/browsers",
    SESSIONS_CLOSE = "sessions/close",
    SESSIONS_DELETE_IDLE = "sessions/delete_idle",
    SESSIONS_FIND_ALIVE = "sessions/find_alive",
    SESSIONS_LIST_ALIVE = "sessions/list_alive",
    SESSIONS_NAMES = "sessions/names",
    SESSIONS_OPEN = "sessions/open",
    SESSIONS_REAP = "sessions/reap",
    SESSIONS_RELAX_COMMIT = "sessions/relax_commit",
    SESSIONS_RENEW = "sessions/renew",
    SHARDS_BEAT = "shards/beat",
    SHARDS_CANCEL_OPEN = "shards/cancel_open",
    SHARDS_GRANT = "shards/grant",
    SHARDS_HELD = "shards/held",
    SHARDS_INSERT = "shards/insert",
    SHARDS_INSERT_AGAIN = "shards/insert_again",
    SHARDS_LIST_OF_DEAD_SESSIONS = "shards/list_of_dead_sessions",
    SHARDS_LIST_UNANNOUNCED = "shards/list_unannounced",
    SHARDS_LIST_UNNAMED = "shards/list_unnamed",
    SHARDS_LOCK = "shards/lock",
    SHARDS_LOCK_CLAIMABLE = "shards/lock_claimable",
    SHARDS_LIST_ORDINALS = "shards/list_ordinals",
    SHARDS_PLANNED_PAGE = "shards/planned_page",
    SHARDS_SUMMARIES = "shards/summaries",
    SHARDS_TAKE_BACK = "shards/take_back",
    SHARDS_UPDATE = "shards/update",
    TESTS_FIND_REVISION = "tests/find_revision",
    TESTS_INSERT_REVISIONS = "tests/insert_revisions",
    TESTS_PAGE = "tests/page",
    TESTS_SELECT_BY_ID = "tests/select_by_id",
    TESTS_SELECT_BY_TAG = "tests/select_by_tag",
    TESTS_UPSERT = "tests/upsert",
}

#[cfg(test)]
mod tests {
    use gauntlet_pg::{PgConfig, Pool, prepare_all};
    use gauntlet_testkit::{TestDatabase, migrations_of};

    /// These may be read from end to end: there are few processes, and two indices hold only what is under way.
    const SMALL: &[&str] = &[
        "audit_cursors",
        "audit_findings",
        "audits",
        "executor_sessions",
        "feeds",
        "reaper_ticks",
        "runs_open",
        "shards_leased",
    ];

    #[tokio::test]
    async fn every_statement_fits_the_schema_and_finds_its_rows_by_a_key() {
        let schema = migrations_of(&["scheduler"]);
        let database = TestDatabase::create("scheduler", &schema, async |url: String| {
            crate::migrate(&url).await.map(|_| ()).map_err(anyhow::Error::from)
        })
        .await;
        let config = PgConfig::from_url(database.url()).unwrap();
        let pool = Pool::connect(&config, "test", "scheduler").await.unwrap();
        let prepared = prepare_all(&pool, super::ALL).await.unwrap();
        assert_eq!(prepared.len(), super::ALL.len());
        let large = prepared.iter().flat_map(|one| one.large_walks(SMALL)).collect::<Vec<_>>();
        assert!(large.is_empty(), "{large:#?}");
    }
}

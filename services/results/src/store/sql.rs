//! Every statement by name. The test `every_statement_fits_the_schema_and_finds_its_rows_by_a_key` prepares each of them.

use gauntlet_pg::{Statement, sql};

macro_rules! statements {
    ($($name:ident = $path:literal),+ $(,)?) => {
        $(pub(crate) const $name: Statement = sql!($path);)+
        /// Every statement of results.
        #[cfg(test)]
        pub(crate) const ALL: &[&Statement] = &[$(&$name),+];
    };
}

statements! {
    ARTIFACTS_ADOPT = "artifacts/adopt",
    ARTIFACTS_CHARGE = "artifacts/charge",
    ARTIFACTS_CLEAR = "artifacts/clear",
    ARTIFACTS_DELETE = "artifacts/delete",
    ARTIFACTS_EXPIRE = "artifacts/expire",
    ARTIFACTS_FIND = "artifacts/find",
    ARTIFACTS_FIND_IN_RUN = "artifacts/find_in_run",
    ARTIFACTS_GIVE_UP = "artifacts/give_up",
    ARTIFACTS_INSERT = "artifacts/insert",
    ARTIFACTS_LIST_KEPT = "artifacts/list_kept",
    ARTIFACTS_LIST_LESSER = "artifacts/list_lesser",
    ARTIFACTS_LOCK_BUDGET = "artifacts/lock_budget",
    ARTIFACTS_LOCK_CONTENT = "artifacts/lock_content",
    ARTIFACTS_LOCK_SUSPECTS = "artifacts/lock_suspects",
    ARTIFACTS_NAME_IN_RUN = "artifacts/name_in_run",
    ARTIFACTS_SUSPECT = "artifacts/suspect",
    ATTEMPTS_DECIDING = "attempts/deciding",
    ATTEMPTS_OF_ORDINALS = "attempts/of_ordinals",
    ATTEMPTS_OF_TESTS = "attempts/of_tests",
    ATTEMPTS_OUTCOMES = "attempts/outcomes",
    ATTEMPTS_OUTCOMES_OF_RANGE = "attempts/outcomes_of_range",
    ATTEMPTS_SIZES_OF_PAGE = "attempts/sizes_of_page",
    ATTEMPTS_SIZES_OF_TESTS = "attempts/sizes_of_tests",
    ATTEMPTS_STORE = "attempts/store",
    AUDIT_ADVANCE = "audit/advance",
    AUDIT_COUNT = "audit/count",
    AUDIT_FC1 = "audit/fc1",
    AUDIT_FINDINGS = "audit/findings",
    AUDIT_LEDGER = "audit/ledger",
    AUDIT_LOCK = "audit/lock",
    AUDIT_RN5 = "audit/rn5",
    AUDIT_SEALED = "audit/sealed",
    AUDIT_SETTLE = "audit/settle",
    AUDIT_SH3 = "audit/sh3",
    AUDIT_SUSPECTS = "audit/suspects",
    AUDIT_SWEEP = "audit/sweep",
    AUDIT_VERDICTS = "audit/verdicts",
    CURSORS_ADVANCE = "cursors/advance",
    CURSORS_LIST = "cursors/list",
    CURSORS_RESET = "cursors/reset",
    FENCES_FAILURES = "fences/failures",
    FENCES_LATEST_GENERATION = "fences/latest_generation",
    FENCES_PROGRESS = "fences/progress",
    FENCES_RAISE = "fences/raise",
    INGEST_LOCK_EXCLUSIVE = "ingest/lock_exclusive",
    INGEST_LOCK_SHARED = "ingest/lock_shared",
    INGEST_TRY_LOCK_SHARED = "ingest/try_lock_shared",
    PARTITIONS_ENSURE = "partitions/ensure",
    PARTITIONS_ENSURE_FOR_RUN = "partitions/ensure_for_run",
    SEALS_FIND = "seals/find",
    SEALS_INSERT = "seals/insert",
    VERDICTS_CLOSE = "verdicts/close",
    VERDICTS_STORE = "verdicts/store",
}

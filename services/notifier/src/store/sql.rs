//! Every statement by name. The test `every_statement_fits_the_schema_and_finds_its_rows_by_a_key` prepares each of them.

use gauntlet_pg::{Statement, sql};

macro_rules! statements {
    ($($name:ident = $path:literal),+ $(,)?) => {
        $(pub(crate) const $name: Statement = sql!($path);)+
        /// Every statement of the notifier.
        #[cfg(test)]
        pub(crate) const ALL: &[&Statement] = &[$(&$name),+];
    };
}

statements! {
    CURSORS_ADVANCE = "cursors/advance",
    CURSORS_LIST = "cursors/list",
    CURSORS_RESET = "cursors/reset",
    DELIVERIES_CLAIM = "deliveries/claim",
    DELIVERIES_FINISH = "deliveries/finish",
    DELIVERIES_INSERT = "deliveries/insert",
    DELIVERIES_PAGE_OF_RUN = "deliveries/page_of_run",
}

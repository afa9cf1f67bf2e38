//! The catalog: recordings, tests, environments.

use super::admit::SelectedTest;
use super::rows::signed;
use super::{Store, StoreError, sql};
use gauntlet_core::TestId;
use gauntlet_core::flow::Engine;
use gauntlet_pg::{Row, Transaction, Tx};
use gauntlet_proto::v1;
use jiff::Timestamp;
use prost::Message as _;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A recording that was checked and is to be stored.
#[derive(Debug, Clone)]
pub(crate) struct CheckedRecording {
    pub(crate) test_id: TestId,
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) content: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) step_count: u32,
    /// By engine, the first step that it cannot perform, and why.
    pub(crate) refusals: serde_json::Value,
}

/// A stored test.
#[derive(Debug, Clone)]
pub(crate) struct TestRow {
    pub(crate) test_id: TestId,
    pub(crate) project: String,
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) approved: bool,
    pub(crate) hash: Vec<u8>,
    pub(crate) step_count: i32,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// An environment as stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnvironmentRow {
    pub(crate) name: String,
    pub(crate) base_url: String,
    pub(crate) variables: BTreeMap<String, String>,
    /// Sealed.
    pub(crate) secrets: Vec<u8>,
    /// Whom pages may reach.
    pub(crate) egress: v1::Egress,
}

struct ImportTests<'a> {
    project: &'a str,
    approved: bool,
    recordings: &'a [CheckedRecording],
}

impl Transaction for ImportTests<'_> {
    const LABEL: &'static str = "import_tests";
    type Output = Vec<TestRow>;
    type Error = StoreError;

    async fn run(&self, tx: &Tx<'_>) -> Result<Vec<TestRow>, StoreError> {
        macro_rules! column {
            ($recording:ident => $value:expr) => {
                self.recordings.iter().map(|$recording| $value).collect::<Vec<_>>()
            };
        }
        let hashes = column!(r => r.hash.as_slice());
        let contents = column!(r => r.content.as_slice());
        let files = column!(r => r.file.as_str());
        let steps = column!(r => signed(r.step_count));
        tx.execute(sql::TESTS_INSERT_REVISIONS, &[&hashes, &contents, &files, &steps]).await?;
        let state = if self.approved { "APPROVED" } else { "DRAFT" };
        let ids = column!(r => r.test_id.0);
        let names = column!(r => r.name.as_str());
        let refusals = column!(r => &r.refusals);
        let tags = column!(r => text_array_literal(&r.tags));
        let rows = tx
            .query(
                sql::TESTS_UPSERT,
                &[&self.project, &state, &ids, &files, &names, &tags, &hashes, &steps, &refusals],
            )
            .await?;
        Ok(rows.iter().map(test_of).collect())
    }
}

/// Writes labels as an array literal, quoted.
fn text_array_literal(values: &[String]) -> String {
    let quoted: Vec<String> = values
        .iter()
        .map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", quoted.join(","))
}

fn test_of(row: &Row) -> TestRow {
    TestRow {
        test_id: TestId(row.get("test_id")),
        project: row.get("project"),
        file: row.get("file"),
        name: row.get("name"),
        tags: row.get("tags"),
        approved: row.get::<_, &str>("review_state") == "APPROVED",
        hash: row.get("revision_hash"),
        step_count: row.get("step_count"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}

fn selected_of(row: &Row) -> SelectedTest {
    SelectedTest {
        test_id: TestId(row.get("test_id")),
        file: row.get("file"),
        name: row.get("name"),
        revision_hash: row.get("revision_hash"),
        approved: row.get::<_, &str>("review_state") == "APPROVED",
        refusal: row.get("refusal"),
    }
}

fn environment_of(row: &Row) -> Result<EnvironmentRow, StoreError> {
    let inconsistent = |column| StoreError::Inconsistent { table: "environments", column };
    let variables = serde_json::from_value(row.get("variables"));
    // One that cannot be read must not pass for no policy.
    let egress = v1::Egress::decode(row.get::<_, &[u8]>("egress"));
    Ok(EnvironmentRow {
        name: row.get("name"),
        base_url: row.get("base_url"),
        variables: variables.map_err(|_| inconsistent("variables"))?,
        secrets: row.get("secrets"),
        egress: egress.map_err(|_| inconsistent("egress"))?,
    })
}

impl Store {
    /// Stores checked recordings as tests, all or none; returns them in no particular order.
    pub(crate) async fn import_tests(
        &self,
        project: &str,
        approved: bool,
        recordings: &[CheckedRecording],
    ) -> Result<Vec<TestRow>, StoreError> {
        self.pool.transact(&ImportTests { project, approved, recordings }).await
    }

    /// Returns a page of tests by (file, name).
    pub(crate) async fn list_tests(
        &self,
        project: &str,
        tags: &[String],
        after: (&str, &str),
        limit: usize,
    ) -> Result<Vec<TestRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 5] =
            [&project, &tags, &after.0, &after.1, &limit];
        let rows = self.pool.read().query(sql::TESTS_PAGE, &params).await?;
        Ok(rows.iter().map(test_of).collect())
    }

    /// Returns the tests of these ids that the project has, in the order of the ids, with what `engine` cannot do of them.
    pub(crate) async fn select_tests_by_id(
        &self,
        project: &str,
        ids: &[Uuid],
        engine: Engine,
    ) -> Result<Vec<SelectedTest>, StoreError> {
        let rows = self
            .pool
            .read()
            .query(sql::TESTS_SELECT_BY_ID, &[&project, &ids, &engine.as_str()])
            .await?;
        Ok(rows.iter().map(selected_of).collect())
    }

    /// Returns the project's tests with all of these labels, at most `limit`, with what `engine` cannot do of them.
    pub(crate) async fn select_tests_by_tag(
        &self,
        project: &str,
        tags: &[String],
        include_drafts: bool,
        limit: usize,
        engine: Engine,
    ) -> Result<Vec<SelectedTest>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 5] =
            [&project, &tags, &include_drafts, &limit, &engine.as_str()];
        let rows = self.pool.read().query(sql::TESTS_SELECT_BY_TAG, &params).await?;
        Ok(rows.iter().map(selected_of).collect())
    }

    /// Returns a recording and the file it was imported from.
    pub(crate) async fn find_revision(
        &self,
        hash: &[u8],
    ) -> Result<Option<(Vec<u8>, String)>, StoreError> {
        let row = self.pool.read().query_opt(sql::TESTS_FIND_REVISION, &[&hash]).await?;
        Ok(row.map(|row| (row.get("content"), row.get("file"))))
    }

    /// Creates or replaces an environment.
    pub(crate) async fn put_environment(
        &self,
        project: &str,
        EnvironmentRow { name, base_url, variables, secrets, egress }: &EnvironmentRow,
    ) -> Result<(), StoreError> {
        let (variables, egress) = (serde_json::json!(variables), egress.encode_to_vec());
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 6] =
            [&project, name, base_url, &variables, secrets, &egress];
        self.pool.write_once().query(sql::ENVIRONMENT_PUT, &params).await?;
        Ok(())
    }

    /// Returns an environment.
    pub(crate) async fn find_environment(
        &self,
        project: &str,
        name: &str,
    ) -> Result<Option<EnvironmentRow>, StoreError> {
        let row = self.pool.read().query_opt(sql::ENVIRONMENT_FIND, &[&project, &name]).await?;
        row.as_ref().map(environment_of).transpose()
    }

    /// Returns a page of environments by name.
    pub(crate) async fn list_environments(
        &self,
        project: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<EnvironmentRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params: [&(dyn gauntlet_pg::ToSql + Sync); 3] = [&project, &after, &limit];
        let rows = self.pool.read().query(sql::ENVIRONMENT_PAGE, &params).await?;
        rows.iter().map(environment_of).collect()
    }
}

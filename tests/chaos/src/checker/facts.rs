//! What the database, the receiver, the API and the executors' ledgers say, by run and generation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use gauntlet_core::verdict::{AttemptOutcome, Counts, TestOutcome};
use gauntlet_proto::v1;
use prost::Message as _;
use uuid::Uuid;

use crate::executor::read_ledger;
use crate::plan::outcome_of;
use crate::receiver::Call;
use crate::world::World;

/// Lists read at once.
const LISTS_AT_ONCE: usize = 8;
/// Small, so that pages are turned.
const PAGE_SIZE: i32 = 25;
const LIST_TRIES: usize = 30;
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A stored attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) number: i32,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) is_final: bool,
}

/// A stored verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) state: String,
    pub(crate) counts: Counts,
    pub(crate) digest: String,
}

/// One generation of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Generation {
    /// Tests of its shards.
    pub(crate) planned: BTreeSet<i32>,
    /// Tests of shards that the infrastructure took for good.
    pub(crate) given_up: BTreeSet<i32>,
    /// Tests that were running in two lost leases.
    pub(crate) poisoned: BTreeSet<i32>,
    /// Rows of each test, by number.
    pub(crate) attempts: BTreeMap<i32, Vec<Attempt>>,
    /// What executors were acknowledged: test, number, outcome.
    pub(crate) acknowledged: Vec<(i32, i32, AttemptOutcome)>,
    /// States of its terminal events.
    pub(crate) terminals: Vec<String>,
    pub(crate) verdict: Option<Verdict>,
    /// Id and state of its deliveries.
    pub(crate) deliveries: Vec<(String, String)>,
    /// What the receiver got.
    pub(crate) calls: Vec<Call>,
}

/// One run.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunFacts {
    pub(crate) state: String,
    pub(crate) generation: i32,
    pub(crate) revision: i64,
    pub(crate) open_shard_count: i32,
    /// Shards that are queued or leased, by their rows.
    pub(crate) open_shards: u32,
    pub(crate) test_count: i32,
    pub(crate) revisions: Vec<i64>,
    pub(crate) generations: BTreeMap<i32, Generation>,
    /// What the API lists.
    pub(crate) listed: Vec<(i32, TestOutcome)>,
}

impl RunFacts {
    fn generation(&mut self, number: i32) -> &mut Generation {
        self.generations.entry(number).or_default()
    }
}

/// Reads everything.
pub(crate) async fn read(world: &Arc<World>) -> anyhow::Result<HashMap<Uuid, RunFacts>> {
    let mut runs: HashMap<Uuid, RunFacts> = HashMap::new();
    let query = "SELECT run_id, state, generation, revision, open_shard_count, test_count FROM scheduler.runs";
    for row in world.sql.query(query, &[]).await? {
        let facts = RunFacts {
            state: row.get(1),
            generation: row.get(2),
            revision: row.get(3),
            open_shard_count: row.get(4),
            test_count: row.get(5),
            ..RunFacts::default()
        };
        runs.insert(row.get(0), facts);
    }
    shards(world, &mut runs).await?;
    events(world, &mut runs).await?;
    stored(world, &mut runs).await?;
    for acked in read_ledger(&world.ledgers()?)? {
        let facts =
            runs.get_mut(&acked.run_id).context("a ledger names a run that is not there")?;
        let line = (acked.ordinal, acked.attempt, outcome_of(acked.outcome));
        facts.generation(acked.generation).acknowledged.push(line);
    }
    let query = "SELECT run_id, generation, delivery_id, state FROM notifier.deliveries";
    for row in world.sql.query(query, &[]).await? {
        let facts = runs.entry(row.get(0)).or_default();
        facts.generation(row.get(1)).deliveries.push((row.get(2), row.get(3)));
    }
    for call in world.receiver.calls() {
        runs.entry(call.run_id).or_default().generation(call.generation).calls.push(call);
    }
    let ids: Vec<Uuid> = runs.keys().copied().collect();
    let lists = futures_util::stream::iter(ids)
        .map(|run_id| async move { anyhow::Ok((run_id, list(world, run_id).await?)) });
    let lists: Vec<_> = lists.buffer_unordered(LISTS_AT_ONCE).try_collect().await?;
    for (run_id, listed) in lists {
        runs.entry(run_id).or_default().listed = listed;
    }
    Ok(runs)
}

async fn shards(world: &World, runs: &mut HashMap<Uuid, RunFacts>) -> anyhow::Result<()> {
    let query =
        "SELECT run_id, generation, ordinals, poisoned, failure_class, state FROM scheduler.shards";
    for row in world.sql.query(query, &[]).await? {
        let facts = runs.entry(row.get(0)).or_default();
        let state: &str = row.get(5);
        facts.open_shards += u32::from(matches!(state, "QUEUED" | "LEASED"));
        let generation = facts.generation(row.get(1));
        let ordinals: Vec<i32> = row.get(2);
        if row.get::<_, Option<&str>>(4).is_some() {
            generation.given_up.extend(&ordinals);
        }
        generation.planned.extend(ordinals);
        generation.poisoned.extend(row.get::<_, Vec<i32>>(3));
    }
    Ok(())
}

async fn events(world: &World, runs: &mut HashMap<Uuid, RunFacts>) -> anyhow::Result<()> {
    let query = "SELECT run_id, revision, generation, CASE WHEN terminal THEN payload END
                 FROM scheduler.run_events ORDER BY run_id, revision";
    for row in world.sql.query(query, &[]).await? {
        let facts = runs.entry(row.get(0)).or_default();
        facts.revisions.push(row.get(1));
        let Some(payload) = row.get::<_, Option<&[u8]>>(3) else { continue };
        let event = v1::RunEvent::decode(payload)?.event;
        let Some(v1::run_event::Event::Terminal(terminal)) = event else {
            anyhow::bail!("an event is marked as terminal and is {event:?}");
        };
        facts.generation(row.get(2)).terminals.push(state_name(terminal.state()));
    }
    Ok(())
}

async fn stored(world: &World, runs: &mut HashMap<Uuid, RunFacts>) -> anyhow::Result<()> {
    let query = "SELECT run_id, generation, ordinal, attempt, outcome, final FROM results.attempts
                 ORDER BY run_id, generation, ordinal, attempt";
    for row in world.sql.query(query, &[]).await? {
        let attempt = Attempt {
            number: row.get(3),
            outcome: outcome_of(row.get::<_, i16>(4).into()),
            is_final: row.get(5),
        };
        let generation = runs.entry(row.get(0)).or_default().generation(row.get(1));
        generation.attempts.entry(row.get(2)).or_default().push(attempt);
    }
    let query = "SELECT run_id, generation, verdict FROM results.verdicts";
    for row in world.sql.query(query, &[]).await? {
        let verdict = v1::Verdict::decode(row.get::<_, &[u8]>(2))?;
        let state = state_name(verdict.state());
        let counts = counts_of(&verdict.counts.unwrap_or_default());
        let digest = verdict.digest;
        let generation = runs.entry(row.get(0)).or_default().generation(row.get(1));
        generation.verdict = Some(Verdict { state, counts, digest });
    }
    Ok(())
}

/// Turns all pages of a run's results.
async fn list(world: &World, run_id: Uuid) -> anyhow::Result<Vec<(i32, TestOutcome)>> {
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListTestResultsRequest {
            run_id: run_id.to_string(),
            generation: 0,
            page_size: PAGE_SIZE,
            page_token,
        };
        let mut tries = 0;
        let reply = loop {
            match world.results(tries).list_test_results(request.clone()).await {
                Ok(reply) => break reply.into_inner(),
                Err(status) if tries >= LIST_TRIES => {
                    return Err(status).with_context(|| format!("results of {run_id}"));
                }
                Err(_) => tries += 1,
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        };
        for result in &reply.results {
            listed.push((result.ordinal, test_outcome(result.outcome())));
        }
        page_token = reply.next_page_token;
        if page_token.is_empty() {
            return Ok(listed);
        }
    }
}

fn test_outcome(outcome: v1::TestOutcome) -> TestOutcome {
    match outcome {
        v1::TestOutcome::Passed => TestOutcome::Passed,
        v1::TestOutcome::Flaky => TestOutcome::Flaky,
        v1::TestOutcome::Failed => TestOutcome::Failed,
        v1::TestOutcome::TimedOut => TestOutcome::TimedOut,
        v1::TestOutcome::Skipped => TestOutcome::Skipped,
        v1::TestOutcome::Errored => TestOutcome::Errored,
        v1::TestOutcome::NotRun | v1::TestOutcome::Unspecified => TestOutcome::NotRun,
    }
}

fn counts_of(counts: &v1::OutcomeCounts) -> Counts {
    Counts {
        passed: counts.passed.unsigned_abs(),
        flaky: counts.flaky.unsigned_abs(),
        failed: counts.failed.unsigned_abs(),
        timed_out: counts.timed_out.unsigned_abs(),
        skipped: counts.skipped.unsigned_abs(),
        errored: counts.errored.unsigned_abs(),
        not_run: counts.not_run.unsigned_abs(),
    }
}

fn state_name(state: v1::RunState) -> String {
    state.as_str_name().trim_start_matches("RUN_STATE_").to_owned()
}

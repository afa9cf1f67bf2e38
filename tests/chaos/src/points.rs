//! The points at which a run can stand when a fault strikes, and how it is made to stand there.
//!
//! Most points last milliseconds. Holding back one direction of one way keeps runs at a point: nothing is invented, the
//! answer just comes late. The database says who stands there.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use crate::world::World;

/// How long a run may take to reach a point that is held.
const ARRIVAL_MAX: Duration = Duration::from_secs(4);
const LOOK_INTERVAL: Duration = Duration::from_millis(15);

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Point {
    /// Admitted, nothing granted.
    Queued,
    /// A shard is leased and its tests are being run.
    Leased,
    /// Every result of a leased shard is acknowledged, the scheduler was not told.
    Reported,
    /// Every shard is closed, nothing is sealed.
    Finalizing,
    /// The verdict is stored, the run is not closed with it.
    Closing,
    /// The run ended, the receiver has not answered.
    Delivering,
}

impl Point {
    pub(crate) const ALL: [Self; 6] = [
        Self::Queued,
        Self::Leased,
        Self::Reported,
        Self::Finalizing,
        Self::Closing,
        Self::Delivering,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Reported => "reported",
            Self::Finalizing => "finalizing",
            Self::Closing => "closing",
            Self::Delivering => "delivering",
        }
    }

    /// Keeps runs at this point, or lets them go on.
    pub(crate) fn hold(self, world: &World, held: bool) {
        let links = &world.links;
        match self {
            Self::Queued | Self::Reported => {
                links.executor_scheduler.change(|weather| weather.hold_requests = held);
            }
            Self::Leased => links.executor_results.change(|weather| weather.hold_requests = held),
            Self::Finalizing => {
                links.results_scheduler.change(|weather| weather.hold_answers = held);
            }
            Self::Closing => links.results_scheduler.change(|weather| weather.hold_requests = held),
            Self::Delivering => world.receiver.close(held),
        }
    }

    /// Returns the runs that stand here, with their generations.
    pub(crate) async fn standing(self, world: &World) -> anyhow::Result<BTreeSet<(Uuid, i32)>> {
        let rows = world.sql.query(self.query(), &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Waits until some run stands here; none do when it takes too long.
    pub(crate) async fn arrivals(self, world: &World) -> anyhow::Result<BTreeSet<(Uuid, i32)>> {
        let deadline = tokio::time::Instant::now() + ARRIVAL_MAX;
        loop {
            let standing = self.standing(world).await?;
            if !standing.is_empty() || tokio::time::Instant::now() >= deadline {
                return Ok(standing);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::Queued => {
                "SELECT r.run_id, r.generation FROM scheduler.runs r WHERE r.state = 'QUEUED'
                 AND NOT EXISTS (SELECT 1 FROM scheduler.shards s WHERE s.run_id = r.run_id
                                 AND s.generation = r.generation AND s.state <> 'QUEUED') LIMIT 100"
            }
            Self::Leased => {
                "SELECT DISTINCT s.run_id, s.generation FROM scheduler.shards s
                 LEFT JOIN results.fences f USING (run_id, generation, shard_index)
                 WHERE s.state = 'LEASED' AND coalesce(f.passed + f.flaky + f.failed + f.timed_out + f.errored, 0)
                       < cardinality(s.ordinals) LIMIT 100"
            }
            Self::Reported => {
                "SELECT DISTINCT s.run_id, s.generation FROM scheduler.shards s
                 JOIN results.fences f USING (run_id, generation, shard_index)
                 WHERE s.state = 'LEASED' AND f.epoch = s.epoch
                   AND f.passed + f.flaky + f.failed + f.timed_out + f.errored = cardinality(s.ordinals) LIMIT 100"
            }
            Self::Finalizing => {
                "SELECT r.run_id, r.generation FROM scheduler.runs r WHERE r.state = 'FINALIZING'
                 AND NOT EXISTS (SELECT 1 FROM results.seals s WHERE s.run_id = r.run_id
                                 AND s.generation = r.generation) LIMIT 100"
            }
            Self::Closing => {
                "SELECT r.run_id, r.generation FROM scheduler.runs r
                 JOIN results.verdicts v ON v.run_id = r.run_id AND v.generation = r.generation
                 WHERE r.state = 'FINALIZING' AND NOT v.closed LIMIT 100"
            }
            Self::Delivering => {
                "SELECT d.run_id, d.generation FROM notifier.deliveries d WHERE d.state = 'PENDING' LIMIT 100"
            }
        }
    }
}

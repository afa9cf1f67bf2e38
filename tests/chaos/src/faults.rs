//! The faults: what happens to whom, and how it is undone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use gauntlet_core::limits::LEASE_TTL;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::balancer::Weather;
use crate::plan::Dice;
use crate::points::Point;
use crate::world::World;

/// How long a frozen process sleeps beyond its lease.
const BEYOND_LEASE: Duration = Duration::from_millis(1_500);
/// How long bad weather lasts.
const WEATHER_LASTS: Duration = Duration::from_millis(900);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    KillScheduler,
    KillResults,
    KillNotifier,
    KillGateway,
    KillExecutor,
    FreezeScheduler,
    FreezeResults,
    FreezeExecutor,
    RestartPostgres,
    CrashPostgres,
    KillRedis,
    FlushRedis,
    PartitionRedis,
    DuplicateCalls,
    DelayCalls,
    SlowStore,
    JumpTick,
    RollingRestart,
}

impl Fault {
    pub(crate) const ALL: [Self; 18] = [
        Self::KillScheduler,
        Self::KillResults,
        Self::KillNotifier,
        Self::KillGateway,
        Self::KillExecutor,
        Self::FreezeScheduler,
        Self::FreezeResults,
        Self::FreezeExecutor,
        Self::RestartPostgres,
        Self::CrashPostgres,
        Self::KillRedis,
        Self::FlushRedis,
        Self::PartitionRedis,
        Self::DuplicateCalls,
        Self::DelayCalls,
        Self::SlowStore,
        Self::JumpTick,
        Self::RollingRestart,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KillScheduler => "kill -9 scheduler",
            Self::KillResults => "kill -9 results",
            Self::KillNotifier => "kill -9 notifier",
            Self::KillGateway => "kill -9 gateway",
            Self::KillExecutor => "kill -9 executor",
            Self::FreezeScheduler => "SIGSTOP scheduler past the lease",
            Self::FreezeResults => "SIGSTOP results past the lease",
            Self::FreezeExecutor => "SIGSTOP executor past the lease",
            Self::RestartPostgres => "Postgres restart",
            Self::CrashPostgres => "Postgres immediate shutdown",
            Self::KillRedis => "Redis kill -9",
            Self::FlushRedis => "Redis flush",
            Self::PartitionRedis => "Redis partition",
            Self::DuplicateCalls => "unary calls twice",
            Self::DelayCalls => "calls delayed",
            Self::SlowStore => "slow store",
            Self::JumpTick => "clock jump of the reaper's tick",
            Self::RollingRestart => "rolling restart, protocol 1 and 2",
        }
    }

    /// Returns which processes it strikes; none when it strikes no process of ours.
    fn victims(self) -> Option<&'static str> {
        match self {
            Self::KillScheduler | Self::FreezeScheduler => Some("scheduler-"),
            Self::KillResults | Self::FreezeResults => Some("results-"),
            Self::KillNotifier => Some("notifier-"),
            Self::KillGateway => Some("gateway-"),
            Self::KillExecutor | Self::FreezeExecutor => Some("executor-"),
            _ => None,
        }
    }

    fn freezes(self) -> bool {
        matches!(self, Self::FreezeScheduler | Self::FreezeResults | Self::FreezeExecutor)
    }
}

/// Processes that somebody is doing something to.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Mutex<BTreeSet<String>>>);

/// The right to do something to a process, for as long as this lives.
pub(crate) struct Taken {
    busy: Busy,
    name: String,
}

impl Busy {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, name: &str) -> Option<Taken> {
        let taken = self.lock().insert(name.to_owned());
        taken.then(|| Taken { busy: self.clone(), name: name.to_owned() })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.busy.lock().remove(&self.name);
    }
}

/// A fault that has struck.
pub(crate) struct Struck {
    fault: Fault,
    victim: Option<Taken>,
}

/// Strikes, and undoes what it did; what takes long is undone in the background.
pub(crate) struct Striker {
    pub(crate) world: Arc<World>,
    pub(crate) dice: Dice,
    busy: Busy,
    rolling: Arc<tokio::sync::Mutex<()>>,
    pub(crate) background: JoinSet<anyhow::Result<()>>,
}

impl Striker {
    pub(crate) fn new(world: Arc<World>, dice: Dice) -> Self {
        let (busy, rolling) = (Busy::default(), Arc::default());
        Self { world, dice, busy, rolling, background: JoinSet::new() }
    }

    /// Chooses whom to strike; none when nobody can be struck now.
    pub(crate) async fn aim(
        &mut self,
        fault: Fault,
        point: Point,
        standing: &BTreeSet<(Uuid, i32)>,
    ) -> anyhow::Result<Option<Struck>> {
        let Some(kind) = fault.victims() else {
            let rolling = fault == Fault::RollingRestart && self.rolling.try_lock().is_err();
            return Ok((!rolling).then_some(Struck { fault, victim: None }));
        };
        let mut names = self.world.processes.names(kind).await;
        let busy = names.iter().filter(|name| self.busy.lock().contains(*name)).count();
        // One replica always goes on; it may be killed while the other is frozen.
        if fault.freezes() && names.len() - busy < 2 {
            return Ok(None);
        }
        self.dice.shuffle(&mut names);
        if kind == "executor-" && matches!(point, Point::Leased | Point::Reported) {
            let holders = self.holders(standing).await?;
            names.retain(|name| holders.contains(name));
        }
        let victim = names.iter().find_map(|name| self.busy.take(name));
        Ok(victim.map(|victim| Struck { fault, victim: Some(victim) }))
    }

    /// Returns the executors that hold shards of these runs.
    async fn holders(&self, standing: &BTreeSet<(Uuid, i32)>) -> anyhow::Result<BTreeSet<String>> {
        let runs: Vec<Uuid> = standing.iter().map(|(run, _)| *run).collect();
        let query = "SELECT DISTINCT e.name FROM scheduler.shards s
                     JOIN scheduler.executor_sessions e USING (session_id)
                     WHERE s.state = 'LEASED' AND s.run_id = ANY($1)";
        let rows = self.world.sql.query(query, &[&runs]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Strikes.
    pub(crate) async fn strike(&mut self, struck: &Struck) -> anyhow::Result<()> {
        let world = &self.world;
        if let Some(Taken { name, .. }) = &struck.victim {
            return match struck.fault.freezes() {
                true => world.processes.freeze(name).await,
                false => world.processes.kill9(name).await,
            };
        }
        match struck.fault {
            Fault::RestartPostgres => {
                world.store.postgres().stop().await;
                world.store.postgres().start_again().await?;
            }
            Fault::CrashPostgres => {
                world.store.postgres().stop_immediate().await;
                world.store.postgres().start_again().await?;
            }
            Fault::KillRedis => world.store.redis().kill9().await,
            Fault::FlushRedis => {
                let client = redis::Client::open(world.store.redis_url())?;
                let mut redis = client.get_multiplexed_async_connection().await?;
                redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
            }
            Fault::PartitionRedis => {
                world.links.redis.change(|weather| weather.partition = true);
                world.links.redis.cut();
            }
            Fault::DuplicateCalls => self.change_calls(|weather| weather.duplicate = true),
            Fault::DelayCalls => {
                let delay = Duration::from_millis(self.dice.between(20, 120).into());
                self.change_calls(|weather| weather.delay = delay);
            }
            Fault::SlowStore => {
                let delay = Duration::from_millis(self.dice.between(5, 25).into());
                world.links.postgres.change(|weather| weather.delay = delay);
            }
            Fault::JumpTick => {
                let seconds = if self.dice.percent(50) { 60.0 } else { -60.0 };
                let jump = "UPDATE scheduler.reaper_ticks SET touched_at = now() + make_interval(secs => $1)";
                world.sql.query(jump, &[&seconds]).await?;
            }
            Fault::RollingRestart => {
                let (world, busy) = (Arc::clone(world), self.busy.clone());
                let rolling = Arc::clone(&self.rolling);
                self.background.spawn(async move {
                    let _rolling = rolling.lock().await;
                    roll(&world, &busy).await
                });
            }
            other => anyhow::bail!("{other:?} strikes a process, and there is none"),
        }
        Ok(())
    }

    /// Begins what only works on new connections, before runs go on.
    pub(crate) fn bite(&self, struck: &Struck) {
        if struck.fault == Fault::DuplicateCalls {
            self.world.links.grpc().iter().for_each(|link| link.cut());
        }
    }

    /// Undoes it, at once, after a while, or in the background.
    pub(crate) async fn mend(&mut self, struck: Struck) -> anyhow::Result<()> {
        let world = Arc::clone(&self.world);
        if let Some(taken) = struck.victim {
            if !struck.fault.freezes() {
                return world.processes.start_again(&taken.name, |_| {}).await;
            }
            self.background.spawn(async move {
                tokio::time::sleep(LEASE_TTL + BEYOND_LEASE).await;
                world.processes.thaw(&taken.name).await
            });
            return Ok(());
        }
        match struck.fault {
            Fault::DuplicateCalls | Fault::DelayCalls => {
                tokio::time::sleep(WEATHER_LASTS).await;
                self.change_calls(|weather| {
                    (weather.duplicate, weather.delay) = (false, Duration::ZERO);
                });
                self.bite(&struck);
            }
            Fault::SlowStore => {
                tokio::time::sleep(WEATHER_LASTS).await;
                world.links.postgres.change(|weather| weather.delay = Duration::ZERO);
            }
            Fault::PartitionRedis => {
                tokio::time::sleep(WEATHER_LASTS).await;
                world.links.redis.change(|weather| weather.partition = false);
            }
            Fault::KillRedis => world.store.redis().start_again().await?,
            _ => {}
        }
        Ok(())
    }

    fn change_calls(&self, change: impl Fn(&mut Weather)) {
        self.world.links.grpc().iter().for_each(|link| link.change(&change));
    }

    /// Waits until everything is undone.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        while let Some(mended) = self.background.join_next().await {
            mended??;
        }
        Ok(())
    }
}

/// Restarts executors one by one, each with the other protocol version, and then a replica of each service.
async fn roll(world: &World, busy: &Busy) -> anyhow::Result<()> {
    let mut names = world.processes.names("executor-").await;
    for service in ["scheduler-", "results-", "notifier-", "gateway-"] {
        names.extend(world.processes.names(service).await.into_iter().take(1));
    }
    for name in names {
        // Somebody is at it: it is restarted anyway, or will be.
        let Some(_taken) = busy.take(&name) else { continue };
        world.processes.drain(&name).await?;
        world.processes.ended(&name).await.context("a rolling restart")?;
        world
            .processes
            .start_again(&name, |launch| {
                if let Some(flag) = launch.args.iter().position(|word| word == "--protocol") {
                    let other = if launch.args[flag + 1] == "1" { "2" } else { "1" };
                    launch.args[flag + 1] = other.to_owned();
                }
            })
            .await?;
    }
    Ok(())
}

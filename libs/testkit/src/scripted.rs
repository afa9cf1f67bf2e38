//! An executor without browsers: it speaks to scheduler and results as the real one does, and what its tests "do" is
//! computed from the run's [`Script`].
//!
//! Owns one session with its beat, its claims, its abort hints and its leases; outcomes are a function of (seed, ordinal,
//! attempt), so that a checker can recompute what must have been stored. It keeps the promises of a real executor: the
//! beat is on a task of its own, no grant is run twice, nothing of a lost lease is completed, and completion follows the
//! last acknowledgement. Unlike the real one it completes many shards with one call. A crash is that of an executor: the
//! scheduler reaps the session.

mod complete;
mod leases;
mod manner;
mod peer;
mod script;
mod session;
mod shard;
mod trace;

pub use manner::{Acknowledged, Manner};
pub use script::{Script, hash};
pub use trace::{Trace, Traced, What, monotonic_ns};

use gauntlet_bus::{Bus, RedisConfig, Signal};
use gauntlet_runtime::{Backoff, Lifecycle, ids};
use session::{Session, SessionEnd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::scripted::peer::Peers;

/// How to run a scripted executor.
#[derive(Debug, Clone)]
pub struct ScriptedConfig {
    /// Name, for people.
    pub name: String,
    /// URL of the scheduler.
    pub scheduler: String,
    /// URL of results.
    pub results: String,
    /// Redis, or none.
    pub redis: RedisConfig,
    /// Slots of its session; 1 to 64.
    pub slots: u32,
}

/// What all tasks of one executor share.
pub(crate) struct Executor {
    pub(crate) config: ScriptedConfig,
    pub(crate) manner: Manner,
    pub(crate) peers: Peers,
    pub(crate) trace: Trace,
    session: Mutex<Option<Arc<Session>>>,
}

/// Runs an executor until `lifecycle` drains; then its session is closed, which hands back what it holds.
///
/// # Errors
/// When the scheduler refuses it, or an address is malformed.
pub async fn run(config: ScriptedConfig, trace: Trace, lifecycle: Lifecycle) -> anyhow::Result<()> {
    run_as(Manner::default(), config, trace, lifecycle).await
}

/// Like [`run`], in a manner of its own.
///
/// # Errors
/// When the scheduler refuses it, or an address is malformed.
pub async fn run_as(
    manner: Manner,
    config: ScriptedConfig,
    trace: Trace,
    lifecycle: Lifecycle,
) -> anyhow::Result<()> {
    let peers = Peers::connect(&config)?;
    let bus = Bus::new(&config.redis, &lifecycle);
    let executor = Arc::new(Executor { config, manner, peers, trace, session: Mutex::default() });
    let hinted = Arc::clone(&executor);
    bus.subscribe(&lifecycle, move |signal| {
        if let Some(session) = hinted.session() {
            match signal {
                Signal::Abort(hint) => session.hint(hint.run_id),
                Signal::Resubscribed => session.renew.notify_one(),
            }
        }
        std::future::ready(())
    });
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    while !lifecycle.is_draining() {
        let opened = tokio::select! {
            () = lifecycle.draining() => break,
            opened = Session::open(&executor, ids::v4()) => opened,
        };
        match opened {
            Ok(session) => {
                backoff.reset();
                let session = Arc::new(session);
                *executor.lock() = Some(Arc::clone(&session));
                if session.serve(&executor, &lifecycle).await == SessionEnd::Drained {
                    break;
                }
            }
            Err(status) if peer::is_refused(&status) => {
                anyhow::bail!("the scheduler refuses this executor: {}", status.message())
            }
            Err(_) => {
                backoff.sleep().await;
            }
        }
    }
    Ok(())
}

impl Executor {
    fn session(&self) -> Option<Arc<Session>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

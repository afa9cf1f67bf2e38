//! Places where a test can stop the process for ever, to kill it exactly there.
//!
//! Owns the names of the places. When the configured one is reached, the process writes `<pid> <name>` into the fault file
//! and that task never goes on; everything else (the heartbeat above all) runs as usual, so that the test decides when the
//! executor dies. Hidden from `--help`: `--fault-point NAME --fault-file PATH`. Without them nothing here costs anything.

use clap::ValueEnum;
use std::path::PathBuf;

/// A place between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum FaultPoint {
    /// The first session is open and nothing was claimed yet.
    Idle,
    /// A grant is known and held, results does not know of it.
    AfterGrant,
    /// A browser is up and a renewal has named the test as running.
    MidTest,
    /// Every report was acknowledged, the scheduler was not told.
    AfterReportAck,
    /// The scheduler answered the completion, the shard was not forgotten.
    AfterCompleteSent,
}

/// Where to stop, if anywhere.
#[derive(Debug, Clone, Default)]
pub struct Fault(Option<(FaultPoint, PathBuf)>);

impl Fault {
    /// Returns a fault at `point` that writes to `file`.
    #[must_use]
    pub fn at(point: FaultPoint, file: PathBuf) -> Self {
        Self(Some((point, file)))
    }

    /// Returns whether the process shall stop at `point`.
    #[must_use]
    pub fn is_at(&self, point: FaultPoint) -> bool {
        self.0.as_ref().is_some_and(|(at, _)| *at == point)
    }

    /// Passes, or writes the file and never returns.
    pub async fn reached(&self, point: FaultPoint) {
        let Some((at, file)) = &self.0 else { return };
        if *at != point {
            return;
        }
        tracing::warn!(fault.point = ?point, file = %file.display(), "fault point reached, stopping here for ever");
        if let Err(error) = write(file, point).await {
            tracing::error!(%error, "fault file cannot be written");
        }
        std::future::pending::<()>().await;
    }
}

/// Renames into place, so that a reader never sees half a line.
async fn write(file: &std::path::Path, point: FaultPoint) -> std::io::Result<()> {
    let name = point.to_possible_value().map(|value| value.get_name().to_owned());
    let part = file.with_extension("part");
    tokio::fs::write(&part, format!("{} {}\n", std::process::id(), name.unwrap_or_default()))
        .await?;
    tokio::fs::rename(&part, file).await
}

//! A scripted executor as a process; it writes down what results acknowledged, before it acts on it.
//!
//! One line an attempt, each report with one write: a kill -9 loses no line that stands in the file, and the checker holds
//! the database to every line. It ends with the chaos program, however that ends.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gauntlet_bus::RedisArgs;
use gauntlet_proto::v1;
use gauntlet_runtime::{Exit, Lifecycle};
use gauntlet_testkit::scripted::{self, Manner, ScriptedConfig};
use uuid::Uuid;

const OWNER_LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Arguments of one executor.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    name: String,
    #[arg(long)]
    slots: u32,
    #[arg(long)]
    scheduler: String,
    #[arg(long)]
    results: String,
    /// Version of the lease protocol.
    #[arg(long)]
    protocol: u32,
    /// File that acknowledged attempts are appended to.
    #[arg(long)]
    ledger: PathBuf,
    #[command(flatten)]
    redis: RedisArgs,
}

/// Runs until it is told to end.
pub(crate) fn main(args: Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exit = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(args)));
    exit.unwrap_or(Exit::Failed).into()
}

async fn run(args: Args) -> anyhow::Result<Exit> {
    let lifecycle = Lifecycle::with_signals()?;
    let ledger = OpenOptions::new().create(true).append(true).open(&args.ledger)?;
    let owned = lifecycle.clone();
    let owner = rustix::process::getppid();
    lifecycle.spawn("owner", async move {
        while rustix::process::getppid() == owner && !owned.is_draining() {
            tokio::select! {
                () = owned.draining() => {}
                () = tokio::time::sleep(OWNER_LOOK_INTERVAL) => {}
            }
        }
        owned.drain();
    });
    let manner = Manner {
        browser: v1::Browser::Firefox,
        protocol_version: args.protocol,
        defers: args.protocol >= 2,
        acknowledged: Some(Arc::new(move |shard, attempts| note(&ledger, shard, attempts))),
    };
    let config = ScriptedConfig {
        name: args.name,
        scheduler: args.scheduler,
        results: args.results,
        redis: args.redis.config()?,
        slots: args.slots,
    };
    let work = scripted::run_as(manner, config, Arc::new(|_| {}), lifecycle.clone());
    lifecycle.spawn("executor", work);
    Ok(lifecycle.run_to_end(Duration::from_secs(2)).await)
}

/// An attempt that results acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Acked {
    pub(crate) run_id: Uuid,
    pub(crate) generation: i32,
    pub(crate) ordinal: i32,
    pub(crate) attempt: i32,
    pub(crate) outcome: i32,
}

fn note(mut ledger: &File, shard: &v1::ShardRef, attempts: &[v1::Attempt]) {
    let mut lines = String::new();
    for attempt in attempts {
        let v1::Attempt { ordinal, attempt, outcome, .. } = attempt;
        let (run, generation) = (&shard.run_id, shard.generation);
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{run} {generation} {ordinal} {attempt} {outcome}");
    }
    // A disk that is full makes the checker weaker, not wrong.
    let _ = ledger.write_all(lines.as_bytes());
}

/// Reads a ledger; a torn last line, of a kill in the middle of a write, was not promised to anybody.
pub(crate) fn read_ledger(text: &str) -> anyhow::Result<Vec<Acked>> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [run_id, generation, ordinal, attempt, outcome] = words[..] else {
            anyhow::bail!("not a line of a ledger: {line:?}");
        };
        Ok(Acked {
            run_id: run_id.parse()?,
            generation: generation.parse()?,
            ordinal: ordinal.parse()?,
            attempt: attempt.parse()?,
            outcome: outcome.parse()?,
        })
    };
    whole.lines().map(|line| parse(line).with_context(|| format!("line {line:?}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_was_promised_to_nobody_and_nonsense_is_found() {
        let line = format!("{} 1 2 3 1\n", Uuid::max());
        assert_eq!(read_ledger(&format!("{line}{line}0190")).unwrap().len(), 2);
        assert_eq!(read_ledger("").unwrap(), []);
        assert!(read_ledger("what\n").is_err());
    }
}

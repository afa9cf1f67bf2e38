//! A scripted executor as a process, told what to play by the runs it is given.
//!
//! It tells the benchmark of traced runs over one TCP connection and ends when that closes, so a benchmark that was killed
//! leaves none behind. Single-threaded: it shares the cores with what is measured.

use gauntlet_bus::RedisArgs;
use gauntlet_runtime::{Exit, Lifecycle};
use gauntlet_testkit::scripted::{self, ScriptedConfig, Traced};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Lines that wait for the connection.
const TRACED_MAX: usize = 65_536;

/// Arguments of one executor.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name, for people.
    #[arg(long)]
    name: String,
    /// Slots of its session.
    #[arg(long)]
    slots: u32,
    /// URL of the scheduler.
    #[arg(long)]
    scheduler: String,
    /// URL of results.
    #[arg(long)]
    results: String,
    /// Where the benchmark listens.
    #[arg(long)]
    trace: SocketAddr,
    #[command(flatten)]
    redis: RedisArgs,
}

/// Runs until the benchmark ends.
pub(crate) fn main(args: Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exit = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(args)));
    exit.unwrap_or(Exit::Failed).into()
}

async fn run(args: Args) -> anyhow::Result<Exit> {
    let redis = args.redis.config()?;
    let (mut from_bench, mut to_bench) = TcpStream::connect(args.trace).await?.into_split();
    to_bench.write_all(format!("{}\n", args.name).as_bytes()).await?;
    let lifecycle = Lifecycle::new();
    let (traced, mut lines) = mpsc::channel::<Traced>(TRACED_MAX);
    lifecycle.spawn("trace", async move {
        while let Some(line) = lines.recv().await {
            to_bench.write_all(format!("{line}\n").as_bytes()).await?;
        }
        std::io::Result::Ok(())
    });
    let watched = lifecycle.clone();
    lifecycle.spawn("bench", async move {
        // Nothing is ever sent: this ends with the connection.
        let _ = from_bench.read_u8().await;
        watched.drain();
    });
    let config = ScriptedConfig {
        name: args.name,
        scheduler: args.scheduler,
        results: args.results,
        redis,
        slots: args.slots,
    };
    let trace = Arc::new(move |line| {
        // A line too many is one the benchmark misses, and it says so.
        let _ = traced.try_send(line);
    });
    lifecycle.spawn("executor", scripted::run(config, trace, lifecycle.clone()));
    Ok(lifecycle.run_to_end(Duration::from_secs(1)).await)
}

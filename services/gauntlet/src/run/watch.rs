//! `gauntlet watch`: a run's events as lines, to its end.

use crate::cli::TargetArgs;
use crate::failure::{EXIT_INFRASTRUCTURE, Failure};
use crate::follow::{Update, follow};
use crate::{names, output, report};
use gauntlet_proto::v1::{self, run_event::Event};
use gauntlet_runtime::Exit;

/// Prints the events of a run; the exit code is that of its end.
pub(crate) async fn watch(run_id: &str, target: &TargetArgs) -> Result<Exit, Failure> {
    let (mesh, signals) = super::reading(target).await?;
    let mut state = v1::RunState::Unspecified;
    let mut shown = 0;
    let print = |update: Update| match update {
        Update::Snapshot(run) => {
            state = run.state();
            let generation = run.generation;
            output::note(&format!(
                "run {} is {} in generation {generation}",
                run.run_id,
                names::state(state)
            ));
        }
        Update::Event(event) => {
            if let Some(Event::Terminal(terminal)) = &event.event {
                state = terminal.state();
            }
            output::line(&line(&event));
        }
        Update::Progress(counts) => {
            // Every snapshot of the stream comes here; only news is worth a line.
            if names::ended(&counts) != shown {
                shown = names::ended(&counts);
                output::note(&format!("progress: {}", names::counts(&counts)));
            }
        }
        Update::Lost(why) => output::note(&format!("connection lost ({why}), resuming")),
    };
    tokio::select! {
        followed = follow(&mesh, run_id, 0, print) => followed?,
        () = signals.draining() => return Ok(Exit::Code(EXIT_INFRASTRUCTURE)),
    }
    Ok(names::exit_of(state))
}

fn line(event: &v1::RunEvent) -> String {
    let at = report::document::time(event.create_time.as_ref()).unwrap_or_default();
    let what = event.event.as_ref().map_or_else(|| "unknown event".to_owned(), describe);
    let generation = match event.generation {
        ..=1 => String::new(),
        generation => format!("  (generation {generation})"),
    };
    format!("{:>4}  {at}  {what}{generation}", event.revision)
}

/// Returns what an event says, for people.
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::Admitted(event) => {
            format!(
                "admitted: {} in {}",
                names::counted(event.test_count, "test"),
                names::counted(event.shard_count, "shard")
            )
        }
        Event::ShardGranted(event) => {
            format!(
                "shard {} granted to {} (epoch {})",
                event.shard_index, event.executor, event.epoch
            )
        }
        Event::ShardLost(event) => {
            let running: Vec<String> = event.running.iter().map(running).collect();
            let running = if running.is_empty() {
                String::new()
            } else {
                format!(" while running {}", running.join(", "))
            };
            let (shard, executor) = (event.shard_index, &event.executor);
            format!("shard {shard} lost on {executor}: {}{running}", event.reason)
        }
        Event::ShardDone(event) if event.failure_class.is_empty() => {
            let deferred = match event.deferred_count {
                ..=0 => String::new(),
                count => format!(", {} deferred", names::counted(count, "test")),
            };
            let (shard, open) = (event.shard_index, event.open_shard_count);
            format!("shard {shard} done{deferred}, {open} open")
        }
        Event::ShardDone(event) => {
            format!(
                "shard {} failed: {}, {} open",
                event.shard_index, event.failure_class, event.open_shard_count
            )
        }
        Event::Finalizing(event) => match event.stop_reason() {
            v1::StopReason::Unspecified => {
                format!("finalizing (epoch {})", event.finalizer_epoch)
            }
            reason => format!("stopped: {}", names::stop_reason(reason)),
        },
        Event::Retried(event) => {
            format!(
                "retried: {} in {}",
                names::counted(event.test_count, "test"),
                names::counted(event.shard_count, "shard")
            )
        }
        Event::Terminal(event) => {
            let state = names::state(event.state());
            let counts = event.verdict.as_ref().and_then(|verdict| verdict.counts.as_ref());
            let mut text = state.to_owned();
            if let Some(counts) = counts {
                text.push_str(&format!(": {}", names::counts(counts)));
            }
            if !event.reason.is_empty() {
                text.push_str(&format!(" ({})", event.reason));
            }
            text
        }
    }
}

fn running(test: &v1::RunningTest) -> String {
    match test.step_index {
        ..0 => format!("test {}", test.ordinal),
        step => format!("test {} (attempt {}, step {step})", test.ordinal, test.attempt),
    }
}

//! What only the payload of events tells about the invariants: the auditor's checks that are not SQL. Pure.

use gauntlet_audit::Finding;
use gauntlet_core::protocol::RunState;
use gauntlet_proto::v1::{self, run_event::Event};
use prost::Message as _;
use std::collections::BTreeMap;
use uuid::Uuid;

/// An event beside the row of its run.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) run_id: Uuid,
    pub(crate) state: String,
    pub(crate) digest: Option<String>,
    pub(crate) is_terminal: bool,
    pub(crate) payload: Vec<u8>,
}

/// Checks logs, in order of run and revision: the epochs of a shard never fall (SH-2), and a run that has ended is as its last
/// terminal event says (RN-1).
pub(crate) fn check_logs(events: &[Logged]) -> Vec<Finding> {
    let logs = events.chunk_by(|a, b| a.run_id == b.run_id);
    logs.flat_map(|log| ended_otherwise(log).into_iter().chain(fallen_epochs(log))).collect()
}

fn ended_otherwise(log: &[Logged]) -> Option<Finding> {
    // Whether there is an end where there should be one is RN-2's matter.
    let has_ended = |state: &str| RunState::from_name(state).is_some_and(RunState::is_terminal);
    let last = log.last().filter(|event| event.is_terminal && has_ended(&event.state))?;
    let Some(Event::Terminal(terminal)) = event_of(last) else {
        return Some(finding("RN-1", last, "the last event is marked terminal and is not".into()));
    };
    let state = terminal.state().as_str_name().trim_start_matches("RUN_STATE_").to_owned();
    let digest = terminal.verdict.map(|verdict| verdict.digest);
    if state == last.state && digest == last.digest {
        return None;
    }
    let text = |digest: &Option<String>| digest.clone().unwrap_or_else(|| "no digest".to_owned());
    let what = format!(
        "ended as {state} with {}, and is {} with {}",
        text(&digest),
        last.state,
        text(&last.digest)
    );
    Some(finding("RN-1", last, what))
}

fn fallen_epochs(log: &[Logged]) -> Vec<Finding> {
    let mut highest: BTreeMap<i32, i64> = BTreeMap::new();
    let mut found = Vec::new();
    for event in log {
        let (shard, epoch) = match event_of(event) {
            Some(Event::ShardGranted(v1::ShardGranted { shard_index, epoch, .. }))
            | Some(Event::ShardLost(v1::ShardLost { shard_index, epoch, .. }))
            | Some(Event::ShardDone(v1::ShardDone { shard_index, epoch, .. })) => {
                (shard_index, epoch)
            }
            _ => continue,
        };
        let before = highest.entry(shard).or_insert(epoch);
        if epoch < *before {
            let what = format!("epoch of shard {shard} falls from {before} to {epoch} in the log");
            found.push(finding("SH-2", event, what));
        }
        *before = epoch.max(*before);
    }
    found
}

fn event_of(event: &Logged) -> Option<Event> {
    v1::RunEvent::decode(event.payload.as_slice()).ok()?.event
}

fn finding(invariant: &str, event: &Logged, what: String) -> Finding {
    Finding { invariant: invariant.to_owned(), run_id: event.run_id, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(event: Event, state: &str, digest: Option<&str>) -> Logged {
        let is_terminal = matches!(event, Event::Terminal(_));
        let payload = v1::RunEvent { event: Some(event), ..Default::default() }.encode_to_vec();
        let digest = digest.map(str::to_owned);
        Logged { run_id: Uuid::nil(), state: state.to_owned(), digest, is_terminal, payload }
    }

    fn passed(state: &str, digest: Option<&str>) -> Logged {
        let verdict = v1::Verdict { digest: "a".to_owned(), ..Default::default() };
        let state_said = v1::RunState::Passed.into();
        let ended =
            v1::RunTerminal { state: state_said, verdict: Some(verdict), ..Default::default() };
        logged(Event::Terminal(ended), state, digest)
    }

    #[test]
    fn a_run_that_is_not_as_it_ended_is_found() {
        assert_eq!(check_logs(&[passed("PASSED", Some("a"))]), []);
        for (state, digest) in [("FAILED", Some("a")), ("PASSED", Some("b")), ("PASSED", None)] {
            let found = check_logs(&[passed(state, digest)]);
            assert_eq!(found.len(), 1, "{state} {digest:?}");
            assert_eq!(found[0].invariant, "RN-1");
        }
    }

    #[test]
    fn an_epoch_that_falls_in_the_log_is_found() {
        let granted = |shard_index, epoch| {
            let granted = v1::ShardGranted { shard_index, epoch, executor: String::new() };
            logged(Event::ShardGranted(granted), "RUNNING", None)
        };
        assert_eq!(check_logs(&[granted(0, 2), granted(1, 1), granted(0, 2), granted(0, 3)]), []);
        let found = check_logs(&[granted(0, 2), granted(0, 1)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].invariant, "SH-2");
    }
}

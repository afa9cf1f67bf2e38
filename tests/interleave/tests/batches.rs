//! Commands that are committed together: what one of them plans or cancels is not what another one meant.

use crate::pairs::Kind;
use crate::world::{GRANTED, HOLDER, Pair, World};
use gauntlet_core::RunId;
use gauntlet_core::protocol::{Command, Completion};

/// Applies two commands in one transaction and returns how many shards of the run wait then.
async fn waiting_after(world: &World, commands: [(Option<u32>, Command); 2]) -> i64 {
    world.set_up(&Pair { kinds: [Kind::Complete, Kind::Abort], shards: [0, 0] }).await;
    let run = world.runs[0];
    let commands = commands.map(|(shard, command)| (run, shard, command)).to_vec();
    let answer = world.scheduler(0).apply(commands).await;
    assert!(!answer.contains("Err"), "{answer}");
    assert_eq!(world.aside().audit(&[run]).await, Vec::<String>::new());
    let waiting = "SELECT count(*) FROM shards WHERE run_id = $1 AND state = 'QUEUED'";
    let RunId(run) = run;
    world.sql.query_one(waiting, &[&run]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_abort_takes_what_the_same_batch_has_planned_before_and_nothing_planned_after() {
    let world = World::start().await;
    let completion = Completion::Done { reported_count: 0, deferred: vec![0] };
    let defer = Command::Complete { session: HOLDER, epoch: GRANTED, completion, parked: None };
    let abort = Command::Abort { generation: 1, reason: "enough".to_owned() };
    let waiting = waiting_after(&world, [(Some(0), defer), (None, abort.clone())]).await;
    assert_eq!(waiting, 0, "nobody runs the deferred test of an aborted run");
    let retry = Command::Retry { generation: 1, shards: vec![vec![0]] };
    let waiting = waiting_after(&world, [(None, abort), (None, retry)]).await;
    assert_eq!(waiting, 1, "the next generation runs");
}

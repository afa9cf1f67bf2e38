//! Generations of a run: tests run again, and tests that go on at another executor.

use crate::support::{Mesh, fresh_id};
use gauntlet_proto::v1::{self, CompletionKind, CompletionResult, RunState};
use gauntlet_rpc::{Reason, reason_of};

/// Runs a run of `tests` tests in one shard to its verdict.
async fn finished(mesh: &mut Mesh, replica: &str, tests: usize, state: RunState) -> v1::Run {
    let run = mesh.trigger(tests, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(4).await;
    let grants = executor.claim(5).await;
    executor.complete(&grants[0], CompletionKind::Done).await;
    let claim = mesh.claim_finalization(replica).await.unwrap();
    mesh.close(&claim, state, 'a').await.unwrap();
    mesh.run(&run.run_id).await
}

fn retry(run: &v1::Run, ordinals: &[i32]) -> v1::RetryRunRequest {
    v1::RetryRunRequest {
        run_id: run.run_id.clone(),
        generation: run.generation,
        ordinals: ordinals.to_vec(),
        shards: 2,
    }
}

#[tokio::test]
async fn a10_a_partial_retry_is_a_generation_with_its_own_shards_verdict_and_terminal_event() {
    let mut mesh = Mesh::start().await;
    let replica = fresh_id();
    let run = finished(&mut mesh, &replica, 6, RunState::Failed).await;
    let again = mesh.scheduler.retry_run(retry(&run, &[5, 1, 3, 1])).await.unwrap().into_inner();
    let again = again.run.unwrap();
    assert_eq!((again.generation, again.state(), again.shard_count), (2, RunState::Queued, 2));
    assert!(again.verdict.is_none() && again.finish_time.is_none() && again.start_time.is_none());
    let repeated = mesh.scheduler.retry_run(retry(&run, &[0])).await.unwrap().into_inner();
    assert_eq!(repeated.run.unwrap().generation, 2, "a repeat finds the generation");

    let mut executor = mesh.open_session(4).await;
    let mut grants = executor.claim(5).await;
    while grants.len() < 2 {
        grants.extend(executor.claim(5).await);
    }
    grants.sort_by_key(|grant| grant.shard_index);
    let planned =
        |grant: &v1::ShardGrant| grant.tests.iter().map(|t| t.ordinal).collect::<Vec<_>>();
    assert_eq!((planned(&grants[0]), planned(&grants[1])), (vec![1, 3], vec![5]));
    assert_eq!((grants[0].shard_index, grants[0].generation), (1, 2), "an index is not used again");
    assert_eq!(grants[1].tests[0].name, "test 0005", "the snapshot of the admission");
    for grant in &grants {
        executor.complete(grant, CompletionKind::Done).await;
    }
    for (generation, ordinals) in [(1, vec![0, 1, 2, 3, 4, 5]), (2, vec![1, 3, 5])] {
        let request = v1::GetGenerationRequest { run_id: run.run_id.clone(), generation };
        let planned = mesh.finalizations.get_generation(request).await.unwrap().into_inner();
        assert_eq!(planned.ordinals, ordinals);
    }
    let unknown = v1::GetGenerationRequest { run_id: run.run_id.clone(), generation: 3 };
    let refused = mesh.finalizations.get_generation(unknown).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::RunNotFound));
    let claim = mesh.claim_finalization(&replica).await.unwrap();
    assert_eq!((claim.generation, claim.finalizer_epoch, claim.test_count), (2, 1, 6));
    assert_eq!(claim.shards.len(), 2, "only the shards of the generation");
    mesh.close(&claim, RunState::Passed, 'b').await.unwrap();

    let run = mesh.run(&run.run_id).await;
    assert_eq!((run.state(), run.generation), (RunState::Passed, 2));
    let events = mesh.events(&run.run_id).await;
    let terminal = |e: &&v1::RunEvent| matches!(e.event, Some(v1::run_event::Event::Terminal(_)));
    let generations: Vec<i32> = events.iter().filter(terminal).map(|e| e.generation).collect();
    assert_eq!(generations, [1, 2], "RN-2: one terminal event a generation");
    let revisions: Vec<i64> = events.iter().map(|e| e.revision).collect();
    assert_eq!(revisions, (1..=run.revision).collect::<Vec<_>>(), "RN-4: no gap");
    let planned = v1::ListPlannedTestsRequest { run_id: run.run_id, ..Default::default() };
    let planned = mesh.scheduler.list_planned_tests(planned).await.unwrap().into_inner().tests;
    let ordinals: Vec<i32> = planned.iter().map(|test| test.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2, 3, 4, 5], "the plan shows each test once");
}

#[tokio::test]
async fn a10_a_run_that_goes_on_and_a_test_it_does_not_have_are_refused() {
    let mut mesh = Mesh::start().await;
    let open = mesh.trigger(1, v1::RunOptions::default()).await;
    let refused = mesh.scheduler.retry_run(retry(&open, &[0])).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::RunNotTerminal));
    mesh.abort(&open.run_id).await.unwrap();
    let refused = mesh.scheduler.retry_run(retry(&open, &[0, 1])).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::TestNotFound));
    let refused = mesh.scheduler.retry_run(retry(&open, &[])).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::FieldInvalid));
    assert_eq!(mesh.run(&open.run_id).await.generation, 1);
}

#[tokio::test]
async fn a10_an_abort_of_a_generation_that_ended_tells_how_and_leaves_the_next_one_alone() {
    let mut mesh = Mesh::start().await;
    let replica = fresh_id();
    let aborted = mesh.trigger(1, v1::RunOptions::default()).await;
    mesh.abort_generation(&aborted.run_id, 0).await.unwrap();
    mesh.scheduler.retry_run(retry(&aborted, &[0])).await.unwrap();
    let late = mesh.abort_generation(&aborted.run_id, 1).await.unwrap();
    assert_eq!((late.generation, late.state()), (2, RunState::Queued), "the late one is answered");
    let unnamed = mesh.abort_generation(&aborted.run_id, 0).await.unwrap_err();
    assert_eq!(reason_of(&unnamed), Some(Reason::FieldInvalid));
    let unknown = mesh.abort_generation(&aborted.run_id, 3).await.unwrap_err();
    assert_eq!(reason_of(&unknown), Some(Reason::RunNotFound));
    assert_eq!(mesh.run(&aborted.run_id).await.state(), RunState::Queued, "nobody aborted it");
    assert_eq!(mesh.terminal_events(&aborted.run_id).await, 1);
    mesh.abort_generation(&aborted.run_id, 2).await.unwrap();

    let failed = finished(&mut mesh, &replica, 2, RunState::Failed).await;
    mesh.scheduler.retry_run(retry(&failed, &[1])).await.unwrap();
    let late = mesh.abort_generation(&failed.run_id, 1).await.unwrap_err();
    assert_eq!(reason_of(&late), Some(Reason::RunTerminal));
    assert!(late.message().contains("FAILED"), "{late}");
    let run = mesh.abort_generation(&failed.run_id, 2).await.unwrap();
    assert_eq!((run.generation, run.state()), (2, RunState::Aborted));
}

#[tokio::test]
async fn b8_a_completion_of_the_generation_before_counts_nothing() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(2, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(4).await;
    let grants = executor.claim(5).await;
    mesh.abort(&run.run_id).await.unwrap();
    mesh.scheduler.retry_run(retry(&run, &[0, 1])).await.unwrap();
    let late = executor.complete(&grants[0], CompletionKind::Done).await;
    assert_eq!(late, CompletionResult::LeaseLost);
    let run = mesh.run(&run.run_id).await;
    assert_eq!((run.generation, run.open_shard_count), (2, 2));
}

#[tokio::test]
async fn deferred_tests_go_on_as_a_new_shard_at_another_executor_when_there_is_one() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(3, v1::RunOptions::default()).await;
    let mut first = mesh.open_session(4).await;
    let grants = first.claim(5).await;
    assert!(!grants[0].may_defer, "it is alone");
    let mut second = mesh.open_session(1).await;
    let unnamed = first.renew(&[], &[]).await.unwrap().unnamed_grants;
    assert!(unnamed[0].may_defer, "there is another one");
    let done = first.complete_deferring(&grants[0], CompletionKind::Done, &[2]).await;
    assert_eq!(done, CompletionResult::Counted);
    let again = first.complete_deferring(&grants[0], CompletionKind::Done, &[2]).await;
    assert_eq!(again, CompletionResult::Duplicate);
    assert_eq!(mesh.run(&run.run_id).await.open_shard_count, 1, "the run waits for them");
    assert!(first.claim(0).await.is_empty(), "not at the executor that deferred them");
    let deferred = second.claim(5).await;
    assert_eq!((deferred[0].shard_index, deferred[0].tests[0].ordinal), (1, 2));
    assert!(deferred[0].may_defer);
    second.complete(&deferred[0], CompletionKind::Done).await;
    assert_eq!(mesh.run(&run.run_id).await.state(), RunState::Finalizing);
}

#[tokio::test]
async fn deferred_tests_go_on_at_the_same_executor_when_it_is_alone() {
    let mut mesh = Mesh::start().await;
    mesh.trigger(1, v1::RunOptions::default()).await;
    let mut alone = mesh.open_session(1).await;
    let grants = alone.claim(5).await;
    alone.complete_deferring(&grants[0], CompletionKind::Done, &[0]).await;
    assert_eq!(alone.claim(5).await[0].shard_index, 1);
}

#[tokio::test]
async fn deferring_a_test_that_the_run_does_not_have_changes_nothing() {
    let mut mesh = Mesh::start().await;
    let run = mesh.trigger(1, v1::RunOptions::default()).await;
    let mut executor = mesh.open_session(1).await;
    let grants = executor.claim(5).await;
    let completion = v1::ShardCompletion {
        run_id: run.run_id.clone(),
        shard_index: 0,
        epoch: grants[0].epoch,
        kind: CompletionKind::Done.into(),
        deferred_ordinals: vec![7],
        ..Default::default()
    };
    let session_id = executor.session_id.clone();
    let request = v1::CompleteShardsRequest { session_id, completions: vec![completion] };
    let refused = executor.leases.complete_shards(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::TestNotFound));
    assert_eq!(mesh.run(&run.run_id).await.open_shard_count, 1);
}

#[tokio::test]
async fn j5_an_executor_of_the_version_before_still_works_and_a_newer_one_is_refused() {
    let mut mesh = Mesh::start().await;
    let open = |version: i32| v1::OpenSessionRequest {
        session_id: fresh_id(),
        name: "scripted".into(),
        protocol_version: version,
        browsers: vec![v1::Browser::Chromium.into()],
        slots: 1,
        films: false,
        filters_egress: false,
        attributes: Vec::new(),
    };
    for spoken in [1, 2] {
        mesh.leases.open_session(open(spoken)).await.unwrap();
    }
    for unknown in [0, 3, -1] {
        let refused = mesh.leases.open_session(open(unknown)).await.unwrap_err();
        assert_eq!(reason_of(&refused), Some(Reason::ProtocolUnsupported), "{unknown}");
    }
}

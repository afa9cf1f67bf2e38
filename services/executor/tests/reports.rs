//! Tests, attempts and their way to results.

use crate::Stage;
use gauntlet_proto::v1::{self, AttemptOutcome};
use gauntlet_rpc::Reason;
use gauntlet_runtime::Exit;

/// Ordinal, number, outcome and finality of every attempt stored, in order.
fn told(stage: &Stage) -> Vec<(i32, i32, AttemptOutcome, bool)> {
    stage.mesh.set(|s| {
        s.attempts.iter().map(|a| (a.ordinal, a.attempt, a.outcome(), a.r#final)).collect()
    })
}

#[tokio::test]
async fn b6_tests_with_a_final_result_are_not_run_again() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["pass.a", "pass.b", "pass.c"]);
        mesh.set(|s| {
            s.final_ordinals = vec![0, 2];
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.scripts.ran(), ["pass.b"]);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn only_a_fresh_shard_whose_run_does_not_stop_at_failures_is_not_opened() {
    for (fresh, stop_after_failures, opened) in [(true, 0, 0), (true, 2, 1), (false, 0, 1)] {
        let stage = Stage::start(|mesh| {
            let options = v1::RunOptions { stop_after_failures, ..Default::default() };
            let grant = mesh.grant(0, &["pass.a"]);
            let grant = v1::ShardGrant { fresh, options: Some(options), ..grant };
            mesh.set(|s| s.claimable.push_back(grant));
        })
        .await;
        stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
        assert_eq!((stage.mesh.set(|s| s.opened), told(&stage).len()), (opened, 1));
        assert_eq!(stage.stop().await, Exit::Clean);
    }
}

#[tokio::test]
async fn b6_a_shard_without_anything_left_completes_without_a_browser() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["pass.a"]);
        mesh.set(|s| {
            s.final_ordinals = vec![0];
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| assert_eq!(s.completions[0].reported_count, 1));
    assert_eq!(stage.scripts.seen.lock().unwrap().launches, 0);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b1_a_refused_report_kills_the_browser_and_ends_the_work() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["slow.a", "hang.b", "pass.c"]);
        grant.options.as_mut().unwrap().workers = 2;
        mesh.set(|s| {
            s.report_error = Some(Reason::LeaseLost);
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.scripts.until("both run", |seen| seen.ran.len() == 2).await;
    stage.scripts.go.add_permits(1);
    stage.scripts.until("all are dead", |seen| seen.alive == 0).await;
    assert!(stage.scripts.ran().len() <= 3);
    let mesh = stage.mesh.clone();
    assert_eq!(stage.stop().await, Exit::Clean);
    mesh.set(|s| assert!(s.completions.is_empty(), "{s:?}"));
}

#[tokio::test]
async fn the_scheduler_hears_of_the_end_only_after_every_acknowledgement() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["pass.a", "pass.b", "pass.c"]);
        mesh.set(|s| {
            s.holds_acks = true;
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.scripts.until("all ran", |seen| seen.ran.len() == 3).await;
    let renewals = stage.mesh.set(|s| s.renewals);
    stage.mesh.until("some beats pass", |s| s.renewals > renewals + 3).await;
    stage.mesh.set(|s| {
        assert!(s.completions.is_empty());
        s.holds_acks = false;
    });
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        assert_eq!(s.acknowledged_at_completion, [3]);
        assert_eq!(
            (s.completions[0].kind(), s.completions[0].reported_count),
            (v1::CompletionKind::Done, 3)
        );
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b8_a_broken_stream_sends_again_and_loses_nothing() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["pass.a", "fail.b", "pass.c", "pass.d"]);
        mesh.set(|s| {
            s.breaks_left = 3;
            s.open_errors = [Reason::StoreUnavailable, Reason::OutcomeUnknown].into();
            s.complete_errors = [Reason::OutcomeUnknown, Reason::StoreUnavailable].into();
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        assert_eq!(s.stored.len(), 4);
        assert!(s.attempts.len() > 4, "nothing was sent again");
        assert_eq!(s.completions[0].reported_count, 4);
    });
    assert_eq!(stage.scripts.ran().len(), 4);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b7_a_poisoned_test_is_reported_and_not_run() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["pass.a", "hang.b"]);
        grant.poisoned_ordinals = vec![1];
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.scripts.ran(), ["pass.a"]);
    assert_eq!(told(&stage)[1], (1, 1, AttemptOutcome::Errored, true));
    stage.mesh.set(|s| {
        assert_eq!(s.attempts[1].failure.as_ref().unwrap().failure_class, "executor_lost");
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b9_test_retries_stop_at_the_first_pass_and_count_up_from_what_is_stored() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["flaky.a", "fail.b"]);
        grant.options.as_mut().unwrap().retries = 3;
        mesh.set(|s| {
            s.attempt_counts = vec![v1::AttemptCount { ordinal: 1, attempt_count: 2 }];
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    let expected = [
        (0, 1, AttemptOutcome::Failed, false),
        (0, 2, AttemptOutcome::Passed, true),
        (1, 3, AttemptOutcome::Failed, false),
        (1, 4, AttemptOutcome::Failed, true),
    ];
    assert_eq!(told(&stage), expected);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b9_a_crash_is_tried_once_more_and_is_no_test_retry() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["crash-once.a", "crash.b", "pass.c"]);
        grant.options.as_mut().unwrap().retries = 2;
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    let expected = [
        (0, 1, AttemptOutcome::Passed, true),
        (1, 1, AttemptOutcome::Errored, true),
        (2, 1, AttemptOutcome::Passed, true),
    ];
    assert_eq!(told(&stage), expected);
    assert_eq!(
        stage.scripts.ran(),
        ["crash-once.a", "crash-once.a", "crash.b", "crash.b", "pass.c"]
    );
    assert_eq!(stage.scripts.seen.lock().unwrap().launches, 4, "browsers are kept warm");
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g2_a_recording_that_cannot_be_read_errors_its_test_and_no_other() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["pass.a", "pass.b", "pass.c"]);
        grant.tests[0].revision_hash = mesh.store(b"{}".to_vec());
        grant.tests[1].revision_hash = "0".repeat(64);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.scripts.ran(), ["pass.c"]);
    stage.mesh.set(|s| {
        for attempt in &s.attempts[..2] {
            assert_eq!(attempt.outcome(), AttemptOutcome::Errored);
            assert_eq!(attempt.failure.as_ref().unwrap().failure_class, "import_error");
        }
        assert_eq!(s.completions[0].kind(), v1::CompletionKind::Done);
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn a_test_whose_variable_has_no_value_is_errored_before_anything_is_typed() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["pass.a", "pass.b"]);
        let flow = |name: &str| {
            let variables = serde_json::json!({ name: null });
            serde_json::json!({"gauntlet": 1, "title": "pass.c", "variables": variables, "steps": ["close"]})
        };
        grant.tests[0].revision_hash = mesh.store(flow("PASSWORD").to_string().into_bytes());
        grant.tests[1].revision_hash = mesh.store(flow("GIVEN").to_string().into_bytes());
        grant.options.as_mut().unwrap().variables.insert("GIVEN".to_owned(), "x".to_owned());
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.scripts.ran(), ["pass.c"]);
    stage.mesh.set(|s| {
        let failure = s.attempts[0].failure.as_ref().unwrap();
        assert_eq!(failure.failure_class, "import_error");
        assert!(failure.message.contains("PASSWORD"), "{}", failure.message);
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn variables_are_filled_in_and_the_recorded_site_is_rebased() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["pass.a"]);
        let options = grant.options.as_mut().unwrap();
        options.variables.insert("PATH".to_owned(), "cart".to_owned());
        options.base_url = "https://staging.test/shop".to_owned();
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.scripts.seen.lock().unwrap().urls, ["https://staging.test/shop/cart"]);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn tests_may_give_pages_the_files_of_the_executors_folder() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["pass.a"]);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    let folder = stage.scripts.seen.lock().unwrap().files_dir.clone();
    assert_eq!(folder.as_deref(), Some(std::path::Path::new(env!("CARGO_MANIFEST_DIR"))));
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn secrets_are_filled_in_like_variables_which_go_before_them() {
    let stage = Stage::start(|mesh| {
        for (shard, given) in [(0, None), (1, Some("own"))] {
            let mut grant = mesh.grant(shard, &["pass.a"]);
            grant.secrets.insert("PATH".to_owned(), "secret".to_owned());
            let options = grant.options.as_mut().unwrap();
            options.variables.extend(given.map(|path| ("PATH".to_owned(), path.to_owned())));
            mesh.set(|s| s.claimable.push_back(grant));
        }
    })
    .await;
    stage.mesh.until("both are completed", |s| s.completions.len() == 2).await;
    let mut urls = stage.scripts.seen.lock().unwrap().urls.clone();
    urls.sort();
    assert!(urls[0].ends_with("/own") && urls[1].ends_with("/secret"), "{urls:?}");
    assert_eq!(stage.stop().await, Exit::Clean);
}

/// A grant whose tests are retried so often, with another executor around.
fn deferrable(mesh: &crate::mesh::Mesh, titles: &[&str], retries: i32) -> v1::ShardGrant {
    let options = Some(v1::RunOptions { retries, ..Default::default() });
    v1::ShardGrant { may_defer: true, options, ..mesh.grant(0, titles) }
}

#[tokio::test]
async fn the_last_retry_is_left_to_another_executor_and_counted_there() {
    let stage = Stage::start(|mesh| {
        let grant = deferrable(mesh, &["fail.a", "flaky.b", "pass.c"], 2);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    use AttemptOutcome::{Failed, Passed};
    let ran = [
        (0, 1, Failed, false),
        (0, 2, Failed, false),
        (1, 1, Failed, false),
        (1, 2, Passed, true),
        (2, 1, Passed, true),
    ];
    assert_eq!(told(&stage), ran, "the retry that is not the last is its own");
    let completion = stage.mesh.set(|s| s.completions[0].clone());
    assert_eq!((completion.kind(), completion.reported_count), (v1::CompletionKind::Done, 5));
    assert_eq!(completion.deferred_ordinals, [0]);

    // The other executor goes on where the first stopped, and defers nothing back.
    stage.mesh.set(|s| {
        s.attempts.clear();
        s.attempt_counts = vec![v1::AttemptCount { ordinal: 0, attempt_count: 2 }];
    });
    let again = v1::ShardGrant { shard_index: 1, ..deferrable(&stage.mesh, &["fail.a"], 2) };
    stage.mesh.set(|s| s.unnamed.push(again));
    stage.mesh.until("it is completed too", |s| s.completions.len() == 2).await;
    assert_eq!(told(&stage), [(0, 3, Failed, true)]);
    stage.mesh.set(|s| assert!(s.completions[1].deferred_ordinals.is_empty()));
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn without_another_executor_every_retry_is_made_here() {
    let stage = Stage::start(|mesh| {
        let grant = v1::ShardGrant { may_defer: false, ..deferrable(mesh, &["fail.a"], 1) };
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    use AttemptOutcome::Failed;
    assert_eq!(told(&stage), [(0, 1, Failed, false), (0, 2, Failed, true)]);
    stage.mesh.set(|s| assert!(s.completions[0].deferred_ordinals.is_empty()));
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn b10_a_renewal_names_the_running_test_its_attempt_and_its_step() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["pass.a", "slow.b"]);
        grant.options.as_mut().unwrap().retries = 3;
        mesh.set(|s| {
            s.attempt_counts = vec![v1::AttemptCount { ordinal: 1, attempt_count: 2 }];
            s.claimable.push_back(grant);
        });
    })
    .await;
    let named = v1::RunningTest { ordinal: 1, attempt: 3, step_index: 0 };
    stage.mesh.until("it is named", |s| s.running_named.contains(&named)).await;
    stage.scripts.go.add_permits(1);
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    assert_eq!(stage.stop().await, Exit::Clean);
}

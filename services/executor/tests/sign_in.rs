//! Signing in once for all tests of a run (H5).

use crate::{Stage, mesh::Mesh};
use gauntlet_proto::v1::{self, AttemptOutcome};
use gauntlet_runtime::Exit;

/// Two shards of a run whose tests begin where the test of this title ended.
fn two_shards(mesh: &Mesh, sign_in: &str, retries: i32) {
    let sign_in = v1::SignIn {
        revision_hash: mesh.record(sign_in),
        file: "login.json".to_owned(),
        name: sign_in.to_owned(),
        ..v1::SignIn::default()
    };
    for (shard, titles) in [(0, ["pass.a", "pass.b"]), (1, ["pass.c", "pass.d"])] {
        let mut grant = mesh.grant(shard, &titles);
        let options = grant.options.as_mut().unwrap();
        (options.sign_in, options.retries) = (Some(sign_in.clone()), retries);
        mesh.set(|s| s.claimable.push_back(grant));
    }
}

#[tokio::test]
async fn h5_a_run_signs_in_once_and_every_test_begins_there() {
    let stage = Stage::start(|mesh| two_shards(mesh, "flaky.login", 1)).await;
    stage.mesh.until("both are completed", |s| s.completions.len() == 2).await;
    let mut ran = stage.scripts.seen.lock().unwrap().began.clone();
    ran.sort();
    let signed_in = |title: &str| (title.to_owned(), true);
    let mut expected: Vec<_> = ["pass.a", "pass.b", "pass.c", "pass.d"].map(signed_in).into();
    // It is retried like any test, and does not begin signed in itself.
    expected.splice(0..0, vec![("flaky.login".to_owned(), false); 2]);
    assert_eq!(ran, expected);
    let told: Vec<_> = stage.mesh.set(|s| s.attempts.iter().map(v1::Attempt::outcome).collect());
    assert_eq!(told, [AttemptOutcome::Passed; 4], "signing in is no test of the run");
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn h5_tests_whose_sign_in_fails_are_errored_with_its_step_and_not_run() {
    let stage = Stage::start(|mesh| two_shards(mesh, "fail.login", 0)).await;
    stage.mesh.until("both are completed", |s| s.completions.len() == 2).await;
    assert_eq!(stage.scripts.ran(), ["fail.login"], "nobody tries again");
    stage.mesh.set(|s| {
        assert_eq!(s.attempts.len(), 4);
        for attempt in &s.attempts {
            let failure = attempt.failure.as_ref().unwrap();
            assert_eq!((attempt.outcome(), attempt.r#final), (AttemptOutcome::Errored, true));
            assert_eq!(failure.failure_class, "auth");
            let said = "the sign-in flow login.json › fail.login failed at step 1";
            assert!(failure.message.starts_with(said), "{}", failure.message);
        }
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

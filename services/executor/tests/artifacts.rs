//! What attempts keep, and how it comes to results (G6, A3).

use crate::{Stage, mesh::Mesh};
use gauntlet_proto::v1::{self, ArtifactKind, LogMode, ScreenshotMode, VideoMode};
use gauntlet_runtime::Exit;
use std::collections::BTreeSet;

/// A shard of two tests, one that passes and one that does not.
fn grant(mesh: &Mesh, change: impl FnOnce(&mut v1::RunOptions)) -> v1::ShardGrant {
    let mut grant = mesh.grant(0, &["pass.a", "fail.b"]);
    change(grant.options.as_mut().unwrap());
    grant
}

async fn ran(change: impl FnOnce(&mut v1::RunOptions)) -> Stage {
    let stage = Stage::start(|mesh| {
        let grant = grant(mesh, change);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage
}

/// The kinds that each attempt names, in the order of the attempts.
fn kinds(stage: &Stage) -> Vec<BTreeSet<ArtifactKind>> {
    let of = |attempt: &v1::Attempt| attempt.artifacts.iter().map(|one| one.kind()).collect();
    stage.mesh.set(|s| s.attempts.iter().map(of).collect())
}

#[tokio::test]
async fn a3_each_attempt_keeps_what_its_run_asked_for() {
    use ArtifactKind::{ConsoleLog, NetworkLog, PageSource, Screenshot, StepScreenshot, Timeline};
    let failed = [Screenshot, PageSource, ConsoleLog, NetworkLog, Timeline];
    let stage = ran(|_| {}).await;
    assert_eq!(kinds(&stage), [BTreeSet::new(), BTreeSet::from(failed)]);
    assert_eq!(stage.stop().await, Exit::Clean);
    let stage = ran(|options| {
        options.set_screenshots(ScreenshotMode::EveryStep);
        options.set_logs(LogMode::On);
    })
    .await;
    let passed = [StepScreenshot, ConsoleLog, NetworkLog, Timeline];
    let failed = [Screenshot, PageSource, StepScreenshot, ConsoleLog, NetworkLog, Timeline];
    assert_eq!(kinds(&stage), [BTreeSet::from(passed), BTreeSet::from(failed)]);
    stage.mesh.set(|s| {
        let told: BTreeSet<bool> = s.artifacts.iter().map(|(header, _)| header.passed).collect();
        assert_eq!(told.len(), 2, "results is told which attempts passed");
    });
    assert_eq!(stage.stop().await, Exit::Clean);
    let stage = ran(|options| {
        options.set_screenshots(ScreenshotMode::Off);
        options.set_logs(LogMode::Off);
        options.set_video(VideoMode::Off);
    })
    .await;
    assert_eq!(kinds(&stage), [BTreeSet::new(), BTreeSet::from([Timeline])]);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g6_the_timeline_is_as_its_schema_says_and_names_what_is_stored() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/timeline.schema.json");
    let schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    // Without a single frame there is no video, and the timeline says so.
    let stage = ran(|options| {
        options.set_screenshots(ScreenshotMode::EveryStep);
        options.set_video(VideoMode::On);
    })
    .await;
    let artifacts = stage.mesh.set(|s| s.artifacts.clone());
    let mut timelines = 0;
    for (header, content) in &artifacts {
        if header.artifact.as_ref().unwrap().kind() != ArtifactKind::Timeline {
            continue;
        }
        timelines += 1;
        let timeline: serde_json::Value = serde_json::from_slice(content).unwrap();
        let errors: Vec<_> = schema.iter_errors(&timeline).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let problem = timeline["problems"][0].as_str().unwrap();
        assert!(problem.starts_with("no video: "), "{problem}");
        let step = &timeline["steps"][0];
        assert_eq!((&step["outcome"], &step["alternative"]), (&"skipped".into(), &2.into()));
        let mut named = vec![&step["screenshot"]];
        if timeline["outcome"] == "failed" {
            named.extend(["screenshot", "page_source"].map(|key| &timeline[key]));
            named.extend(["console", "network"].map(|key| &timeline[key]["hash"]));
        }
        for hash in named {
            assert!(
                stage.mesh.set(|s| s.uploads.contains(&hash.as_str().unwrap().to_owned())),
                "{hash}"
            );
        }
    }
    assert_eq!(timelines, 2);
    stage.mesh.set(|s| {
        let step = &s.attempts[1].steps[0];
        assert_eq!((step.outcome(), step.alternative), (v1::StepOutcome::Skipped, 2));
        assert_eq!((step.label.as_str(), step.problem.as_str()), ("first", "scripted"));
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g6_no_artifact_and_no_step_holds_a_secret() {
    let stage = Stage::start(|mesh| {
        let mut grant = mesh.grant(0, &["fail.a"]);
        grant.secrets.insert("PATH".to_owned(), "hunter 2&3".to_owned());
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        assert_eq!(s.artifacts.len(), 5);
        for (header, content) in &s.artifacts {
            let text = String::from_utf8(content.clone()).unwrap();
            assert!(!text.contains("hunter"), "{header:?}: {text}");
        }
        assert!(s.artifacts.iter().any(|(_, c)| c.windows(7).any(|part| part == b"${PATH}")));
        let note = &s.attempts[0].steps[0].note;
        assert!(note.ends_with("${PATH}"), "{note}");
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g6_artifacts_are_stored_before_the_attempt_that_names_them() {
    let stage = ran(|_| {}).await;
    stage.mesh.set(|s| {
        assert_eq!(s.uploads_at_attempt, [0, 5]);
        let named: Vec<_> = s.attempts[1].artifacts.iter().map(|one| one.hash.clone()).collect();
        assert_eq!(named, s.uploads);
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g6_an_artifact_that_is_refused_is_left_out() {
    let stage = Stage::start(|mesh| {
        let grant = grant(mesh, |_| {});
        mesh.set(|s| {
            s.refuses_uploads = true;
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| assert!(s.attempts.iter().all(|attempt| attempt.artifacts.is_empty())));
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g6_while_results_is_away_tests_go_on_and_artifacts_wait_on_disk() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["fail.a", "fail.b", "fail.c"]);
        mesh.set(|s| {
            s.uploads_are_away = true;
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.scripts.until("all have run", |seen| seen.ran.len() == 3).await;
    stage.mesh.until("an upload was tried again", |s| s.uploads_refused >= 3).await;
    stage.mesh.set(|s| assert!(s.attempts.is_empty(), "none goes before its artifacts"));
    assert!(stage.spooled().iter().any(|name| name == "screenshot.png"), "{:?}", stage.spooled());
    stage.mesh.set(|s| s.uploads_are_away = false);
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        assert_eq!((s.attempts.len(), s.uploads.len()), (3, 15), "each once");
        assert!(s.attempts.iter().all(|attempt| attempt.artifacts.len() == 5));
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g6_an_abort_ends_a_wait_for_results_and_leaves_no_file() {
    let stage = Stage::start(|mesh| {
        let grant = grant(mesh, |_| {});
        mesh.set(|s| {
            s.uploads_are_away = true;
            s.claimable.push_back(grant);
        });
    })
    .await;
    stage.mesh.until("an upload was tried", |s| s.uploads_refused > 0).await;
    stage.mesh.set(|s| s.abort = true);
    assert_eq!(stage.stop().await, Exit::Clean);
}

#[tokio::test]
async fn g6_what_the_disk_has_no_room_for_is_left_out_and_the_timeline_says_so() {
    let stage = Stage::start(|mesh| {
        let grant = mesh.grant(0, &["fail.big"]);
        mesh.set(|s| s.claimable.push_back(grant));
    })
    .await;
    stage.mesh.until("it is completed", |s| !s.completions.is_empty()).await;
    stage.mesh.set(|s| {
        let kinds: BTreeSet<_> = s.attempts[0].artifacts.iter().map(|one| one.kind()).collect();
        assert!(!kinds.contains(&ArtifactKind::Screenshot), "{kinds:?}");
        let timeline: serde_json::Value =
            serde_json::from_slice(&s.artifacts.last().unwrap().1).unwrap();
        assert!(timeline["screenshot"].is_null(), "{timeline}");
        let problem = timeline["problems"][0].as_str().unwrap();
        assert!(problem.starts_with("no room for"), "{problem}");
    });
    assert_eq!(stage.stop().await, Exit::Clean);
}

//! Import and admission: what is refused, what is fixed, what is repeated.

use crate::support::{Mesh, fresh_id, recording};
use gauntlet_proto::v1::{self, CompletionKind};
use gauntlet_rpc::{Reason, reason_of};
use std::collections::{HashMap, HashSet};
use tokio::task::JoinSet;
use tonic_types::StatusExt as _;

#[tokio::test]
async fn a_broken_recording_stores_nothing_and_names_file_step_and_field() {
    let mut mesh = Mesh::start().await;
    let mut broken = recording("broken");
    broken.content = br#"{"title":"broken","steps":[{"type":"navigate"},{"type":"fly"}]}"#.to_vec();
    let request = v1::ImportTestsRequest {
        recordings: vec![recording("fine"), broken],
        ..Default::default()
    };
    let refused = mesh.scheduler.import_tests(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::RecordingInvalid));
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    assert!(
        violations.iter().any(|v| v.field.contains("broken.json: steps[0].url")),
        "{violations:?}"
    );
    assert!(violations.iter().any(|v| v.field.contains("steps[1].type")), "{violations:?}");
    let listed = mesh.scheduler.list_tests(v1::ListTestsRequest::default()).await.unwrap();
    assert!(listed.into_inner().tests.is_empty(), "all or nothing");
}

#[tokio::test]
async fn importing_the_same_file_again_updates_the_test_it_made() {
    let mut mesh = Mesh::start().await;
    let first = mesh.import(3).await;
    let second = mesh.import(3).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn every_malformed_field_of_a_trigger_is_named_at_once() {
    let mut mesh = Mesh::start().await;
    let request = v1::TriggerRunRequest {
        request_id: "not-a-uuid".into(),
        options: Some(v1::RunOptions {
            shards: -1,
            workers: 11,
            base_url: "ftp://x".into(),
            ..Default::default()
        }),
        trigger: Some(v1::Trigger { callback_url: "nonsense".into(), ..Default::default() }),
        ..Default::default()
    };
    let refused = mesh.scheduler.trigger_run(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::FieldInvalid));
    let mut fields: Vec<String> = refused
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .into_iter()
        .map(|v| v.field)
        .collect();
    fields.sort();
    let expected = [
        "options.base_url",
        "options.shards",
        "options.workers",
        "request_id",
        "trigger.callback_url",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn a_request_id_repeats_its_answer_and_refuses_another_payload() {
    let mut mesh = Mesh::start().await;
    let test_ids = mesh.import(2).await;
    let mut request = v1::TriggerRunRequest {
        request_id: fresh_id(),
        selection: Some(v1::TestSelection { test_ids, ..Default::default() }),
        ..Default::default()
    };
    let first =
        mesh.scheduler.trigger_run(request.clone()).await.unwrap().into_inner().run.unwrap();
    let again =
        mesh.scheduler.trigger_run(request.clone()).await.unwrap().into_inner().run.unwrap();
    assert_eq!(first.run_id, again.run_id);
    request.options = Some(v1::RunOptions { retries: 1, ..Default::default() });
    let refused = mesh.scheduler.trigger_run(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::RequestIdReused));
}

#[tokio::test]
async fn a_request_that_arrives_many_times_at_once_admits_one_run() {
    let mut mesh = Mesh::start().await;
    let test_ids = mesh.import(2).await;
    let request = v1::TriggerRunRequest {
        request_id: fresh_id(),
        selection: Some(v1::TestSelection { test_ids, ..Default::default() }),
        ..Default::default()
    };
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let (mut scheduler, request) = (mesh.scheduler.clone(), request.clone());
        calls.spawn(async move { scheduler.trigger_run(request).await.unwrap().into_inner() });
    }
    let run_id = |reply: v1::TriggerRunResponse| reply.run.unwrap().run_id;
    let run_ids: HashSet<String> = calls.join_all().await.into_iter().map(run_id).collect();
    assert_eq!(run_ids.len(), 1);
    let runs = mesh.scheduler.list_runs(v1::ListRunsRequest::default()).await.unwrap();
    assert_eq!(runs.into_inner().runs.len(), 1, "what was planned for the others is gone");
    let mut executor = mesh.open_session(4).await;
    let grants = executor.claim(5).await;
    assert_eq!((grants.len(), grants[0].fresh), (1, true));
    executor.complete(&grants[0], CompletionKind::HandedBack).await;
    assert!(!executor.claim(5).await[0].fresh, "somebody may have reported");
}

#[tokio::test]
async fn a3_what_the_browser_cannot_make_pages_believe_is_refused_at_the_trigger() {
    let mut mesh = Mesh::start().await;
    mesh.import(1).await;
    let mut trigger = async |browser: v1::Browser, emulation: v1::Emulation| {
        let emulation = Some(emulation);
        let options = v1::RunOptions { browser: browser.into(), emulation, ..Default::default() };
        let request = v1::TriggerRunRequest { options: Some(options), ..Default::default() };
        let refused = mesh.scheduler.trigger_run(request).await.err();
        let details = refused.map(|status| status.get_details_bad_request().unwrap());
        let fields = details.map(|details| {
            details.field_violations.into_iter().map(|v| v.field).collect::<Vec<_>>()
        });
        fields.unwrap_or_default()
    };
    let slow = v1::Network { download_bytes_per_s: 1, upload_bytes_per_s: 1, ..Default::default() };
    let phone = v1::Viewport { width: 390, height: 844, mobile: true, ..Default::default() };
    let all = v1::Emulation {
        viewport: Some(phone),
        locale: "de-DE".into(),
        time_zone: "Asia/Tokyo".into(),
        network: Some(slow),
        ..Default::default()
    };
    assert_eq!(trigger(v1::Browser::Chromium, all.clone()).await, Vec::<String>::new());
    let named = |fields: &[&str]| {
        fields.iter().map(|f| format!("options.emulation.{f}")).collect::<Vec<_>>()
    };
    assert_eq!(trigger(v1::Browser::Firefox, all.clone()).await, named(&["viewport", "network"]));
    let nothing = named(&["viewport", "locale", "time_zone", "network"]);
    assert_eq!(trigger(v1::Browser::Webkit, all).await, nothing);
    let nonsense = v1::Emulation {
        viewport: Some(v1::Viewport { width: 0, height: 1, ..Default::default() }),
        locale: "de_DE!".into(),
        time_zone: "Atlantis".into(),
        geolocation: Some(v1::Geolocation { latitude: 91.0, ..Default::default() }),
        network: Some(v1::Network::default()),
        ..Default::default()
    };
    let wrong = ["viewport.width", "locale", "time_zone", "geolocation.latitude", "network"];
    assert_eq!(trigger(v1::Browser::Chromium, nonsense).await, named(&wrong));
}

#[tokio::test]
async fn g5_isolation_by_clearing_is_refused_where_nobody_can_see_that_all_is_clear() {
    let mut mesh = Mesh::start().await;
    mesh.import(1).await;
    let mut trigger = async |browser: v1::Browser, isolation: i32| {
        let options = v1::RunOptions { browser: browser.into(), isolation, ..Default::default() };
        let request = v1::TriggerRunRequest { options: Some(options), ..Default::default() };
        let refused = mesh.scheduler.trigger_run(request).await.err();
        let details = refused.map(|status| status.get_details_bad_request().unwrap());
        let fields = details.into_iter().flat_map(|details| details.field_violations);
        fields.map(|violation| violation.field).collect::<Vec<_>>()
    };
    let reset = v1::Isolation::Reset.into();
    assert!(trigger(v1::Browser::Chromium, reset).await.is_empty());
    assert!(trigger(v1::Browser::ChromiumFull, reset).await.is_empty());
    assert_eq!(trigger(v1::Browser::Firefox, reset).await, ["options.isolation"]);
    assert_eq!(trigger(v1::Browser::Webkit, reset).await, ["options.isolation"]);
    assert_eq!(trigger(v1::Browser::Chromium, 77).await, ["options.isolation"]);
    assert!(trigger(v1::Browser::Webkit, v1::Isolation::Context.into()).await.is_empty());
}

#[tokio::test]
async fn a5_drafts_run_only_when_asked_for() {
    let mut mesh = Mesh::start().await;
    let request = v1::ImportTestsRequest {
        recordings: vec![recording("draft")],
        draft: true,
        ..Default::default()
    };
    mesh.scheduler.import_tests(request).await.unwrap();
    let refused = mesh.scheduler.trigger_run(v1::TriggerRunRequest::default()).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::TestNotFound));
    let selection = v1::TestSelection { include_drafts: true, ..Default::default() };
    let request = v1::TriggerRunRequest { selection: Some(selection), ..Default::default() };
    mesh.scheduler.trigger_run(request).await.unwrap();
}

#[tokio::test]
async fn a6_the_environment_is_resolved_at_admission_and_the_request_goes_before_it() {
    let mut mesh = Mesh::start().await;
    mesh.import(1).await;
    let variables = HashMap::from([("A".to_owned(), "env".to_owned()), ("B".into(), "env".into())]);
    let environment = v1::Environment {
        name: "staging".into(),
        base_url: "https://staging.example".into(),
        variables,
        ..Default::default()
    };
    let put = v1::PutEnvironmentRequest { environment: Some(environment), ..Default::default() };
    mesh.scheduler.put_environment(put).await.unwrap();
    let options = v1::RunOptions {
        variables: HashMap::from([("A".to_owned(), "run".to_owned())]),
        ..Default::default()
    };
    let request = v1::TriggerRunRequest {
        environment: "staging".into(),
        options: Some(options),
        ..Default::default()
    };
    let run = mesh.scheduler.trigger_run(request).await.unwrap().into_inner().run.unwrap();
    let resolved = run.options.unwrap();
    assert_eq!(resolved.base_url, "https://staging.example");
    assert_eq!(
        resolved.variables["A"], "(hidden)",
        "values may be secrets: only executors get them"
    );
    let mut executor = mesh.open_session(1).await;
    let granted = executor.claim(5).await.remove(0).options.unwrap().variables;
    assert_eq!((granted["A"].as_str(), granted["B"].as_str()), ("run", "env"));
    let missing = v1::TriggerRunRequest { environment: "gone".into(), ..Default::default() };
    let refused = mesh.scheduler.trigger_run(missing).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::EnvironmentNotFound));
}

#[tokio::test]
async fn a4_the_plan_is_a_snapshot_in_the_order_asked_for() {
    let mut mesh = Mesh::start().await;
    let mut test_ids = mesh.import(7).await;
    test_ids.reverse();
    let selection = v1::TestSelection { test_ids: test_ids.clone(), ..Default::default() };
    let options = v1::RunOptions { shards: 3, ..Default::default() };
    let request = v1::TriggerRunRequest {
        selection: Some(selection),
        options: Some(options),
        ..Default::default()
    };
    let run = mesh.scheduler.trigger_run(request).await.unwrap().into_inner().run.unwrap();
    let mut planned = Vec::new();
    let mut request =
        v1::ListPlannedTestsRequest { run_id: run.run_id, page_size: 3, page_token: String::new() };
    loop {
        let page = mesh.scheduler.list_planned_tests(request.clone()).await.unwrap().into_inner();
        planned.extend(page.tests);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(planned.iter().map(|t| t.test_id.clone()).collect::<Vec<_>>(), test_ids);
    assert_eq!(planned.iter().map(|t| t.ordinal).collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
    assert_eq!(planned.iter().map(|t| t.shard_index).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 2, 2]);
}

#[tokio::test]
async fn a9_runs_are_listed_newest_first_in_pages_and_a_foreign_token_is_refused() {
    let mut mesh = Mesh::start().await;
    let mut triggered = Vec::new();
    for _ in 0..5 {
        triggered.push(mesh.trigger(1, v1::RunOptions::default()).await.run_id);
    }
    triggered.reverse();
    let mut listed = Vec::new();
    let mut request = v1::ListRunsRequest { page_size: 2, ..Default::default() };
    loop {
        let page = mesh.scheduler.list_runs(request.clone()).await.unwrap().into_inner();
        listed.extend(page.runs.into_iter().map(|run| run.run_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, triggered);
    request.project = "other".into();
    let refused = mesh.scheduler.list_runs(request).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::PageTokenInvalid));
}

#[tokio::test]
async fn a_run_that_an_executor_waits_for_starts_in_the_transaction_that_admits_it() {
    let mut mesh = Mesh::start().await;
    let mut executor = mesh.open_session(1).await;
    let test_ids = mesh.import(1).await;
    // Whether the poll is parked when the trigger comes is a race that nothing shows: one win is the proof.
    for _ in 0..20 {
        let mut poll = executor.clone();
        let selection =
            Some(v1::TestSelection { test_ids: test_ids.clone(), ..Default::default() });
        let request = v1::TriggerRunRequest { selection, ..Default::default() };
        let (grants, run) = tokio::join!(poll.claim(10), mesh.scheduler.trigger_run(request));
        let run = run.unwrap().into_inner().run.unwrap();
        executor.complete(&grants[0], CompletionKind::HandedBack).await;
        let sql = "SELECT count(DISTINCT xmin::text)::int FROM run_events WHERE run_id = $1 AND revision <= 2";
        let id: uuid::Uuid = run.run_id.parse().unwrap();
        let transactions: i32 = mesh.sql().await.query_one(sql, &[&id]).await.unwrap().get(0);
        let started = run.state() == v1::RunState::Running && run.revision == 2;
        mesh.abort(&run.run_id).await.unwrap();
        if started && transactions == 1 {
            return;
        }
    }
    panic!("no admission granted");
}

/// Defect 8: one queue for everybody lets who came first be served to the end.
#[tokio::test]
async fn lanes_take_turns_however_many_runs_one_of_them_has() {
    let mut mesh = Mesh::start().await;
    let mut trigger = async |project: &str| {
        let request = v1::ImportTestsRequest {
            project: project.to_owned(),
            recordings: vec![recording("test")],
            draft: false,
        };
        mesh.scheduler.import_tests(request).await.unwrap();
        let request = v1::TriggerRunRequest { project: project.to_owned(), ..Default::default() };
        mesh.scheduler.trigger_run(request).await.unwrap().into_inner().run.unwrap().run_id
    };
    for _ in 0..8 {
        trigger("heavy").await;
    }
    let light = trigger("light").await;
    let mut executor = mesh.open_session(1).await;
    let mut granted = Vec::new();
    for _ in 0..3 {
        let grant = executor.claim(5).await.remove(0);
        executor.complete(&grant, CompletionKind::Done).await;
        granted.push(grant.run_id);
    }
    assert!(granted.contains(&light), "{light} is not among the first three: {granted:?}");
}

#[tokio::test]
async fn a_run_says_why_it_waits() {
    let mut mesh = Mesh::start().await;
    let options = v1::RunOptions { browser: v1::Browser::Webkit.into(), ..Default::default() };
    let run = mesh.trigger(1, options).await;
    assert_eq!(run.waiting_reason, "no executor is connected");
    mesh.open_session(1).await;
    assert_eq!(mesh.run(&run.run_id).await.waiting_reason, "no executor offers webkit");
}

//! Environments and their secrets (A6).

use crate::support::{Mesh, fresh_id};
use gauntlet_proto::v1::{self, CompletionKind};
use gauntlet_rpc::{Reason, reason_of};

const SECRET: &str = "correct horse battery staple";

fn staging(secrets: &[(&str, &str)], kept: &[&str]) -> v1::PutEnvironmentRequest {
    let environment = v1::Environment {
        name: "staging".to_owned(),
        base_url: "https://staging.example".to_owned(),
        secret_names: kept.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    v1::PutEnvironmentRequest { environment: Some(environment), secrets: secrets.collect() }
}

impl Mesh {
    async fn put(
        &mut self,
        request: v1::PutEnvironmentRequest,
    ) -> Result<Vec<String>, tonic::Status> {
        let put = self.scheduler.put_environment(request).await?.into_inner();
        Ok(put.environment.unwrap().secret_names)
    }

    async fn run_on(&mut self, environment: &str) -> Result<v1::Run, tonic::Status> {
        let test_ids = self.import(1).await;
        let request = v1::TriggerRunRequest {
            environment: environment.to_owned(),
            selection: Some(v1::TestSelection { test_ids, ..Default::default() }),
            ..Default::default()
        };
        Ok(self.scheduler.trigger_run(request).await?.into_inner().run.unwrap())
    }
}

#[tokio::test]
async fn a6_a_secret_reaches_the_executor_and_is_readable_nowhere_else() {
    let mut mesh = Mesh::start().await;
    assert_eq!(mesh.put(staging(&[("PASSWORD", SECRET)], &[])).await.unwrap(), ["PASSWORD"]);
    let run = mesh.run_on("staging").await.unwrap();
    // What is admitted stays, whatever becomes of the environment (A6).
    mesh.put(staging(&[("PASSWORD", "another")], &[])).await.unwrap();
    let mut executor = mesh.open_session(1).await;
    let grant = executor.claim(5).await.remove(0);
    assert_eq!(grant.secrets["PASSWORD"], SECRET);
    assert!(grant.options.as_ref().unwrap().variables.is_empty());
    let unnamed = executor.renew(&[], &[]).await.unwrap().unnamed_grants;
    assert_eq!(unnamed[0].secrets["PASSWORD"], SECRET, "a claim whose reply was lost");
    executor.complete(&grant, CompletionKind::HandedBack).await;

    let listed = mesh.scheduler.list_environments(v1::ListEnvironmentsRequest::default()).await;
    let listed = listed.unwrap().into_inner();
    let shown = format!(
        "{listed:?} {:?} {:?}",
        mesh.run(&run.run_id).await,
        mesh.events(&run.run_id).await
    );
    assert!(shown.contains("PASSWORD") && !shown.contains(SECRET), "{shown}");
    let sql = mesh.sql().await;
    // Bytes are shown in hex.
    let hex = gauntlet_proto::edge::hex(SECRET.as_bytes());
    for table in ["environments", "runs", "shards", "run_events"] {
        let query = format!(
            "SELECT count(*), count(*) FILTER (WHERE t::text ~ ($1 || '|' || $2)) FROM {table} AS t"
        );
        let row = sql.query_one(&query, &[&SECRET, &hex]).await.unwrap();
        let (all, clear): (i64, i64) = (row.get(0), row.get(1));
        assert!(all > 0 && clear == 0, "{table}: {clear} of {all}");
    }
}

#[tokio::test]
async fn secrets_that_are_not_named_again_are_forgotten_and_environments_are_listed_by_pages() {
    let mut mesh = Mesh::start().await;
    mesh.put(staging(&[("A", "1"), ("B", "2")], &[])).await.unwrap();
    assert_eq!(mesh.put(staging(&[("C", "3")], &["A"])).await.unwrap(), ["A", "C"]);
    let refused = mesh.put(staging(&[], &["B"])).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::FieldInvalid));
    let run = mesh.run_on("staging").await.unwrap();
    let grant = mesh.open_session(1).await.claim(5).await.remove(0);
    let mut secrets: Vec<_> = grant.secrets.into_iter().collect();
    secrets.sort();
    assert_eq!(grant.run_id, run.run_id);
    assert_eq!(secrets, [("A".to_owned(), "1".to_owned()), ("C".to_owned(), "3".to_owned())]);

    for name in ["production", "local"] {
        let environment = v1::Environment { name: name.to_owned(), ..Default::default() };
        let put =
            v1::PutEnvironmentRequest { environment: Some(environment), ..Default::default() };
        mesh.put(put).await.unwrap();
    }
    let mut request = v1::ListEnvironmentsRequest { page_size: 2, ..Default::default() };
    let mut names = Vec::new();
    loop {
        let page = mesh.scheduler.list_environments(request.clone()).await.unwrap().into_inner();
        names.extend(page.environments.into_iter().map(|environment| environment.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["local", "production", "staging"]);
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_refused_at_admission_and_not_at_the_executor() {
    let mut mesh = Mesh::start().await;
    mesh.put(staging(&[("PASSWORD", SECRET)], &[])).await.unwrap();
    let sql = mesh.sql().await;
    // Moved from another environment.
    let copied = "INSERT INTO environments (project, name, base_url, variables, secrets)
                  SELECT project, 'production', base_url, variables,
                         overlay(secrets PLACING $1 FROM octet_length(secrets)) FROM environments";
    sql.execute(copied, &[&b"x".as_slice()]).await.unwrap();
    let refused = mesh.run_on("production").await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::SecretsUnavailable), "{refused}");
    assert!(!refused.message().contains(SECRET));
    let unknown = mesh.run_on(&fresh_id()).await.unwrap_err();
    assert_eq!(reason_of(&unknown), Some(Reason::EnvironmentNotFound));
}

fn guarded(allow: &[&str], deny: &[&str]) -> v1::PutEnvironmentRequest {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let environment = v1::Environment {
        name: "guarded".to_owned(),
        egress: Some(v1::Egress { allow: texts(allow), deny: texts(deny) }),
        ..Default::default()
    };
    v1::PutEnvironmentRequest { environment: Some(environment), ..Default::default() }
}

#[tokio::test]
async fn g9_only_executors_that_keep_an_environments_egress_policy_are_given_it() {
    let mut mesh = Mesh::start().await;
    let put = guarded(&["*.shop.example", "shop.example:443"], &["10.0.0.0/8"]);
    let egress = put.environment.clone().unwrap().egress;
    mesh.put(put).await.unwrap();
    let listed = mesh.scheduler.list_environments(v1::ListEnvironmentsRequest::default()).await;
    assert_eq!(listed.unwrap().into_inner().environments[0].egress, egress);
    let run = mesh.run_on("guarded").await.unwrap();
    assert_eq!(run.options.unwrap().egress, egress);
    // What is admitted stays, whatever becomes of the environment (A6).
    mesh.put(guarded(&[], &[])).await.unwrap();
    let mut without = mesh.open_session_that(1, false).await;
    let waiting = mesh.run(&run.run_id).await.waiting_reason;
    assert_eq!(waiting, "no executor offers chromium+egress");
    assert!(without.claim(0).await.is_empty());
    let mut able = mesh.open_session_that(1, true).await;
    let grant = able.claim(5).await.remove(0);
    assert_eq!((grant.run_id, grant.options.unwrap().egress), (run.run_id, egress));
    // Without a policy, anybody may.
    let free = mesh.run_on("guarded").await.unwrap();
    let grant = without.claim(5).await.remove(0);
    assert_eq!((grant.run_id, grant.options.unwrap().egress), (free.run_id, None));
}

#[tokio::test]
async fn g9_a_policy_that_cannot_be_kept_is_refused_by_its_field() {
    let mut mesh = Mesh::start().await;
    let many = vec!["a.example"; 257];
    for (put, field) in [
        (guarded(&["a.example", "http://b.example"], &[]), "environment.egress.allow[1]"),
        (guarded(&[], &["10.0.0.0/33"]), "environment.egress.deny[0]"),
        (guarded(&[], &["*"]), "environment.egress.deny[0]"),
        (guarded(&many, &[]), "environment.egress.allow"),
    ] {
        let refused = mesh.put(put).await.unwrap_err();
        assert_eq!(reason_of(&refused), Some(Reason::FieldInvalid));
        assert!(refused.message().contains(field), "{refused}");
    }
    let egress = Some(v1::Egress { allow: vec!["a.example".to_owned()], deny: Vec::new() });
    let options = Some(v1::RunOptions { egress, ..Default::default() });
    let request = v1::TriggerRunRequest { options, ..Default::default() };
    let refused = mesh.scheduler.trigger_run(request).await.unwrap_err();
    assert!(refused.message().contains("options.egress"), "{refused}");
}

#[tokio::test]
async fn g9_what_sets_an_executor_apart_is_listed() {
    let mut mesh = Mesh::start().await;
    mesh.open_session(1).await;
    let listed = mesh.scheduler.list_executors(v1::ListExecutorsRequest::default()).await;
    assert_eq!(listed.unwrap().into_inner().executors[0].attributes, ["sandbox-off"]);
}

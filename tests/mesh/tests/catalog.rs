//! What an import leaves in the catalog.

use crate::support::Mesh;
use gauntlet_proto::v1;
use tonic::Code;

const SIDE: &str = r#"{"id":"p","version":"3.0","name":"p","url":"http://shop.test","urls":[],"plugins":[],
    "suites":[{"id":"s","name":"Shop","persistSession":false,"parallel":true,"tests":["1","2"]}],
    "tests":[
        {"id":"1","name":"sign in","commands":[{"command":"open","target":"/","value":""},{"command":"run","target":"search","value":""}]},
        {"id":"2","name":"search","commands":[{"command":"click","target":"id=go","value":""}]}]}"#;

fn import(content: &str) -> v1::ImportTestsRequest {
    let file = "shop.side".to_owned();
    let content = content.as_bytes().to_vec();
    v1::ImportTestsRequest {
        project: "shop".to_owned(),
        recordings: vec![v1::Recording { file, content, tags: vec!["side".to_owned()] }],
        draft: false,
    }
}

#[tokio::test]
async fn g2_one_file_gives_many_tests_and_each_is_stored_as_a_flow_of_its_own() {
    let mut mesh = Mesh::start().await;
    let tests = mesh.scheduler.import_tests(import(SIDE)).await.unwrap().into_inner().tests;
    let named = |tests: &[v1::Test]| -> Vec<_> {
        tests.iter().map(|test| (test.file.clone(), test.name.clone(), test.step_count)).collect()
    };
    let file = || "shop.side".to_owned();
    let wanted =
        [(file(), "Shop › sign in".to_owned(), 2), (file(), "Shop › search".to_owned(), 1)];
    assert_eq!(named(&tests), wanted);
    let request = v1::ListTestsRequest { project: "shop".to_owned(), ..Default::default() };
    let listed = mesh.scheduler.list_tests(request).await.unwrap().into_inner().tests;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|test| test.file == "shop.side" && test.tags == ["side"]));
    let revision_hash = tests[0].revision_hash.clone();
    let request = v1::GetTestRevisionRequest { revision_hash };
    let stored = mesh.scheduler.get_test_revision(request).await.unwrap().into_inner();
    let flow = String::from_utf8(stored.content).unwrap();
    assert!(flow.starts_with(r#"{"baseUrl":"http://shop.test","gauntlet":1,"#), "{flow}");
    assert!(flow.contains("sign in › 2 run › search › 1 click"), "{flow}");
    let again = mesh.scheduler.import_tests(import(SIDE)).await.unwrap().into_inner().tests;
    let keys = |tests: &[v1::Test]| -> Vec<_> {
        tests.iter().map(|test| (test.test_id.clone(), test.revision_hash.clone())).collect()
    };
    assert_eq!(keys(&again), keys(&tests));
}

#[tokio::test]
async fn g2_a_file_with_one_bad_test_stores_none_and_names_test_command_and_field() {
    let mut mesh = Mesh::start().await;
    let bad = SIDE.replace("id=go", "ui=go");
    let refused = mesh.scheduler.import_tests(import(&bad)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let told = format!("{:?}", tonic_types::StatusExt::get_error_details(&refused));
    assert!(told.contains("tests[1].commands[0].target"), "{told}");
    let request = v1::ListTestsRequest { project: "shop".to_owned(), ..Default::default() };
    assert!(mesh.scheduler.list_tests(request).await.unwrap().into_inner().tests.is_empty());
}

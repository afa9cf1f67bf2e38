//! What people see of deliveries.

use super::World;
use gauntlet_core::RunId;
use gauntlet_pg::prepare_all;
use gauntlet_proto::v1;
use gauntlet_rpc::{Reason, reason_of};
use gauntlet_runtime::ids;

#[tokio::test]
async fn every_statement_fits_the_schema_and_finds_its_rows_by_a_key() {
    let world = World::start().await;
    let all = crate::store::sql::ALL;
    let prepared = prepare_all(&world.pool, all).await.unwrap();
    assert_eq!(prepared.len(), all.len());
    let small = ["feed_cursors"];
    let large = prepared.iter().flat_map(|one| one.large_walks(&small)).collect::<Vec<_>>();
    assert!(large.is_empty(), "{large:#?}");
}

#[tokio::test]
async fn deliveries_are_listed_oldest_first_page_by_page_and_without_secrets() {
    let mut world = World::start().await;
    let run_id = RunId(ids::v7());
    let many = "INSERT INTO deliveries (delivery_id, run_id, generation, url, body, next_attempt_at, created_at) \
                SELECT 'msg_' || n, $1, n, 'https://token@example.com/hook?key=secret', '{}', \
                       now() + interval '1 day', now() + make_interval(secs => n / 2) FROM generate_series(1, 1002) AS n";
    world.pool.read().query(many, &[&run_id.0]).await.unwrap();
    let (_, mut client) = world.notifier().await;
    let mut request = v1::ListDeliveriesRequest {
        run_id: run_id.to_string(),
        page_size: 9_999,
        ..Default::default()
    };
    let (mut listed, mut pages) = (Vec::new(), Vec::new());
    loop {
        let page = client.list_deliveries(request.clone()).await.unwrap().into_inner();
        pages.push(page.deliveries.len());
        listed.extend(page.deliveries);
        request.page_token = page.next_page_token;
        request.page_size = 1;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [1_000, 1, 1], "at most a thousand at once");
    let generations: Vec<i32> = listed.iter().map(|delivery| delivery.generation).collect();
    assert_eq!(generations, (1..=1_002).collect::<Vec<_>>());
    assert_eq!(listed[0].url, "https://example.com/hook");
    assert_eq!(listed[0].state(), v1::DeliveryState::Pending);
    assert!(listed[0].next_attempt_time.is_some());
    for malformed in ["x".to_owned(), format!("{run_id}.x.msg_1"), format!("{}.1.msg_1", ids::v7())]
    {
        let request = v1::ListDeliveriesRequest { page_token: malformed, ..request.clone() };
        let refused = client.list_deliveries(request).await.unwrap_err();
        assert_eq!(reason_of(&refused), Some(Reason::PageTokenInvalid));
    }
    let fewer = v1::ListDeliveriesRequest { page_size: -1, ..request };
    let refused = client.list_deliveries(fewer).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::FieldInvalid));
}

//! What people see of deliveries.

use super::World;
use gauntlet_core::RunId;
use gauntlet_pg::prepare_all;
use gauntlet_proto::v1;
use gauntlet_runtime::ids;

#[tokio::test]
async fn every_statement_fits_the_schema() {
    let world = World::start().await;
    let all = crate::store::sql::ALL;
    assert_eq!(prepare_all(&world.pool, all).await.unwrap().len(), all.len());
}

#[tokio::test]
async fn deliveries_are_listed_oldest_first_up_to_a_thousand_and_without_secrets() {
    let mut world = World::start().await;
    let run_id = RunId(ids::v7());
    let many = "INSERT INTO deliveries (delivery_id, run_id, generation, url, body, next_attempt_at, created_at) \
                SELECT 'msg_' || n, $1, n, 'https://token@example.com/hook?key=secret', '{}', \
                       now() + interval '1 day', now() + make_interval(secs => n) FROM generate_series(1, 1001) AS n";
    world.pool.read().query(many, &[&run_id.0]).await.unwrap();
    let (_, mut client) = world.notifier().await;
    let request = v1::ListDeliveriesRequest { run_id: run_id.to_string() };
    let listed = client.list_deliveries(request).await.unwrap().into_inner().deliveries;
    let generations: Vec<i32> = listed.iter().map(|delivery| delivery.generation).collect();
    assert_eq!(generations, (1..=1_000).collect::<Vec<_>>());
    assert_eq!(listed[0].url, "https://example.com/hook");
    assert_eq!(listed[0].state(), v1::DeliveryState::Pending);
    assert!(listed[0].next_attempt_time.is_some());
}

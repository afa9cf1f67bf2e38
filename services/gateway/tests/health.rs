//! Claims about health, reflection and the overview of the mesh.

use crate::support::{Gateway, PATIENCE, SERVICES, ScriptedPeer, config, nobody};
use gauntlet_proto::v1::{self, gateway_service_client::GatewayServiceClient};
use gauntlet_rpc::Peer;
use gauntlet_testkit::wait_until;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1 as reflection;

async fn until(peer: &Peer, service: &str, wanted: ServingStatus) {
    let mut client = HealthClient::new(peer.clone());
    wait_until(PATIENCE, &format!("{service:?} is {wanted:?}"), async || {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = client.check(request).await.map(|reply| reply.into_inner().status());
        if matches!(answer, Ok(status) if status == wanted) { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn health_follows_each_peer_away_and_back_and_the_gateway_itself_keeps_serving() {
    let peer = ScriptedPeer::start();
    let addr = peer.endpoint.trim_start_matches("http://").parse().unwrap();
    let mut config = config(&peer.endpoint);
    config.notifier = nobody();
    let gateway = Gateway::with(config).await;
    let client = gateway.client();
    let [scheduler, results, notifier] = SERVICES;
    for service in ["", "gauntlet.v1.GatewayService", scheduler, results] {
        until(&client, service, ServingStatus::Serving).await;
    }
    until(&client, notifier, ServingStatus::NotServing).await;
    let mesh = GatewayServiceClient::new(client.clone()).get_mesh(v1::GetMeshRequest {}).await;
    let serving: Vec<_> = mesh.unwrap().into_inner().services.iter().map(|s| s.serving).collect();
    assert_eq!(serving, [true, true, false]);
    drop(peer);
    until(&client, scheduler, ServingStatus::NotServing).await;
    until(&client, "", ServingStatus::Serving).await;
    let _peer = ScriptedPeer::on(addr);
    until(&client, scheduler, ServingStatus::Serving).await;
    let request = HealthCheckRequest { service: "gauntlet.v1.LeaseService".to_owned() };
    let status = HealthClient::new(client).check(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_what_the_gateway_serves_and_nothing_else() {
    let gateway = Gateway::before(&nobody()).await;
    let mut client =
        reflection::server_reflection_client::ServerReflectionClient::new(gateway.client());
    let ask = reflection::server_reflection_request::MessageRequest::ListServices(String::new());
    let request =
        reflection::ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let mut answers =
        client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let reflection::server_reflection_response::MessageResponse::ListServicesResponse(list) =
        answer
    else {
        panic!("{answer:?}")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "gauntlet.v1.AuditService",
            "gauntlet.v1.GatewayService",
            "gauntlet.v1.NotifierService",
            "gauntlet.v1.ResultsService",
            "gauntlet.v1.SchedulerService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
        ]
    );
}

//! A start while Postgres is away.

use crate::support::Mesh;
use gauntlet_bus::RedisConfig;
use gauntlet_pg::PgConfig;
use gauntlet_proto::v1::{self, scheduler_service_client::SchedulerServiceClient};
use gauntlet_rpc::{Peer, Reason, reason_of};
use gauntlet_runtime::Lifecycle;
use gauntlet_testkit::{free_port, wait_until};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const WITHIN: Duration = Duration::from_secs(20);

/// Carries connections to Postgres on, until the test ends.
async fn forward(port: u16, to: (String, u16), lifecycle: &Lifecycle) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let tasks = lifecycle.clone();
    lifecycle.spawn("forward", async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let to = to.clone();
            tasks.spawn("connection", async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
}

#[tokio::test]
async fn a_service_that_is_started_before_postgres_waits_says_so_and_serves_when_it_is_there() {
    let mesh = Mesh::start().await;
    let (lifecycle, port, listen) = (Lifecycle::new(), free_port().unwrap(), free_port().unwrap());
    let mut url = url::Url::parse(mesh.database.url()).unwrap();
    let postgres = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(port)).unwrap();
    let config = |listen: u16, start_patience| {
        let mut pg = PgConfig::from_url(url.as_str()).unwrap();
        pg.start_patience = start_patience;
        let listen = ([127, 0, 0, 1], listen).into();
        gauntlet_scheduler::Config { listen, pg, redis: RedisConfig::off(), secrets_key: None }
    };
    let impatient = config(0, Duration::ZERO);
    assert!(gauntlet_scheduler::App::build(&impatient, &lifecycle).await.is_err(), "not for ever");

    let patient = config(listen, WITHIN);
    let building = gauntlet_scheduler::App::build(&patient, &lifecycle);
    let peer = Peer::connect_lazy(&format!("http://127.0.0.1:{listen}")).unwrap();
    let health = || async {
        let check = HealthCheckRequest { service: "gauntlet.v1.SchedulerService".to_owned() };
        let answer = HealthClient::new(peer.clone()).check(check).await;
        answer.map(|answer| answer.into_inner().status())
    };
    let until = async |wanted| {
        wait_until(WITHIN, "its health", async || match health().await {
            Ok(status) if status == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    };
    let waiting = async {
        until(ServingStatus::NotServing).await;
        let call = SchedulerServiceClient::new(peer.clone());
        let refused = call.clone().list_runs(v1::ListRunsRequest::default()).await.unwrap_err();
        assert_eq!(reason_of(&refused), Some(Reason::StoreUnavailable), "{refused}");
        forward(port, postgres, &lifecycle).await;
    };
    let (app, ()) = tokio::join!(building, waiting);
    lifecycle.spawn("scheduler", app.unwrap().run());
    until(ServingStatus::Serving).await;
    lifecycle.kill();
}

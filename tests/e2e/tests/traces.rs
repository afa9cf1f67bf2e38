//! One run seen from outside: which calls its trace connects, and what the logs say.

use crate::support::{Mesh, PATIENCE, slow, write_recordings};
use gauntlet_proto::v1::{self, scheduler_service_client::SchedulerServiceClient};
use gauntlet_rpc::Peer;
use gauntlet_testkit::{FakeWebhookReceiver, GauntletProcess, wait_until};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::sync::{Arc, Mutex};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER_SPAN_ID: &str = "b7ad6b7169203331";

/// A collector on a free port that keeps every span with the name of its service.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|r| r.attributes).unwrap_or_default();
            let service = text(&attributes, "service.name");
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        #[expect(clippy::disallowed_methods, reason = "ends with the runtime of this test")]
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, endpoint)
    }

    /// Waits for a span of `service` that fits and returns it.
    async fn span(&self, service: &str, name: &str, fits: impl Fn(&Span) -> bool) -> Span {
        wait_until(PATIENCE, &format!("a span {name} of {service}"), async || {
            let spans = self.0.lock().unwrap();
            let found =
                spans.iter().find(|(of, span)| of == service && span.name == name && fits(span));
            let seen =
                || spans.iter().map(|(of, span)| format!("{of} {}", span.name)).collect::<Vec<_>>();
            found.map(|(_, span)| span.clone()).ok_or_else(seen)
        })
        .await
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn trigger(mesh: &Mesh, callback_url: &str) -> String {
    let folder = mesh.folder.path().join("recordings");
    write_recordings(&folder, &slow(1, &mesh.site_url));
    let mut import = mesh.cli(&["import", &folder.display().to_string()]);
    assert!(import.wait(PATIENCE).await.success(), "{}", import.output());
    let mut request = Request::new(v1::TriggerRunRequest {
        trigger: Some(v1::Trigger { callback_url: callback_url.to_owned(), ..Default::default() }),
        ..Default::default()
    });
    let parent = format!("00-{TRACE_ID}-{CALLER_SPAN_ID}-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    let mut client = SchedulerServiceClient::new(Peer::connect_lazy(&mesh.gateway).unwrap());
    client.trigger_run(request).await.unwrap().into_inner().run.unwrap().run_id
}

#[tokio::test]
async fn i7_a_trace_goes_from_the_client_through_the_mesh_and_later_work_is_linked_to_it() {
    let (collector, endpoint) = Collector::start().await;
    let mesh = Mesh::start_with(&["--otlp-endpoint", &endpoint]).await;
    let _executor = mesh.executor("one", None);
    let receiver = FakeWebhookReceiver::start().await;
    let run_id = trigger(&mesh, &receiver.url()).await;
    let of_run = |span: &Span| hex(&span.trace_id) == TRACE_ID;
    let name = "rpc.SchedulerService.TriggerRun";
    let entered = collector.span("gauntlet-gateway", name, of_run).await;
    assert_eq!(hex(&entered.parent_span_id), CALLER_SPAN_ID);
    let served = collector.span("gauntlet-scheduler", name, of_run).await;
    assert_eq!(served.parent_span_id, entered.span_id);
    let shard = collector
        .span("gauntlet-executor", "shard", |span| text(&span.attributes, "run.id") == run_id)
        .await;
    assert_eq!(text(&shard.attributes, "shard.index"), "0");
    let of_shard = |span: &Span| span.trace_id == shard.trace_id;
    collector.span("gauntlet-results", "rpc.IngestService.ReportAttempts", of_shard).await;
    collector.span("gauntlet-scheduler", "rpc.LeaseService.CompleteShards", of_shard).await;

    // What is done later is a trace of its own, linked to the one that asked for it.
    let names_run = |span: &Span| text(&span.attributes, "run.id") == run_id;
    let finalize = collector.span("gauntlet-results", "finalize", names_run).await;
    let deliver = collector.span("gauntlet-notifier", "deliver", names_run).await;
    for span in [&shard, &finalize, &deliver] {
        assert_eq!(span.links.len(), 1, "{}", span.name);
        let link = &span.links[0];
        assert_eq!((hex(&link.trace_id).as_str(), &link.span_id), (TRACE_ID, &served.span_id));
    }
}

#[tokio::test]
async fn i7_the_calls_of_one_command_are_one_trace() {
    let (collector, endpoint) = Collector::start().await;
    let mesh = Mesh::start_with(&["--otlp-endpoint", &endpoint]).await;
    let folder = mesh.folder.path().join("recordings");
    write_recordings(&folder, &slow(1, &mesh.site_url));
    let folder = folder.display().to_string();
    let mut run = mesh.cli(&["run", &folder, "--detach", "--otlp-endpoint", &endpoint]);
    assert!(run.wait(PATIENCE).await.success(), "{}", run.output());
    let name = "rpc.SchedulerService.TriggerRun";
    let triggered = collector.span("gauntlet-scheduler", name, |_| true).await;
    let same = |span: &Span| span.trace_id == triggered.trace_id;
    let command = collector.span("gauntlet", "command", same).await;
    let entered = collector.span("gauntlet-gateway", name, same).await;
    assert_eq!(entered.parent_span_id, command.span_id);
    collector.span("gauntlet-scheduler", "rpc.SchedulerService.ImportTests", same).await;
}

/// Waits for a line of JSON in the log whose message is `message` and returns it.
async fn line(process: &GauntletProcess, message: &str) -> serde_json::Value {
    wait_until(PATIENCE, &format!("a line {message:?} in the log"), async || {
        let output = process.output();
        let lines = output.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut lines = lines.filter(|line: &serde_json::Value| line["message"] == message);
        lines.next().ok_or(output)
    })
    .await
}

#[tokio::test]
async fn i7_json_logs_name_the_run_and_the_shard() {
    let mesh = Mesh::start_with(&["--log-format", "json"]).await;
    let executor = mesh.executor("one", None);
    let run_id = trigger(&mesh, "").await;
    let ended = line(&executor, "shard ended").await;
    assert_eq!(
        (ended["span"]["run.id"].as_str(), ended["span"]["shard.index"].as_i64()),
        (Some(run_id.as_str()), Some(0)),
        "{ended}"
    );
    let finalized = line(mesh.process("results"), "run finalized").await;
    assert_eq!(finalized["run.id"], run_id, "{finalized}");
}

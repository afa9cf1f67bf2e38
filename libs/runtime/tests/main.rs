//! Claims about signals and about telemetry that leaves the process.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the helpers beside them")]

use gauntlet_runtime::{
    Exit, Lifecycle,
    telemetry::{self, TelemetryArgs},
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    metrics_service_server::{MetricsService, MetricsServiceServer},
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use std::{future::pending, time::Duration};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const PATIENCE: Duration = Duration::from_secs(10);

fn raise_term() {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
        .unwrap();
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_kills() {
    let lifecycle = Lifecycle::with_signals().unwrap();
    lifecycle.spawn("deaf", pending::<()>());
    raise_term();
    timeout(PATIENCE, lifecycle.draining()).await.unwrap();
    let stopping = lifecycle.clone();
    let stop = async move { stopping.run_to_end(Duration::from_secs(600)).await };
    let (exit, ()) = tokio::join!(timeout(PATIENCE, stop), async { raise_term() });
    assert_eq!(exit.unwrap(), Exit::Killed);
}

/// A collector that passes on the names of the spans and metrics it gets.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<String>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for span in request
            .into_inner()
            .resource_spans
            .into_iter()
            .flat_map(|r| r.scope_spans)
            .flat_map(|s| s.spans)
        {
            self.0.send(span.name).unwrap();
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let scopes = resources.flat_map(|r| r.scope_metrics);
        for metric in scopes.flat_map(|s| s.metrics) {
            self.0.send(metric.name).unwrap();
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_sends_spans_and_metrics_under_their_own_names_whatever_the_log_filter() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (send, mut names) = mpsc::unbounded_channel();
    let lifecycle = Lifecycle::new();
    let collector = Collector(send);
    lifecycle.spawn(
        "collector",
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let args = TelemetryArgs {
        log: "off".to_owned(),
        otlp_endpoint: Some(endpoint),
        ..TelemetryArgs::default()
    };
    let guard = telemetry::init(&args, "runtime-tests").unwrap();
    tracing::info_span!(target: "gauntlet_tests", "plain").in_scope(|| {});
    tracing::debug_span!(target: "gauntlet_tests", "pg.query", otel.name = %format_args!("pg.{}", "runs.lock")).in_scope(|| {});
    tracing::info_span!(target: "h2", "foreign").in_scope(|| {});
    opentelemetry::global::meter("tests").u64_counter("counted").build().add(1, &[]);
    guard.flush().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(timeout(PATIENCE, names.recv()).await.unwrap().unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["counted", "pg.runs.lock", "plain"]);
    assert!(names.try_recv().is_err());
}

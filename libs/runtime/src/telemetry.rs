//! Logs on stderr, traces and metrics by OTLP.
//!
//! Owns the global subscriber, the global W3C propagator, the global meter and the exporters. It does not name spans; `libs/rpc`
//! and `libs/pg` do; whoever counts takes `opentelemetry::global::meter`, which counts nothing without an endpoint. A crash
//! loses what was not exported yet; logs are written as they happen.

use clap::{Args, ValueEnum};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use std::{
    io::{IsTerminal as _, stderr},
    sync::OnceLock,
    time::Duration,
};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt as _, registry::Registry,
};

/// How long the last flush may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

static INSTALLED: OnceLock<TelemetryGuard> = OnceLock::new();

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Settings of logs and traces; flatten it into a program's arguments.
#[derive(Args, Clone, Debug)]
pub struct TelemetryArgs {
    /// What to log, in `tracing` filter syntax, such as `info,gauntlet_scheduler=debug`.
    #[arg(long = "log", env = "GAUNTLET_LOG", default_value = "info", global = true)]
    pub log: String,
    /// How to print log lines.
    #[arg(
        long = "log-format",
        env = "GAUNTLET_LOG_FORMAT",
        value_enum,
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    /// Where to send traces and metrics by OTLP over gRPC, such as `http://127.0.0.1:4317`; none are sent when not set.
    #[arg(long = "otlp-endpoint", env = "GAUNTLET_OTLP_ENDPOINT", global = true)]
    pub otlp_endpoint: Option<String>,
}

impl Default for TelemetryArgs {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_format: LogFormat::Text, otlp_endpoint: None }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is malformed.
    #[error("log filter {filter:?} is malformed")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// An exporter could not be made.
    #[error("exporter to {endpoint} could not be made")]
    Exporter {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Another subscriber was installed before.
    #[error("another tracing subscriber is installed already")]
    Subscriber {
        /// As reported by tracing.
        source: tracing::subscriber::SetGlobalDefaultError,
    },
}

/// Proof that telemetry is set up, and the way to flush it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TelemetryGuard {
    exporters: Option<Exporters>,
}

#[derive(Clone, Debug)]
struct Exporters {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

impl TelemetryGuard {
    /// Sends the spans and metrics that are still held, for at most five seconds.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the flush running on its own thread.
    pub async fn flush(&self) {
        let Some(Exporters { traces, metrics }) = self.exporters.clone() else { return };
        // The exporter blocks, so a worker thread of the runtime must not do it.
        let flushed =
            tokio::task::spawn_blocking(move || traces.force_flush().and(metrics.force_flush()));
        match tokio::time::timeout(FLUSH_TIMEOUT, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "spans and metrics could not be flushed"),
            Ok(Err(error)) => tracing::warn!(%error, "flush of spans and metrics failed"),
            Err(_) => tracing::warn!("flush of spans and metrics took too long"),
        }
    }
}

/// Installs the subscriber, the propagator and, with an endpoint, the exporter. Needs a running tokio runtime.
///
/// A second call in the same process changes nothing and returns the first guard.
///
/// # Errors
/// When the filter or the endpoint is malformed, or a foreign subscriber is installed.
pub fn init(
    args: &TelemetryArgs,
    service_name: &'static str,
) -> Result<TelemetryGuard, TelemetryError> {
    if let Some(guard) = INSTALLED.get() {
        return Ok(guard.clone());
    }
    let exporters =
        args.otlp_endpoint.as_deref().map(|to| exporters(to, service_name)).transpose()?;
    let mut layers = vec![log_layer(args)?];
    if let Some(Exporters { traces, metrics }) = &exporters {
        layers.push(trace_layer(traces));
        opentelemetry::global::set_meter_provider(metrics.clone());
    }
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layers))
        .map_err(|source| TelemetryError::Subscriber { source })?;
    Ok(INSTALLED.get_or_init(|| TelemetryGuard { exporters }).clone())
}

/// Returns whether [`init`] succeeded in this process.
pub(crate) fn is_installed() -> bool {
    INSTALLED.get().is_some()
}

/// Flushes what [`init`] installed, if anything.
pub(crate) async fn flush_installed() {
    if let Some(guard) = INSTALLED.get() {
        guard.flush().await;
    }
}

/// The filter sits on this layer and not on the registry: a quiet log must not stop spans from being exported.
fn log_layer(args: &TelemetryArgs) -> Result<BoxedLayer, TelemetryError> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|source| TelemetryError::Filter { filter: args.log.clone(), source })?;
    let layer = fmt::layer().with_writer(stderr);
    Ok(match args.log_format {
        LogFormat::Text => layer.with_ansi(stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    })
}

/// Only our own spans are exported; those of the exporter's own HTTP client would feed themselves.
fn trace_layer(provider: &SdkTracerProvider) -> BoxedLayer {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("gauntlet"))
        .with_filter(filter_fn(|metadata| metadata.target().starts_with("gauntlet")))
        .boxed()
}

fn exporters(endpoint: &str, service_name: &'static str) -> Result<Exporters, TelemetryError> {
    let failed = |source| TelemetryError::Exporter { endpoint: endpoint.to_owned(), source };
    let resource = Resource::builder().with_service_name(service_name).build();
    let spans = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(FLUSH_TIMEOUT)
        .build()
        .map_err(failed)?;
    let metrics = opentelemetry_otlp::MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(FLUSH_TIMEOUT)
        .build()
        .map_err(failed)?;
    Ok(Exporters {
        traces: SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(spans)
            .build(),
        metrics: SdkMeterProvider::builder()
            .with_resource(resource)
            .with_periodic_exporter(metrics)
            .build(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_init_returns_the_first_guard() {
        let bad = TelemetryArgs { log: "a=b=c".to_owned(), ..TelemetryArgs::default() };
        assert!(matches!(init(&bad, "test"), Err(TelemetryError::Filter { .. })));
        init(&TelemetryArgs::default(), "test").unwrap();
        init(&bad, "test").unwrap().flush().await;
    }
}

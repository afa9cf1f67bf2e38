//! What surrounds every call that is served: span with the caller's trace as parent, request id, deadline, panics.
//!
//! Owns the tower layer of the server. It covers a handler until it answers; the messages of a stream flow afterwards,
//! outside the span and the deadline. A panic in a handler becomes INTERNAL and the process lives on.

use crate::{
    UNARY_DEADLINE,
    context::{self, Call, REQUEST_ID_KEY},
    methods, status, timeout,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use gauntlet_runtime::ids;
use http::{HeaderMap, Request, Response};
use opentelemetry::propagation::Extractor;
use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const REQUEST_ID_LENGTH_MAX: usize = 128;
/// tonic answers CANCELLED when `grpc-timeout` has passed; answering a little earlier makes it DEADLINE_EXCEEDED.
const ANSWER_MARGIN: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
pub(crate) struct CallLayer;

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallService { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CallService<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call { request_id: request_id(request.headers()), deadline: deadline(&request) };
        let span = span(&request, &call.request_id);
        let handler = self.inner.call(request);
        let deadline = call.deadline;
        let work = async move {
            let response = bounded(deadline, AssertUnwindSafe(handler).catch_unwind()).await;
            record(&response);
            Ok(response)
        };
        Box::pin(context::within(call, work).instrument(span))
    }
}

/// Waits for the handler, its deadline or its panic.
async fn bounded<F, P>(deadline: Option<Instant>, handler: F) -> Response<Body>
where
    F: Future<Output = Result<Result<Response<Body>, Infallible>, P>>,
{
    let ended = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, handler).await,
        None => Ok(handler.await),
    };
    match ended {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_panic)) => {
            tracing::error!(request.id = context::request_id(), "handler panicked");
            status::internal().into_http()
        }
        Err(_) => status::deadline_exceeded().into_http(),
    }
}

fn deadline(request: &Request<Body>) -> Option<Instant> {
    let given = timeout::read(request.headers());
    let default = methods::is_unary(request.uri().path()).then_some(UNARY_DEADLINE);
    let timeout = given.or(default)?;
    Some(Instant::now() + timeout.saturating_sub(ANSWER_MARGIN.min(timeout / 10)))
}

fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID_KEY).and_then(|value| value.to_str().ok());
    match given {
        Some(text) if !text.is_empty() && text.len() <= REQUEST_ID_LENGTH_MAX => text.to_owned(),
        _ => ids::v4().to_string(),
    }
}

/// The span is made first and gets its parent before anything runs in it; a parent set later would not link.
fn span(request: &Request<Body>, request_id: &str) -> Span {
    let mut parts = request.uri().path().trim_start_matches('/').split('/');
    let (service, method) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let short = service.rsplit('.').next().unwrap_or_default();
    let span = tracing::info_span!(
        "rpc",
        otel.name = %format_args!("rpc.{short}.{method}"),
        otel.kind = "server",
        rpc.service = service,
        rpc.method = method,
        rpc.code = Empty,
        request.id = request_id,
    );
    let parent =
        opentelemetry::global::get_text_map_propagator(|p| p.extract(&Headers(request.headers())));
    // Fails only when no exporter is installed, and then there is nothing to link.
    let _ = span.set_parent(parent);
    span
}

fn record(response: &Response<Body>) {
    let code =
        Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |status| status.code());
    Span::current().record("rpc.code", tracing::field::debug(code));
    tracing::debug!(rpc.code = ?code, "call answered");
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

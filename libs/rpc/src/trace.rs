//! Traces across time: work that is done later, elsewhere, names the span that asked for it.
//!
//! A W3C `traceparent` travels in a message or a row. The later work is a trace of its own with a link to it, since it may
//! outlive its cause by hours and may be done several times. Without an exporter there is nothing to name or to link.

use opentelemetry::trace::TraceContextExt as _;
use std::collections::HashMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACEPARENT_KEY: &str = "traceparent";

/// Returns the current span as a W3C `traceparent`; empty when no traces are exported.
#[must_use]
pub fn current_traceparent() -> String {
    let context = Span::current().context();
    let mut carrier = HashMap::new();
    opentelemetry::global::get_text_map_propagator(|p| p.inject_context(&context, &mut carrier));
    carrier.remove(TRACEPARENT_KEY).unwrap_or_default()
}

/// Links a span to the one that a `traceparent` names; one that is empty or malformed names none.
pub fn link(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT_KEY.to_owned(), traceparent.to_owned())]);
    let context = opentelemetry::global::get_text_map_propagator(|p| p.extract(&carrier));
    let cause = context.span().span_context().clone();
    if cause.is_valid() {
        span.add_link(cause);
    }
}

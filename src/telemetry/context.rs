//! The trace that a call belongs to: W3C trace context in its headers, attributes by the
//! semantic conventions of OpenTelemetry.

use http::HeaderMap;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::{Status, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::is_tracing;
use crate::metrics;

/// The header that a sampled caller sends.
const TRACE_PARENT: &str = "traceparent";

/// Makes the span of a call a part of its caller's trace, where `headers` of a trusted one have
/// it, and of a trace of its own otherwise; and gives its log lines the trace's
/// id where it is sampled. The span must not have been entered yet. `method` is a name that
/// the server knows: one that a caller made up would be a name of its own in every tool.
pub fn continue_trace<'a>(
    span: &Span,
    headers: Option<&HeaderMap>,
    method: impl FnOnce() -> Option<&'a str>,
) {
    if !is_tracing() {
        return;
    }
    if let Some(headers) = headers.filter(|headers| headers.contains_key(TRACE_PARENT)) {
        let parent = TraceContextPropagator::new().extract(&Headers(headers));
        // It fails for a span that is off, which has no trace.
        let _ = span.set_parent(parent);
    }
    let context = span.context();
    let traced = context.span();
    let trace = traced.span_context();
    if !trace.is_sampled() {
        return;
    }
    span.record("trace_id", tracing::field::display(trace.trace_id()));
    let method = method().unwrap_or("unknown");
    traced.update_name(method.to_owned());
    span.set_attribute("rpc.system.name", "grpc");
    span.set_attribute("rpc.method", method.to_owned());
}

/// Says in a call's span how it ended, and whether the server is to blame.
pub fn end_trace(span: &Span, code: Code) {
    if !is_tracing() {
        return;
    }
    let name = metrics::code_name(code.into());
    span.set_attribute("rpc.response.status_code", name);
    let is_failure = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    if is_failure {
        span.set_status(Status::error(""));
        span.set_attribute("error.type", name);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

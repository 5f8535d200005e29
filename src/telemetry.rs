//! Logs, to standard error: for people on a terminal, JSON otherwise. And traces, by OTLP, for
//! who asks for them.

mod context;
mod export;

use std::{
    io::{self, IsTerminal},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, ParseError, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

pub use context::{continue_trace, end_trace};
pub use export::{ExportError, TraceOptions};

use crate::spans;
use export::Export;

/// The crate, whose spans alone are traced.
const CRATE: &str = "rollcall";

/// Whether calls are traced at all: as the subscriber, one for the whole process.
static TRACING: AtomicBool = AtomicBool::new(false);

/// Why there are no logs or no traces.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is to be logged is not a filter.
    #[error("--log")]
    Filter(#[from] ParseError),
    /// Traces cannot be sent.
    #[error("--otlp-endpoint")]
    Export(#[from] ExportError),
}

/// Logs and traces of this process, for as long as it runs.
#[must_use = "the last traces are sent by `finish`"]
pub struct Telemetry(Option<Export>);

impl Telemetry {
    /// Sends what has not been sent yet, for `limit` at most.
    pub fn finish(self, limit: Duration) {
        if let Some(export) = self.0 {
            export.finish(limit);
        }
    }
}

/// Starts logging what `filter` lets through, and sending traces where that is asked for. An
/// endpoint that cannot be reached is no error: its traces are lost, and nothing else.
///
/// # Errors
///
/// When `filter` is not a filter, or the endpoint cannot be used at all.
pub fn start(filter: &str, traces: Option<&TraceOptions>) -> Result<Telemetry, Error> {
    let filter: EnvFilter = filter.parse()?;
    // The hint keeps that of the other, so that what nobody logs costs nothing.
    let logged = filter_fn(|metadata| metadata.target() != spans::TARGET)
        .with_max_level_hint(LevelFilter::TRACE);
    let lines = lines().with_filter(filter.and(logged));
    let Some(options) = traces else {
        tracing_subscriber::registry().with(lines).init();
        return Ok(Telemetry(None));
    };
    let export = Export::start(options)?;
    let traced = tracing_opentelemetry::layer()
        .with_tracer(export.tracer())
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(filter_fn(is_traced));
    tracing_subscriber::registry()
        .with(lines)
        .with(traced)
        .init();
    TRACING.store(true, Ordering::Relaxed);
    Ok(Telemetry(Some(export)))
}

/// Whether calls are traced.
fn is_tracing() -> bool {
    TRACING.load(Ordering::Relaxed)
}

/// Spans alone: a line of the log has the id of its trace, and may say more than a trace should.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(CRATE)
}

fn lines<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(io::stderr);
    if io::stderr().is_terminal() {
        layer.with_target(false).boxed()
    } else {
        layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed()
    }
}

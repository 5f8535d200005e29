//! Sending traces, on threads and a runtime of its own: calls neither wait for it nor share
//! their threads with it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::Uri;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span, SpanData,
        SpanExporter as Exporter, SpanProcessor,
    },
};
use tokio::runtime::Runtime;
use tonic::transport::{ClientTlsConfig, Endpoint};

/// How long one batch may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Which calls are traced, and where the traces go.
#[derive(Clone, Debug)]
pub struct TraceOptions {
    /// Where the collector is.
    pub endpoint: Uri,
    /// Which part of the calls whose callers do not say or are not trusted, 0 to 1.
    pub sampling: f64,
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no thread for it.
    #[error("no thread can be started")]
    Runtime(#[from] io::Error),
    /// The endpoint cannot be used.
    #[error("the endpoint cannot be used")]
    Endpoint(#[from] tonic::transport::Error),
    /// The exporter cannot be made.
    #[error("the exporter cannot be made")]
    Exporter(#[from] ExporterBuildError),
}

/// What sends traces.
pub(super) struct Export {
    provider: SdkTracerProvider,
    counts: Arc<Counts>,
    // Last, since the provider uses it to its end.
    runtime: Runtime,
}

impl Export {
    pub(super) fn start(options: &TraceOptions) -> Result<Self, ExportError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("traces")
            .enable_all()
            .build()?;
        let _in_it = runtime.enter();
        let mut endpoint = Endpoint::from(options.endpoint.clone()).connect_timeout(LIMIT);
        if options.endpoint.scheme_str() == Some("https") {
            let trusted = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(trusted)?;
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(endpoint.connect_lazy())
            .with_timeout(LIMIT)
            .build()?;
        let counts = Arc::new(Counts::default());
        let counted = CountedExporter(exporter, Arc::clone(&counts));
        let processor = CountedProcessor(
            BatchSpanProcessor::builder(counted).build(),
            Arc::clone(&counts),
        );
        let sampler = Sampler::TraceIdRatioBased(options.sampling);
        let service = Resource::builder()
            .with_service_name(super::CRATE)
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(service.build())
            .build();
        drop(_in_it);
        Ok(Self {
            provider,
            counts,
            runtime,
        })
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer(super::CRATE)
    }

    /// Sends the rest, for `limit` at most.
    pub(super) fn finish(self, limit: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(limit) {
            tracing::debug!(%error, "the last traces were not sent");
        }
        let dropped = self.counts.dropped();
        if dropped > 0 {
            tracing::debug!(dropped, "spans were not sent");
        }
        self.runtime.shutdown_background();
    }
}

/// How many spans have ended, and how many of them the collector has.
#[derive(Debug, Default)]
struct Counts {
    ended: AtomicU64,
    sent: AtomicU64,
}

impl Counts {
    fn dropped(&self) -> u64 {
        let ended = self.ended.load(Ordering::Relaxed);
        ended.saturating_sub(self.sent.load(Ordering::Relaxed))
    }
}

/// A processor with a bounded queue, beyond which it drops spans. It counts those that have
/// ended.
#[derive(Debug)]
struct CountedProcessor(BatchSpanProcessor, Arc<Counts>);

impl SpanProcessor for CountedProcessor {
    fn on_start(&self, span: &mut Span, context: &opentelemetry::Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.1.ended.fetch_add(1, Ordering::Relaxed);
        }
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// An exporter that counts what it has sent, and says at the level `debug` that it could not.
#[derive(Debug)]
struct CountedExporter(SpanExporter, Arc<Counts>);

impl Exporter for CountedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len() as u64;
        let exported = self.0.export(batch).await;
        match &exported {
            Ok(()) => {
                self.1.sent.fetch_add(number, Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(number, %error, "spans were not sent"),
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

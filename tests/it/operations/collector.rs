//! A collector of traces that keeps what it gets.

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    transport::server::{Server, TcpIncoming},
};

use crate::harness::patiently;

/// A running collector.
pub struct Collector {
    pub endpoint: String,
    spans: watch::Receiver<Vec<Span>>,
    task: JoinHandle<()>,
}

struct Keeper(watch::Sender<Vec<Span>>);

#[tonic::async_trait]
impl TraceService for Keeper {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.0.send_modify(|kept| kept.extend(spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (sender, spans) = watch::channel(Vec::new());
        let server = Server::builder().add_service(TraceServiceServer::new(Keeper(sender)));
        let serving = server.serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serving.await.expect("serves") });
        Self {
            endpoint: format!("http://{address}"),
            spans,
            task,
        }
    }

    /// Every span that came, once one has this name.
    pub async fn spans_with(&self, name: &str) -> Vec<Span> {
        let mut spans = self.spans.clone();
        let come = spans.wait_for(|spans| spans.iter().any(|span| span.name == name));
        let spans = patiently(name, come).await.expect("it runs");
        spans.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The text of an attribute of a span.
pub fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|it| it.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

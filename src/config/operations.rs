//! What operators watch the service by.

use std::{env, net::SocketAddr};

use clap::Args;
use http::Uri;

use crate::telemetry::TraceOptions;

/// Where OpenTelemetry's own tools are told the endpoint.
const STANDARD_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Metrics, probes and traces.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Operations")]
pub struct OperationsOptions {
    /// Where to answer /metrics, /livez and /readyz over HTTP: HOST:PORT, 127.0.0.1:9464
    /// for example. Default: nowhere.
    #[arg(
        long,
        env = "ROLLCALL_OPERATIONS_LISTEN",
        value_name = "ADDRESS",
        value_parser = parse_address
    )]
    pub operations_listen: Option<SocketAddr>,

    /// Where to send traces, by OTLP over gRPC. Default: what OTEL_EXPORTER_OTLP_ENDPOINT
    /// says, or nowhere.
    #[arg(long, env = "ROLLCALL_OTLP_ENDPOINT", value_name = "URL", value_parser = parse_endpoint)]
    pub otlp_endpoint: Option<Uri>,

    /// Which part of the calls is traced, 0 to 1, where the trace context of a peer in
    /// --trusted-proxies does not say it. That of others is not looked at.
    #[arg(
        long,
        env = "ROLLCALL_TRACE_SAMPLING",
        default_value = "0.01",
        value_name = "RATIO",
        value_parser = parse_ratio
    )]
    pub trace_sampling: f64,
}

impl OperationsOptions {
    /// Which calls to trace and where to send them; `None` for nowhere.
    ///
    /// # Errors
    ///
    /// When OpenTelemetry's own variable has no endpoint.
    pub fn traces(&self) -> Result<Option<TraceOptions>, String> {
        let endpoint = match &self.otlp_endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => match env::var(STANDARD_ENDPOINT) {
                Ok(text) if !text.is_empty() => {
                    let parsed = parse_endpoint(&text);
                    Some(parsed.map_err(|error| format!("{STANDARD_ENDPOINT}: {error}"))?)
                }
                _ => None,
            },
        };
        Ok(endpoint.map(|endpoint| TraceOptions {
            endpoint,
            sampling: self.trace_sampling,
        }))
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be an address and a port, 127.0.0.1:9464".to_owned())
}

fn parse_endpoint(text: &str) -> Result<Uri, String> {
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
        .ok_or_else(|| "must be a URL, http://127.0.0.1:4317".to_owned())
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok();
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

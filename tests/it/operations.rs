//! What operators watch the service by: metrics, probes, traces.

mod collector;
mod deployed;
mod metrics;
mod probes;
pub mod scrape;
mod text;
mod traces;

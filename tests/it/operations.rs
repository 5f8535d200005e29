//! What operators watch the service by: metrics, probes, traces.

mod collector;
mod deployed;
mod ended;
mod metrics;
mod probes;
pub mod scrape;
mod text;
mod traces;

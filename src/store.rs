//! The only place that knows diesel.
mod database_url;
mod error;
mod pool;

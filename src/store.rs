//! The only place that knows diesel.

mod connect;
mod conninfo;
mod database_url;
mod error;
pub mod migrations;
mod pool;
mod retry;
#[cfg(test)]
mod test_server;
mod tls;

pub use database_url::{DatabaseUrl, DatabaseUrlParser, InvalidDatabaseUrl};
pub use error::Error;
pub use pool::{Connection, Pool, PoolOptions};
pub use retry::retry_conflicts;

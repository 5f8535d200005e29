//! The only place that knows diesel: one function, one statement.
//!
//! Functions take a connection, never the pool, and return what a row says as types
//! of the model. Every UPDATE that changes a state carries the state it expects and
//! says how many rows it met.

mod database_url;
mod error;
mod migrations;
mod pool;
mod schema;
pub mod sessions;
pub mod sign_out;
pub mod signing_keys;
mod statement;
mod tls;
pub mod users;

pub use database_url::DatabaseUrl;
pub use diesel_async::AsyncPgConnection;
pub use error::{Error, retry_conflicts};
pub use migrations::{migrate, pending};
pub use pool::{Connection, Pool, PoolOptions};

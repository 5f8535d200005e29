//! The only place that knows diesel: one function, one statement.
//!
//! Functions take a connection, never the pool, and return what a row says as types
//! of the model. Every UPDATE that changes a state carries the state it expects and
//! says how many rows it met.

pub mod audit;
mod connect;
mod conninfo;
mod database;
mod database_url;
mod error;
mod fence;
pub mod migrations;
mod page;
pub mod password_resets;
mod pool;
pub mod purge;
mod retry;
pub mod revocations;
mod schema;
pub mod session_stats;
pub mod sessions;
pub mod sign_ins;
pub mod sign_out;
pub mod signing_keys;
mod statement;
#[cfg(test)]
mod test_server;
mod tls;
pub mod users;

pub use database::create_database;
pub use database_url::{DatabaseUrl, InvalidDatabaseUrl};
pub use diesel_async::AsyncPgConnection;
pub use error::Error;
pub use fence::{Fence, SLACK, fence};
pub use migrations::{migrate, pending};
pub use page::Page;
pub use pool::{Connection, Pool, PoolOptions};
pub use retry::Step;

use std::time::Duration;

use diesel::{dsl::sql, sql_types::Text};
use diesel_async::RunQueryDsl;

/// Asks whether the database answers and takes writes, which after a failover the server
/// behind a connection may no longer do.
///
/// # Errors
///
/// [`Error::Unavailable`] when it does not.
pub async fn ping(conn: &mut AsyncPgConnection) -> Result<(), Error> {
    let read_only: String = diesel::select(sql::<Text>("current_setting('transaction_read_only')"))
        .get_result(conn)
        .await?;
    if read_only == "on" {
        return Err(Error::Unavailable("the server takes no writes".into()));
    }
    Ok(())
}

/// Gives work on a connection up after `limit`: the connection may be one to nowhere, which
/// no limit of the server ends.
///
/// # Errors
///
/// [`Error::Unavailable`] when it takes longer; else those of the work.
pub async fn in_time<T, E: From<Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|elapsed| Err(Error::Unavailable(elapsed.into()).into()))
}

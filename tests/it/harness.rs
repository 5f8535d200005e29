//! A server of its own for each test, in the production layers, on a database of its
//! own: a copy of one prepared template on a private Postgres.

mod balancer;
mod cluster;
mod database;
pub mod http2;
mod inspect;
mod lifecycle;
pub mod process;
mod raw;
mod replica;
mod reply;
mod requests;
mod sign_in;
mod wait;
mod wire;

use std::ops::Deref;

pub use balancer::Balancer;
pub use cluster::OwnCluster;
pub use database::{Database, sql};
pub use inspect::{
    LONG_WINDOWS, REVOKE, ROTATE, calls, commitment, refresh_at_once, refresh_in_a_race,
};
pub use process::Process;
pub use raw::rpcs;
pub use replica::{Replica, config, master_key};
pub use reply::{
    claims, end_reason, metadata, reason, says_when_to_retry, successor, violated_fields,
};
pub use requests::{
    NEXT_PASSWORD, Subject, authenticate, bearer, bound, device, fresh_login, good_request, mask,
    request_id,
};
pub use sign_in::SignedIn;
pub use wait::{eventually, patiently, pause};
pub use wire::{Field, Value, fields, set};

/// The password of every user in the tests.
pub const PASSWORD: &str = "violet-anchor-mosaic-73";

/// A database with one server on it.
pub struct Harness {
    pub database: Database,
    pub server: Replica,
}

impl Deref for Harness {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        &self.server
    }
}

impl Harness {
    /// A server with the default configuration.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with further options of `rollcall serve`.
    pub async fn with(options: &[&str]) -> Self {
        let database = Database::create().await;
        let server = Replica::start(&database, options).await;
        Self { database, server }
    }

    /// One more server on the same database.
    pub async fn replica(&self) -> Replica {
        Replica::start(&self.database, &[]).await
    }

    /// Runs SQL, to arrange or to assert.
    pub async fn sql(&self, statement: &str) -> Vec<tokio_postgres::Row> {
        self.database.sql(statement).await
    }

    /// The one value of the one row of a query.
    pub async fn scalar<T>(&self, query: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let one = async |client: &tokio_postgres::Client| database::one(client, query).await;
        self.database.ask(one).await
    }
}

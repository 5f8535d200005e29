//! Connections to share, none of which outlives its use in a doubtful state.

use std::{
    num::NonZeroUsize,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel_async::{AsyncConnection, AsyncPgConnection, pooled_connection::PoolableConnection};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::Instrument;

use super::{
    DatabaseUrl, Error,
    connect::{ConnectError, Connector},
    retry::{Step, retry_conflicts},
};
use crate::{
    metrics::{PoolMetrics, PoolUse, StatementFailure},
    spans,
};

/// How many connections, and how long anything may take.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// The most connections at once.
    pub max_connections: NonZeroUsize,
    /// The longest a statement may run, and a transaction may idle, before the server
    /// ends it; zero is for ever.
    pub statement_timeout: Duration,
    /// The longest [`Pool::get`] may take, waiting and connecting together.
    pub connection_timeout: Duration,
}

/// A pool of connections; its clones share them.
#[derive(Clone)]
pub struct Pool {
    connections: managed::Pool<Manager>,
    connection_timeout: Duration,
    metrics: PoolMetrics,
}

impl Pool {
    /// Makes a pool, which connects when it is first used.
    ///
    /// `statement_timeout` travels in the startup packet, as `options`; a pooler in
    /// between has to pass that on.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] when the files that `url` names for TLS cannot be used.
    pub fn new(url: &DatabaseUrl, options: &PoolOptions) -> Result<Self, Error> {
        let PoolOptions {
            max_connections,
            statement_timeout,
            connection_timeout,
        } = *options;
        let manager = Manager(Connector::new(url, statement_timeout, connection_timeout)?);
        let connections = managed::Pool::builder(manager)
            .max_size(max_connections.get())
            .build()
            .map_err(|error| Error::Setup(error.into()))?;
        Ok(Self {
            connections,
            connection_timeout,
            metrics: PoolMetrics::default(),
        })
    }

    /// The pool, which counts what it does in `metrics` from now on.
    #[must_use]
    pub fn measured(self, metrics: PoolMetrics) -> Self {
        Self { metrics, ..self }
    }

    /// The connections at this moment.
    #[must_use]
    pub fn connections(&self) -> PoolUse {
        let status = self.connections.status();
        PoolUse {
            max: status.max_size,
            size: status.size,
            in_use: status.size.saturating_sub(status.available),
            waiting: status.waiting,
        }
    }

    /// Runs a step on a connection. One that lost against another transaction was rolled
    /// back by the server, and is run again, up to three times. A connection that turned
    /// out to be of no use (it is being closed, or its server takes no writes since it is
    /// no longer the primary) is not used again.
    ///
    /// # Errors
    ///
    /// Those of the step, and of [`Pool::get`].
    pub async fn run<T, S>(&self, step: S) -> Result<T, Error>
    where
        S: AsyncFn(&mut AsyncPgConnection) -> Result<T, Error>,
        for<'c> S: Step<&'c mut AsyncPgConnection, T>,
    {
        let span = tracing::info_span!(
            target: spans::TARGET,
            "statement",
            otel.name = spans::flow_name::<S>(),
            otel.kind = "client",
            db.system.name = "postgresql",
        );
        let retried = || self.metrics.retried();
        let attempt = || async {
            let mut conn = self.get().await?;
            let result = step(&mut conn).await;
            if let Err(Error::Unavailable(_)) = result {
                conn.discard();
            }
            result
        };
        let result = retry_conflicts(attempt, retried).instrument(span).await;
        if let Some(failure) = result.as_ref().err().and_then(failure) {
            self.metrics.failed(failure);
        }
        result
    }

    /// Takes a connection out of the pool, or makes one.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when that fails or takes longer than `connection_timeout`.
    pub async fn get(&self) -> Result<Connection, Error> {
        let started = Instant::now();
        let got = tokio::time::timeout(self.connection_timeout, self.connections.get()).await;
        self.metrics.waited(started.elapsed());
        match got {
            Ok(Ok(object)) => Ok(Connection(Some(object))),
            Ok(Err(PoolError::Backend(error))) => Err(Error::Unavailable(error.into())),
            Ok(Err(error)) => Err(Error::Unavailable(error.into())),
            Err(elapsed) => Err(Error::Unavailable(elapsed.into())),
        }
    }
}

/// What is wrong with the database, where that is what an error says: a row that another has
/// taken says nothing of it.
fn failure(error: &Error) -> Option<StatementFailure> {
    match error {
        Error::Unavailable(_) => Some(StatementFailure::Unavailable),
        Error::Conflict(_) => Some(StatementFailure::Conflict),
        Error::Deadline(_) => Some(StatementFailure::Canceled),
        error if error.unique_violation().is_some() => None,
        Error::Corrupt { .. } | Error::Setup(_) | Error::Unexpected(_) => {
            Some(StatementFailure::Unexpected)
        }
    }
}

/// Makes connections and says which may be used again.
struct Manager(Connector);

/// A connection of the pool.
struct Pooled {
    connection: AsyncPgConnection,
    watch: Watch,
    tls: MakeRustlsConnect,
    /// What a request to cancel a statement may take: its connection is one of its own.
    cancel_limit: Duration,
}

impl managed::Manager for Manager {
    type Type = Pooled;
    type Error = ConnectError;

    async fn create(&self) -> Result<Pooled, ConnectError> {
        let mut connection = self.0.connect().await?;
        let watch = Watch::default();
        connection.set_instrumentation(watch.clone());
        Ok(Pooled {
            connection,
            watch,
            tls: self.0.tls.clone(),
            cancel_limit: self.0.host_limit,
        })
    }

    /// Sends nothing. A server that was stopped has closed its connections, which shows
    /// here, so that the first request after a restart gets a new one.
    async fn recycle(&self, pooled: &mut Pooled, _: &Metrics) -> RecycleResult<ConnectError> {
        if pooled.connection.is_broken() {
            return Err(RecycleError::message("closed, or inside a transaction"));
        }
        Ok(())
    }
}

/// Counts a connection's statements that have begun and are not yet answered.
#[derive(Clone, Default)]
struct Watch(Arc<AtomicUsize>);

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            InstrumentationEvent::FinishQuery { .. } => {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// A connection taken out of the [`Pool`], which has it back when this is dropped.
///
/// Dropped while a statement is in flight, as when its caller hung up, it has the
/// server cancel the statement. Dropped then or inside a transaction, it is closed
/// rather than used again. One statement escapes this: once the first rows of a large
/// answer have come, diesel counts the statement as finished; it then runs to its end,
/// or into `statement_timeout`, before the connection does anything else.
pub struct Connection(Option<Object<Manager>>);

impl Connection {
    /// Closes it rather than let it be used again.
    fn discard(mut self) {
        drop(self.0.take().map(Object::take));
    }
}

impl Deref for Connection {
    type Target = AsyncPgConnection;

    #[expect(clippy::expect_used, reason = "only drop takes it out")]
    fn deref(&self) -> &AsyncPgConnection {
        &self.0.as_ref().expect("not dropped").connection
    }
}

impl DerefMut for Connection {
    #[expect(clippy::expect_used, reason = "only drop takes it out")]
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.0.as_mut().expect("not dropped").connection
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut object) = self.0.take() else {
            return;
        };
        let in_flight = object.watch.0.load(Ordering::Relaxed) > 0;
        if !in_flight && !object.connection.is_broken() {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if in_flight => {
                runtime.spawn(cancel_and_close(object).in_current_span());
            }
            _ => drop(Object::take(object)),
        }
    }
}

/// Keeps the connection's place in the pool until the server has been told, so that
/// canceled statements and their successors together stay within `max_connections`.
async fn cancel_and_close(object: Object<Manager>) {
    let request = object.connection.cancel_token();
    let request = request.cancel_query(object.tls.clone());
    match tokio::time::timeout(object.cancel_limit, request).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a statement could not be canceled"),
        Err(_) => tracing::debug!("a statement could not be canceled in time"),
    }
    drop(Object::take(object));
}

#[cfg(test)]
mod tests;

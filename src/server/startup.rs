//! From a listener to a service, and the watch over its database and keys after.

use std::{convert::Infallible, num::NonZeroUsize, time::Duration};

use super::{Error, health::Health};
use crate::{
    config::Serve,
    error_chain,
    identity::{self, Identity},
    store::{self, Pool, PoolOptions},
};

/// How often the database is asked whether it is there.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long the database may take to answer before it counts as gone.
const WATCH: PoolOptions = PoolOptions {
    max_connections: NonZeroUsize::MIN,
    statement_timeout: Duration::from_secs(2),
    connection_timeout: Duration::from_secs(2),
};
/// How long a look at it may take in all.
const WATCH_LIMIT: Duration = Duration::from_secs(5);
/// The revocation feed's own connection, which calls that keep the others busy do not
/// hold up. A look after a mass of revocations takes longer than a statement of a call may.
const FEED: PoolOptions = PoolOptions {
    max_connections: NonZeroUsize::MIN,
    statement_timeout: Duration::from_secs(30),
    connection_timeout: Duration::from_secs(2),
};
/// The connection on which sessions are counted: one pass over a large table takes its time.
const COUNT: PoolOptions = PoolOptions {
    max_connections: NonZeroUsize::MIN,
    statement_timeout: Duration::from_secs(10 * 60),
    connection_timeout: Duration::from_secs(2),
};
/// How long to wait for a database that cannot be reached, at most.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Makes the database ready, then watches over it and what is in it for ever. A database
/// that cannot be reached or is too slow is waited for; one that cannot be used is an error.
pub(super) async fn run(
    config: &Serve,
    identity: &Identity,
    health: &Health,
) -> Result<Infallible, Error> {
    let mut backoff = Duration::from_millis(100);
    while let Err(error) = Box::pin(prepare(config, identity)).await {
        if !may_pass(&error) {
            return Err(error);
        }
        tracing::warn!(error = error_chain(&error), "waiting for the database");
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
    health.set_ready().await;
    health.set_database(true).await;
    tracing::info!("serving");
    let url = &config.database.database_url;
    let (watched, followed) = (Pool::new(url, &WATCH)?, Pool::new(url, &FEED)?);
    let counted = Pool::new(url, &COUNT)?;
    // In a box each: together they would need more stack than some threads have.
    tokio::select! {
        never = Box::pin(watch(&watched, health)) => match never {},
        never = Box::pin(identity.tend_signing_keys()) => match never {},
        never = Box::pin(identity.follow_revocations(&followed)) => match never {},
        never = Box::pin(identity.purge_superseded_tokens()) => match never {},
        never = Box::pin(identity.purge_events()) => match never {},
        never = Box::pin(identity.purge_rows()) => match never {},
        never = Box::pin(identity.count_sessions(&counted)) => match never {},
    }
}

/// Whether waiting may help. A migration that outran its time is not waited for: what it
/// has done so far is undone, and would be done and undone again.
fn may_pass(error: &Error) -> bool {
    use store::Error::{Deadline, Unavailable};
    match error {
        Error::Store(error) => matches!(error, Unavailable(_)),
        Error::Keys(identity::Error::Store(error))
        | Error::Revocations(identity::Error::Store(error)) => {
            matches!(error, Unavailable(_) | Deadline(_))
        }
        _ => false,
    }
}

async fn prepare(config: &Serve, identity: &Identity) -> Result<(), Error> {
    let url = &config.database.database_url;
    if config.no_migrate {
        let pending = store::pending(url).await?;
        if !pending.is_empty() {
            return Err(Error::OldSchema(pending));
        }
    } else {
        for name in store::migrate(url).await? {
            tracing::info!(name, "migrated");
        }
    }
    identity.load_signing_keys().await.map_err(Error::Keys)?;
    identity
        .load_revocations()
        .await
        .map_err(Error::Revocations)
}

/// Watches on a connection of its own, so that calls which keep the others busy do not
/// look like a database that is gone.
async fn watch(pool: &Pool, health: &Health) -> Infallible {
    let mut reachable = true;
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let ping = pool.run(async |conn| store::ping(conn).await);
        let answer = store::in_time(WATCH_LIMIT, ping).await;
        if answer.is_ok() == reachable {
            continue;
        }
        reachable = answer.is_ok();
        health.set_database(reachable).await;
        match answer {
            Ok(()) => tracing::info!("the database is back"),
            Err(error) => tracing::error!(error = error_chain(&error), "the database is gone"),
        }
    }
}

//! From a listener to a service, and the watch over its database after.

use std::{convert::Infallible, time::Duration};

use super::{Error, health::Health};
use crate::{
    config::Serve,
    identity::{self, Identity},
    store,
};

/// How often the database is asked whether it is there.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long the database may take to answer before it counts as gone.
const WATCH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for a database that cannot be reached, at most.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Makes the database ready, then watches over it for ever. A database that cannot be
/// reached is waited for; one that cannot be used is an error.
pub(super) async fn run(
    config: &Serve,
    identity: &Identity,
    health: &Health,
) -> Result<Infallible, Error> {
    let mut backoff = Duration::from_millis(100);
    while let Err(error) = prepare(config, identity).await {
        let (Error::Store(store::Error::Unavailable(_))
        | Error::Keys(identity::Error::Store(store::Error::Unavailable(_)))) = &error
        else {
            return Err(error);
        };
        tracing::warn!(error = store::chain(&error), "waiting for the database");
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
    health.set_ready().await;
    health.set_database(true).await;
    tracing::info!("serving");
    watch(identity, health).await
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
    identity.load_signing_keys().await.map_err(Error::Keys)
}

async fn watch(identity: &Identity, health: &Health) -> ! {
    let mut reachable = true;
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let answer = tokio::time::timeout(WATCH_TIMEOUT, ask(identity)).await;
        let is_reachable = matches!(answer, Ok(Ok(())));
        if is_reachable != reachable {
            reachable = is_reachable;
            health.set_database(reachable).await;
            if reachable {
                tracing::info!("the database is back");
            } else {
                tracing::error!("the database is gone");
            }
        }
    }
}

async fn ask(identity: &Identity) -> Result<(), store::Error> {
    let mut conn = identity.pool().get().await?;
    store::ping(&mut conn).await
}

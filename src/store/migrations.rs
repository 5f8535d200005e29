//! The schema: bringing it up to date, and saying whether it is.

use std::time::Duration;

use diesel::{
    dsl::sql,
    migration::{Migration, MigrationSource},
    pg::Pg,
    sql_types::{Bool, Text},
};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::time::Instant;

use super::{DatabaseUrl, Error, connect::Connector};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

const CONNECT_LIMIT: Duration = Duration::from_secs(15);

const LOCK_LIMIT: Duration = Duration::from_secs(60);

const LOCK_POLL: Duration = Duration::from_millis(100);

/// Runs the migrations that `url`'s database lacks, on a connection of its own without
/// timeouts, and answers their names. Ones that this binary does not know, run by a
/// newer one, are left alone.
///
/// Many replicas may do this at once. One works, the others wait for it, asking again
/// and again for its lock: to block on it would keep a snapshot open for which CREATE
/// INDEX CONCURRENTLY waits in turn. The lock keeps them from failing, not the schema
/// from harm: each migration is a transaction that ends in an insert of its key.
///
/// Dropping the future does not stop a migration that has begun.
///
/// # Errors
///
/// [`Error::Unavailable`] when there is no connection, or the lock is not free within a
/// minute; [`Error::Unexpected`] when a migration fails, with its name.
pub async fn migrate(url: &DatabaseUrl) -> Result<Vec<String>, Error> {
    let mut connection = connect(url).await?;
    lock(&mut connection, LOCK_LIMIT).await?;
    drop_half_built(&mut connection).await?;
    // The harness blocks its thread. Closing the connection gives the lock back.
    tokio::task::spawn_blocking(move || run_pending(connection))
        .await
        .map_err(|panic| Error::Unexpected(panic.into()))?
}

/// The names of the migrations that `url`'s database lacks: all of them when it was
/// never migrated. Changes nothing.
///
/// # Errors
///
/// [`Error::Unavailable`] when there is no connection.
pub async fn pending(url: &DatabaseUrl) -> Result<Vec<String>, Error> {
    pending_on(&mut connect(url).await?).await
}

async fn pending_on(connection: &mut AsyncPgConnection) -> Result<Vec<String>, Error> {
    let migrated = sql::<Bool>("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL")
        .get_result(connection)
        .await?;
    let versions: Vec<String> = if migrated {
        sql::<Text>("SELECT version FROM __diesel_schema_migrations")
            .load(connection)
            .await?
    } else {
        Vec::new()
    };
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(Error::Unexpected)?;
    Ok(known
        .iter()
        .map(Migration::name)
        .filter(|name| !versions.contains(&name.version().to_string()))
        .map(ToString::to_string)
        .collect())
}

async fn connect(url: &DatabaseUrl) -> Result<AsyncPgConnection, Error> {
    Connector::new(url, Duration::ZERO, CONNECT_LIMIT)?
        .connect()
        .await
        .map_err(|error| Error::Unavailable(error.into()))
}

/// Takes the lock, which the session then holds.
async fn lock(connection: &mut AsyncPgConnection, limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    loop {
        // The key is "rollcall" in ASCII.
        let locked = sql::<Bool>("SELECT pg_try_advisory_lock(8245928655518264428)")
            .get_result::<bool>(connection)
            .await?;
        if locked {
            return Ok(());
        }
        if Instant::now() + LOCK_POLL > deadline {
            return Err(Error::Unavailable(
                format!("another process has been migrating for {limit:?}").into(),
            ));
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// Drops the invalid indexes that steps left behind which failed to build them. A step that
/// builds an index concurrently is named as that.
async fn drop_half_built(connection: &mut AsyncPgConnection) -> Result<(), Error> {
    let invalid: Vec<String> = sql::<Text>(
        "SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid \
         WHERE NOT i.indisvalid AND pg_table_is_visible(c.oid)",
    )
    .load(connection)
    .await?;
    if invalid.is_empty() {
        return Ok(());
    }
    for step in pending_on(connection).await? {
        let Some((_, index)) = step.split_once('_') else {
            continue;
        };
        if invalid.iter().any(|name| name == index) {
            let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
            diesel::sql_query(drop).execute(connection).await?;
        }
    }
    Ok(())
}

fn run_pending(connection: AsyncPgConnection) -> Result<Vec<String>, Error> {
    let mut harness = AsyncMigrationHarness::new(connection);
    let mut names = Vec::new();
    for migration in harness
        .pending_migrations(MIGRATIONS)
        .map_err(Error::Unexpected)?
    {
        harness
            .run_migration(&migration)
            .map_err(Error::Unexpected)?;
        names.push(migration.name().to_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests;

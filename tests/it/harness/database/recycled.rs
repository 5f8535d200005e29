//! Databases of tests that have ended, emptied for the next: making one copies three
//! hundred files, emptying it touches thirty.

use std::{
    sync::{Mutex, OnceLock},
    thread,
};

use rollcall::dev::postgres::Cluster;
use tokio_postgres::{Client, Error};

use super::{connect, fresh_name};

/// What a test may have changed besides rows: tables, columns, indexes, constraints,
/// triggers, functions, settings and the planner's statistics.
const SHAPE: &str = "SELECT concat_ws('/', \
    (SELECT md5(string_agg(concat_ws(',', oid, relname, relkind, relnatts, relchecks, relhastriggers), ';' ORDER BY oid)) \
       FROM pg_class WHERE relnamespace = 'public'::regnamespace), \
    (SELECT md5(string_agg(attname, ';' ORDER BY attrelid, attnum)) FROM pg_attribute \
       WHERE attrelid >= 16384), \
    (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_trigger), \
    (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384), \
    (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
       WHERE d.datname = current_database()))";
const TABLES: &str = "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class \
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
      AND NOT relispartition AND relname <> '__diesel_schema_migrations'";
const FORGET: &str = "SELECT pg_stat_reset(), pg_stat_statements_reset(0, oid, 0) FROM pg_database \
    WHERE datname = current_database()";

static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static TEMPLATE_SHAPE: OnceLock<String> = OnceLock::new();

pub(super) async fn remember_shape(template: &Client) {
    let shape = shape(template).await.expect("a template has a shape");
    TEMPLATE_SHAPE.set(shape).expect("is set once");
}

/// An empty database, if there is one.
pub(super) fn take() -> Option<String> {
    FREE.lock().expect("no panic under the lock").pop()
}

/// Empties a database, or drops it where its test changed more than rows. In the
/// background: the next test need not wait for it.
pub(super) fn give_back(cluster: &'static Cluster, name: String) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let admin = connect(&cluster.url("postgres")).await;
            match recycle(cluster, &admin, &name).await {
                Ok(Some(free)) => FREE.lock().expect("no panic under the lock").push(free),
                Ok(None) => {}
                Err(_) => drop(discard(&admin, &name).await),
            }
        });
    });
}

async fn recycle(cluster: &Cluster, admin: &Client, name: &str) -> Result<Option<String>, Error> {
    // Servers of the ended test that are still on their way out do not find it again. It is
    // renamed once all their connections are gone, with what they had counted.
    let free = fresh_name();
    let rename = [
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
        format!("ALTER DATABASE {name} RENAME TO {free}"),
        format!("ALTER DATABASE {free} ALLOW_CONNECTIONS true"),
    ];
    for statement in rename {
        admin.batch_execute(&statement).await?;
    }
    match empty(&cluster.url(&free)).await {
        Ok(true) => Ok(Some(free)),
        Ok(false) | Err(_) => discard(admin, &free).await.map(|()| None),
    }
}

/// Whether a database is as the template again.
async fn empty(url: &str) -> Result<bool, Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    if Some(&shape(&client).await?) != TEMPLATE_SHAPE.get() {
        return Ok(false);
    }
    let tables: String = client.query_one(TABLES, &[]).await?.get(0);
    client.batch_execute(&format!("TRUNCATE {tables}")).await?;
    client.query(FORGET, &[]).await?;
    drop(client);
    let _ = connection.await;
    Ok(true)
}

async fn discard(admin: &Client, name: &str) -> Result<(), Error> {
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    admin.batch_execute(&drop).await
}

async fn shape(client: &Client) -> Result<String, Error> {
    Ok(client.query_one(SHAPE, &[]).await?.get(0))
}

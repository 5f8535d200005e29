use diesel_async::SimpleAsyncConnection;

use super::*;
use crate::store::test_server::TestServer;

async fn known() -> Vec<String> {
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().unwrap();
    known
        .iter()
        .map(|migration| migration.name().to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_replicas_migrate_an_empty_database_once() {
    let server = TestServer::start();
    let url = server.url();
    let replicas: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { migrate(&url).await })
        })
        .collect();
    let mut ran = Vec::new();
    for replica in replicas {
        ran.extend(replica.await.unwrap().unwrap());
    }
    assert_eq!(ran, known().await);
    assert_eq!(pending(&url).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn every_migration_is_pending_on_an_empty_database_which_stays_empty() {
    let server = TestServer::start();
    let url = server.url();
    assert_eq!(pending(&url).await.unwrap(), known().await);
    let mut connection = connect(&url).await.unwrap();
    let tables = sql::<diesel::sql_types::BigInt>(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    );
    assert_eq!(tables.get_result::<i64>(&mut connection).await.unwrap(), 0);
}

#[tokio::test]
async fn a_database_newer_than_the_binary_is_left_alone() {
    let server = TestServer::start();
    let url = server.url();
    migrate(&url).await.unwrap();
    let mut connection = connect(&url).await.unwrap();
    connection
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')")
        .await
        .unwrap();
    assert_eq!(pending(&url).await.unwrap(), Vec::<String>::new());
    assert_eq!(migrate(&url).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lock_that_stays_taken_is_given_up_on() {
    let server = TestServer::start();
    let url = server.url();
    let mut holder = connect(&url).await.unwrap();
    lock(&mut holder, Duration::ZERO).await.unwrap();
    let mut waiter = connect(&url).await.unwrap();
    assert!(matches!(
        lock(&mut waiter, Duration::from_millis(1)).await,
        Err(Error::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_migration_that_fails_is_named() {
    let server = TestServer::start();
    let url = server.url();
    let mut connection = connect(&url).await.unwrap();
    connection
        .batch_execute("CREATE TABLE users (i int)")
        .await
        .unwrap();
    let error = migrate(&url).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("_foundation") && source.contains("already exists"),
        "{source}"
    );
}

#[tokio::test]
async fn an_invalid_index_of_a_step_that_failed_is_built_anew_and_no_other_is_touched() {
    let server = TestServer::start();
    let url = server.url();
    migrate(&url).await.unwrap();
    let mut connection = connect(&url).await.unwrap();
    // As a failure leaves it, and an index that somebody else is building.
    connection
        .batch_execute(
            "CREATE INDEX somebody_elses ON users (id); \
             UPDATE pg_index SET indisvalid = false WHERE indexrelid IN \
               ('audit_events_kind'::regclass, 'somebody_elses'::regclass); \
             DELETE FROM __diesel_schema_migrations WHERE version = '20261125001040'",
        )
        .await
        .unwrap();
    let ran = migrate(&url).await.unwrap();
    assert_eq!(ran, ["2026-11-25-001040_audit_events_kind"]);
    let invalid = sql::<Text>(
        "SELECT string_agg(indexrelid::regclass::text, ',') FROM pg_index WHERE NOT indisvalid",
    );
    let invalid: String = invalid.get_result(&mut connection).await.unwrap();
    assert_eq!(invalid, "somebody_elses");
}

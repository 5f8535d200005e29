use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::sync::Barrier;

use super::*;
use crate::store::{Connection, retry::retry_conflicts, test_server::TestServer};

async fn run(connection: &mut AsyncPgConnection, statement: &str) -> Result<(), Error> {
    diesel::sql_query(statement).execute(connection).await?;
    Ok(())
}

#[tokio::test]
async fn a_statement_over_its_time_is_a_deadline() {
    let server = TestServer::start();
    let pool = server.pool(1);
    let mut connection = pool.get().await.unwrap();
    run(&mut connection, "SET statement_timeout = 1")
        .await
        .unwrap();
    let result = run(&mut connection, "SELECT pg_sleep(600)").await;
    assert!(matches!(result, Err(Error::Deadline(_))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shuts_down_is_unavailable() {
    let server = TestServer::start();
    let pool = server.pool(2);
    let mut connection = pool.get().await.unwrap();
    let statement = tokio::spawn(async move { run(&mut connection, "SELECT pg_sleep(600)").await });
    let asleep = "pg_stat_activity WHERE wait_event = 'PgSleep'";
    server
        .wait_until(&format!("EXISTS (SELECT FROM {asleep})"))
        .await;
    let mut other = pool.get().await.unwrap();
    run(
        &mut other,
        &format!("SELECT pg_terminate_backend(pid) FROM {asleep}"),
    )
    .await
    .unwrap();
    let result = statement.await.unwrap();
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");

    server.control(&["-m", "immediate", "stop"]);
    let result = run(&mut other, "SELECT 1").await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    drop(other);
    let result = pool.get().await.err();
    assert!(matches!(result, Some(Error::Unavailable(_))), "{result:?}");
    server.control(&["start"]);
}

#[tokio::test]
async fn a_duplicate_names_the_constraint() {
    let server = TestServer::start();
    let pool = server.pool(1);
    let mut connection = pool.get().await.unwrap();
    connection
        .batch_execute(
            "CREATE TABLE t (i int, CONSTRAINT t_once UNIQUE (i)); INSERT INTO t VALUES (1)",
        )
        .await
        .unwrap();
    let error = run(&mut connection, "INSERT INTO t VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(error.unique_violation(), Some("t_once"));
    let error = run(&mut connection, "SELECT 1 / 0").await.unwrap_err();
    assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
    assert_eq!(error.unique_violation(), None);
}

#[tokio::test]
async fn an_update_of_what_another_snapshot_changed_is_a_conflict() {
    let server = TestServer::start();
    let pool = server.pool(2);
    let mut one = pool.get().await.unwrap();
    let mut other = pool.get().await.unwrap();
    one.batch_execute("CREATE TABLE t AS SELECT 1 AS i")
        .await
        .unwrap();
    let result: Result<(), Error> = one
        .build_transaction()
        .repeatable_read()
        .run(async |connection| {
            run(connection, "SELECT i FROM t").await?;
            run(&mut other, "UPDATE t SET i = 2").await?;
            run(connection, "UPDATE t SET i = 3").await
        })
        .await;
    assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
    run(&mut one, "UPDATE t SET i = 3").await.unwrap();
}

/// Updates rows `first` and `second` of `t`, in this order, waiting in between, the
/// first time, until both transactions have the lock on their first row.
async fn cross(
    connection: &mut Connection,
    barrier: Option<&Barrier>,
    first: i32,
    second: i32,
) -> Result<(), Error> {
    let transaction = connection.transaction(async |connection| {
        run(
            connection,
            &format!("UPDATE t SET n = n + 1 WHERE i = {first}"),
        )
        .await?;
        if let Some(barrier) = barrier {
            barrier.wait().await;
        }
        run(
            connection,
            &format!("UPDATE t SET n = n + 1 WHERE i = {second}"),
        )
        .await
    });
    transaction.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_a_conflict_and_retried() {
    let server = TestServer::start();
    let pool = server.pool(2);
    let mut connection = pool.get().await.unwrap();
    connection
        .batch_execute("CREATE TABLE t (i int, n int); INSERT INTO t VALUES (1, 0), (2, 0)")
        .await
        .unwrap();
    drop(connection);

    let barrier = Barrier::new(2);
    let conflicts = std::sync::atomic::AtomicU32::new(0);
    let retried = |first, second| {
        let mut barrier = Some(&barrier);
        let (pool, conflicts) = (&pool, &conflicts);
        retry_conflicts(
            move || {
                let barrier = barrier.take();
                async move {
                    let mut connection = pool.get().await?;
                    let result = cross(&mut connection, barrier, first, second).await;
                    if let Err(Error::Conflict(_)) = result {
                        conflicts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    result
                }
            },
            || (),
        )
    };
    let (one, other) = tokio::join!(retried(1, 2), retried(2, 1));
    one.unwrap();
    other.unwrap();
    // Once more each time that the one meets the other again.
    assert!(conflicts.into_inner() >= 1);
    let mut connection = pool.get().await.unwrap();
    run(
        &mut connection,
        "SELECT 1 / (count(*) - 1) FROM t WHERE n = 2",
    )
    .await
    .unwrap();
}

#[test]
fn a_value_that_does_not_fit_its_type_is_corrupt() {
    let error = Error::from(DieselError::DeserializationError("not a colour".into()));
    assert_eq!(error.to_string(), "a row that cannot be: not a colour");
}

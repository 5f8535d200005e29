use std::{future::pending, sync::Arc};

use diesel::{
    dsl::sql,
    sql_types::{Integer, Text},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::*;
use crate::store::test_server::TestServer;

const BUSY: &str = "pg_sleep(600)";

const A_BACKEND_IS_BUSY: &str = "EXISTS (SELECT FROM pg_stat_activity \
     WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid())";

async fn backend(connection: &mut AsyncPgConnection) -> i32 {
    let query = diesel::select(sql::<Integer>("pg_backend_pid()"));
    query.get_result(connection).await.unwrap()
}

async fn show(connection: &mut AsyncPgConnection, setting: &str) -> String {
    let query = sql::<Text>(&format!("SHOW {setting}"));
    query.get_result(connection).await.unwrap()
}

/// Drops `work` once its statement is seen running, then waits until it is not, and
/// checks that the pool of one connection has another one to give.
async fn drop_while_busy<Work>(work: impl FnOnce(Connection) -> Work)
where
    Work: Future<Output = ()> + Send + 'static,
{
    let server = TestServer::start();
    let pool = server.pool(1);
    let mut connection = pool.get().await.unwrap();
    let before = backend(&mut connection).await;

    let request = tokio::spawn(work(connection));
    server.wait_until(A_BACKEND_IS_BUSY).await;
    request.abort();
    server.wait_until(&format!("NOT {A_BACKEND_IS_BUSY}")).await;

    let after = backend(&mut pool.get().await.unwrap()).await;
    assert_ne!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_uncached_statement_is_canceled() {
    drop_while_busy(|mut connection| async move {
        let query = diesel::sql_query(format!("SELECT {BUSY}"));
        let _ = query.execute(&mut connection).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_prepared_statement_is_canceled() {
    drop_while_busy(|mut connection| async move {
        let query = diesel::select(sql::<Integer>(&format!("1 FROM {BUSY}")));
        let _ = query.load::<i32>(&mut connection).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_batch_is_canceled() {
    drop_while_busy(|mut connection| async move {
        let batch = format!("SELECT 1; SELECT {BUSY}");
        let _ = connection.batch_execute(&batch).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_dropped_inside_a_transaction_is_canceled() {
    drop_while_busy(|mut connection| async move {
        let transaction = connection.transaction(async |connection| {
            diesel::sql_query(format!("SELECT {BUSY}"))
                .execute(connection)
                .await
        });
        let _ = transaction.await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_dropped_between_statements_is_rolled_back() {
    let server = TestServer::start();
    let pool = server.pool(1);
    let mut connection = pool.get().await.unwrap();
    connection
        .batch_execute("CREATE TABLE t (i int)")
        .await
        .unwrap();
    let inside = Arc::new(tokio::sync::Notify::new());
    let notify = inside.clone();
    let request = tokio::spawn(async move {
        let transaction = connection.transaction(async |connection| {
            connection.batch_execute("INSERT INTO t VALUES (1)").await?;
            notify.notify_one();
            pending::<Result<(), DieselError>>().await
        });
        transaction.await.unwrap();
    });
    inside.notified().await;
    request.abort();

    server
        .wait_until("NOT EXISTS (SELECT FROM pg_locks WHERE relation = 't'::regclass)")
        .await;
    let mut connection = pool.get().await.unwrap();
    let rows = sql::<Integer>("SELECT count(*)::int FROM t").get_result::<i32>(&mut connection);
    assert_eq!(rows.await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_work_is_done_is_used_again() {
    let server = TestServer::start();
    let pool = server.pool(1);
    let first = backend(&mut pool.get().await.unwrap()).await;

    let mut connection = pool.get().await.unwrap();
    connection
        .batch_execute("SELECT 1; SELECT 2")
        .await
        .unwrap();
    let failed = diesel::sql_query("SELECT 1 / 0")
        .execute(&mut connection)
        .await;
    assert!(failed.is_err());
    let committed = connection
        .transaction(async |connection| diesel::sql_query("SELECT 1").execute(connection).await);
    committed.await.unwrap();
    let rolled_back = connection.transaction(async |connection| {
        diesel::sql_query("SELECT 1 / 0").execute(connection).await
    });
    assert!(rolled_back.await.is_err());
    drop(connection);

    assert_eq!(backend(&mut pool.get().await.unwrap()).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_after_a_restart_succeeds() {
    let server = TestServer::start();
    let pool = server.pool(2);
    let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let before = [backend(&mut one).await, backend(&mut two).await];
    drop((one, two));

    server.control(&["-m", "fast", "restart"]);

    assert!(!before.contains(&backend(&mut pool.get().await.unwrap()).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_what_is_no_longer_the_primary_is_closed() {
    let server = TestServer::start();
    let pool = server.pool(1);
    let mut connection = pool.get().await.unwrap();
    let before = backend(&mut connection).await;
    connection
        .batch_execute("SET default_transaction_read_only = on")
        .await
        .unwrap();
    let written = connection.batch_execute("CREATE TABLE t (i int)").await;
    assert!(matches!(
        written.map_err(Error::from),
        Err(Error::Unavailable(_))
    ));
    drop(connection);

    let mut connection = pool.get().await.unwrap();
    assert_ne!(backend(&mut connection).await, before);
    connection
        .batch_execute("CREATE TABLE t (i int)")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_and_name_are_set_by_connecting() {
    let server = TestServer::start();
    let pool = server.pool_with(1, Duration::from_millis(1500));
    let mut connection = pool.get().await.unwrap();
    assert_eq!(show(&mut connection, "statement_timeout").await, "1500ms");
    assert_eq!(
        show(&mut connection, "idle_in_transaction_session_timeout").await,
        "1500ms"
    );
    assert_eq!(show(&mut connection, "application_name").await, "rollcall");
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_unavailable() {
    let server = TestServer::start();
    let pool = server.pool(1);
    let held = pool.get().await.unwrap();
    let impatient = Pool {
        connection_timeout: Duration::from_millis(1),
        ..pool.clone()
    };
    assert!(matches!(impatient.get().await, Err(Error::Unavailable(_))));
    drop(held);
    assert!(pool.get().await.is_ok());
}

//! Health: `""` is liveness, each service by name is readiness.

use futures_util::{FutureExt, future::join_all};
use rollcall::proto::v1::LogoutRequest;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt;

use crate::harness::{Harness, OwnCluster, Process, Replica, reason, request_id};

const SERVICES: [&str; 5] = [
    "rollcall.v1.Audit",
    "rollcall.v1.Auth",
    "rollcall.v1.SessionAdmin",
    "rollcall.v1.UserAdmin",
    "rollcall.v1.KeyAdmin",
];

async fn wait_for_all(server: &Replica, wanted: ServingStatus) {
    join_all(SERVICES.map(|service| server.wait_for_health(service, wanted))).await;
}

async fn assert_all(server: &Replica, wanted: ServingStatus) {
    for service in SERVICES {
        assert_eq!(server.health(service).await.ok(), Some(wanted), "{service}");
    }
}

/// That a call is refused as one to be retried.
async fn assert_unavailable(server: &Replica, refresh_token: &str) {
    let refused = server.refresh(refresh_token, &request_id()).await;
    let refused = refused.expect_err("there is no database");
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused), "UNAVAILABLE");
    let details = refused.get_error_details();
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    assert!(retry.is_some_and(|delay| !delay.is_zero()), "{details:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_and_the_whole_report_serving() {
    let it = Harness::start().await;
    assert_all(&it, ServingStatus::Serving).await;
    assert_eq!(it.health("").await.ok(), Some(ServingStatus::Serving));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_service_is_not_found() {
    let it = Harness::start().await;
    for service in ["rollcall.v1.Nothing", "rollcall.v1", "Auth"] {
        let refused = it
            .health(service)
            .await
            .expect_err("there is no such service");
        assert_eq!(refused.code(), Code::NotFound, "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_whose_database_is_too_slow_at_the_start_waits_for_it_and_then_serves() {
    let it = Harness::start().await;
    let lock = it.database.connect().await;
    let exclusive = "BEGIN; LOCK TABLE signing_keys";
    lock.batch_execute(exclusive).await.expect("locks");
    let options = ["--no-migrate", "--statement-timeout", "100ms"];
    let process = Process::serve(it.database.url(), &options).await;
    let waiting = process.line_with("waiting for the database").await;
    assert!(waiting.contains("the statement was canceled"), "{waiting}");
    lock.batch_execute("COMMIT").await.expect("unlocks");
    process.line_with("\"serving\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_without_its_database_waits_for_it_and_then_serves() {
    let mut cluster = OwnCluster::start(&[]).await;
    cluster.stop().await;
    let server = Replica::launch(cluster.url(), &[]).await;
    assert_all(&server, ServingStatus::NotServing).await;
    assert_eq!(
        server.health("").await.ok(),
        Some(ServingStatus::NotServing)
    );
    assert_unavailable(&server, "rcr_any").await;
    // Not even what needs no database is answered.
    let request = LogoutRequest {
        refresh_token: "rcr_any".to_owned(),
    };
    let refused = server.auth().logout(request).await.expect_err("not ready");
    assert_eq!(reason(&refused), "UNAVAILABLE");

    cluster.start_again().await;
    wait_for_all(&server, ServingStatus::Serving).await;
    assert_eq!(server.health("").await.ok(), Some(ServingStatus::Serving));
    server.create_user("ana", &[]).await;
    server.sign_in("ana").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_goes_and_comes_back_turns_readiness_off_and_on_and_never_liveness() {
    let mut cluster = OwnCluster::start(&[]).await;
    let server = Replica::launch(cluster.url(), &[]).await;
    server.wait_until_serving().await;
    server.create_user("ana", &[]).await;
    let phone = server.sign_in("ana").await;
    let mut liveness = server.watch_health("").await;
    let first = liveness
        .message()
        .await
        .expect("goes on")
        .expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);

    cluster.stop().await;
    wait_for_all(&server, ServingStatus::NotServing).await;
    assert_eq!(server.health("").await.ok(), Some(ServingStatus::Serving));
    assert_unavailable(&server, &phone.refresh_token).await;

    cluster.start_again().await;
    wait_for_all(&server, ServingStatus::Serving).await;
    assert!(
        liveness.message().now_or_never().is_none(),
        "liveness changed"
    );
    server
        .refresh(&phone.refresh_token, &request_id())
        .await
        .expect("no failure uses a token up");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_calls_after_a_restart_of_the_database_succeed() {
    let mut cluster = OwnCluster::start(&[]).await;
    let server = Replica::launch(cluster.url(), &[]).await;
    server.wait_until_serving().await;
    server.create_user("ana", &[]).await;
    let phones = join_all((0..8).map(|_| server.sign_in("ana"))).await;
    // So that the pool is full of connections.
    let fill = (0..8).map(|_| server.identity.pool().get());
    drop(join_all(fill).await);

    cluster.stop().await;
    cluster.start_again().await;
    let calls = phones.iter().map(async |phone| {
        let refreshed = server.refresh(&phone.refresh_token, &request_id()).await;
        refreshed.expect("no connection of before is used");
    });
    join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_takes_no_writes_turns_readiness_off_until_it_does() {
    let it = Harness::start().await;
    let elsewhere = Harness::start().await;
    let name = it.database.name();
    let read_only =
        |on: bool| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
    elsewhere.sql(&read_only(true)).await;
    // As in a failover, the connections end, and new ones reach a standby.
    let terminate =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    elsewhere.sql(&terminate).await;
    wait_for_all(&it, ServingStatus::NotServing).await;
    assert_eq!(it.health("").await.ok(), Some(ServingStatus::Serving));

    elsewhere.sql(&read_only(false)).await;
    wait_for_all(&it, ServingStatus::Serving).await;
}

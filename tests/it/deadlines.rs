//! What bounds a call: the caller's deadline, the caller's patience, the server's limits.

use rollcall::proto::v1::{RefreshRequest, RefreshResponse, auth_client::AuthClient};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tonic::{Code, Status, transport::Channel};

use crate::harness::{
    Harness, Replica, SignedIn,
    http2::{Connection, outcome},
    patiently, reason, request_id,
};

const REFRESH: &str = "/rollcall.v1.Auth/Refresh";
const SESSIONS: &str = "SELECT 1 FROM sessions";

fn request(phone: &SignedIn) -> RefreshRequest {
    RefreshRequest {
        refresh_token: phone.refresh_token.clone(),
        request_id: request_id(),
        ..RefreshRequest::default()
    }
}

async fn refresh(
    mut auth: AuthClient<Channel>,
    request: RefreshRequest,
) -> Result<tonic::Response<RefreshResponse>, Status> {
    auth.refresh(request).await
}

/// A server with these options, besides the one that users are signed in at.
async fn with(options: &[&str]) -> (Harness, Replica, SignedIn) {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let server = Replica::start(&it.database, options).await;
    (it, server, phone)
}

/// That the call ended at a deadline, by the server's word.
fn assert_deadline(status: &Status) {
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(reason(status), "DEADLINE_EXCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_deadline_ends_the_call_and_its_statement_and_uses_nothing_up() {
    let (it, server, phone) = with(&[]).await;
    let lock = it.database.lock(SESSIONS).await;
    let connection = Connection::open(&server.address).await;
    let timeout = [("grpc-timeout", "2S")];
    let call = connection.call(REFRESH, &timeout, &request(&phone)).await;
    let (_, status) = patiently("the call ends", outcome(call)).await;
    assert_deadline(&status);
    it.database.wait_for_blocked(0).await;

    lock.batch_execute("COMMIT").await.expect("unlocks");
    let refreshed = server.refresh(&phone.refresh_token, &request_id()).await;
    let session = refreshed.expect("nothing was used up").session;
    assert_eq!(session.expect("a session").generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deadline_in_each_unit_of_the_protocol_counts() {
    let (it, server, phone) = with(&[]).await;
    let _lock = it.database.lock(SESSIONS).await;
    let connection = Connection::open(&server.address).await;
    for timeout in ["1n", "100000u", "100m"] {
        let headers = [("grpc-timeout", timeout)];
        let call = connection.call(REFRESH, &headers, &request(&phone)).await;
        let (_, status) = patiently(timeout, outcome(call)).await;
        assert_deadline(&status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn longer_deadline_than_the_servers_limit_does_not_count() {
    let (it, server, phone) = with(&["--request-timeout", "2s"]).await;
    let _lock = it.database.lock(SESSIONS).await;
    let connection = Connection::open(&server.address).await;
    for headers in [&[("grpc-timeout", "1H")][..], &[]] {
        let call = connection.call(REFRESH, headers, &request(&phone)).await;
        let (_, status) = patiently("the call ends", outcome(call)).await;
        assert_deadline(&status);
    }
    it.database.wait_for_blocked(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_over_its_limit_is_a_deadline() {
    let (it, server, phone) = with(&["--statement-timeout", "200ms"]).await;
    let _lock = it.database.lock(SESSIONS).await;
    let call = refresh(server.auth(), request(&phone));
    let refused = patiently("the call ends", call).await;
    assert_deadline(&refused.expect_err("the row is locked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_their_deadline_leave_the_pool_as_it_was() {
    let (it, server, phone) = with(&["--max-connections", "2"]).await;
    let lock = it.database.lock(SESSIONS).await;
    let connection = Connection::open(&server.address).await;
    // The same refresh each time: one whose statement outran its cancellation was done.
    let same = request(&phone);
    for _ in 0..5 {
        let headers = [("grpc-timeout", "100m")];
        let call = connection.call(REFRESH, &headers, &same).await;
        assert_deadline(&patiently("the call ends", outcome(call)).await.1);
    }
    // Again, where one came before its statement was read.
    let canceled = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    it.database.wait_for(canceled, 0).await;
    lock.batch_execute("COMMIT").await.expect("unlocks");
    let refreshed = refresh(server.auth(), same).await;
    refreshed.expect("a connection is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_its_client_cancels_cancels_the_statement() {
    let (it, server, phone) = with(&[]).await;
    let lock = it.database.lock(SESSIONS).await;
    let call = tokio::spawn(refresh(server.auth(), request(&phone)));
    it.database.wait_for_blocked(1).await;
    call.abort();
    it.database.wait_for_blocked(0).await;

    lock.batch_execute("COMMIT").await.expect("unlocks");
    server
        .refresh(&phone.refresh_token, &request_id())
        .await
        .expect("nothing was used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_goes_away_cancels_the_statement() {
    let (it, server, phone) = with(&[]).await;
    let _lock = it.database.lock(SESSIONS).await;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let address = server.address.clone();
    let request = request(&phone);
    runtime.spawn(async move {
        let connection = Connection::open(&address).await;
        outcome(connection.call(REFRESH, &[], &request).await).await
    });
    it.database.wait_for_blocked(1).await;
    // Its sockets close with it.
    runtime.shutdown_background();
    it.database.wait_for_blocked(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_never_speaks_is_closed() {
    let it = Harness::with(&["--keepalive-timeout", "2s"]).await;
    let mut silent = TcpStream::connect(&it.address).await.expect("it listens");
    let mut bytes = Vec::new();
    let read = patiently("it is closed", silent.read_to_end(&mut bytes)).await;
    read.expect("closed, not reset");
}

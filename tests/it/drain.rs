//! How a server ends: NOT_SERVING, a pause, a drain, and a limit to it.

use std::io;

use futures_util::future::join_all;
use rollcall::proto::v1::{RefreshRequest, RefreshResponse, auth_client::AuthClient};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::{Status, transport::Channel};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::harness::{Harness, patiently, pause, process::Process, request_id, successor};

const ALL: [&str; 4] = [
    "",
    "rollcall.v1.Auth",
    "rollcall.v1.SessionAdmin",
    "rollcall.v1.UserAdmin",
];

const SESSIONS: &str = "SELECT 1 FROM sessions";

/// Waits until the server takes no more connections, which is when it drains.
async fn wait_until_refusing(address: &str) {
    let refused = async {
        loop {
            match TcpStream::connect(address).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return,
                _ => pause().await,
            }
        }
    };
    patiently("new connections are refused", refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_reports_not_serving_for_everything_and_ends_the_watches() {
    let mut it = Harness::start().await;
    let mut watches = join_all(ALL.map(|service| it.watch_health(service))).await;
    for watch in &mut watches {
        let status = watch.message().await.expect("goes on").expect("a status");
        assert_eq!(status.status(), ServingStatus::Serving);
    }
    it.server.begin_stop();
    for watch in &mut watches {
        let status = watch.message().await.expect("goes on").expect("a status");
        assert_eq!(status.status(), ServingStatus::NotServing);
        assert_eq!(watch.message().await.expect("ends well"), None);
    }
    patiently("the server ends", it.server.stop())
        .await
        .expect("ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_during_the_pause_and_health_says_not_serving() {
    let mut it = Harness::with(&["--drain-pause", "1h"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    it.server.begin_stop();
    for service in ALL {
        it.wait_for_health(service, ServingStatus::NotServing).await;
    }
    // A connection of its own: balancers may still send some.
    let channel = it.connect().await;
    refresh(AuthClient::new(channel), phone.refresh_token)
        .await
        .expect("is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_under_way_is_answered_while_new_connections_are_refused() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let process = Process::serve(it.database.url(), &["--drain-limit", "1h"]).await;
    process.line_with("\"serving\"").await;
    let lock = it.database.lock(SESSIONS).await;
    let auth = AuthClient::new(process.channel().await);
    let call = tokio::spawn(refresh(auth, phone.refresh_token));
    it.database.wait_for_blocked(1).await;

    process.signal("TERM");
    wait_until_refusing(process.address()).await;
    lock.batch_execute("COMMIT").await.expect("unlocks");

    let reply = patiently("the call ends", call).await.expect("no panic");
    assert!(!successor(&reply.expect("is answered").into_inner()).is_empty());
    let (status, log) = process.end().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_hangs_holds_the_server_up_no_longer_than_the_limit() {
    let it = Harness::with(&["--drain-limit", "100ms"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let _lock = it.database.lock(SESSIONS).await;
    let _call = tokio::spawn(refresh(it.auth(), phone.refresh_token));
    it.database.wait_for_blocked(1).await;

    let Harness {
        server,
        database: _kept,
    } = it;
    patiently("the server ends", server.stop())
        .await
        .expect("ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_and_health_watches_do_not_hold_the_drain_up() {
    let it = Harness::with(&["--drain-limit", "1h"]).await;
    let _watches = join_all(ALL.map(|service| it.watch_health(service))).await;
    let _idle = it.connect().await;
    let Harness {
        server,
        database: _kept,
    } = it;
    patiently("the server ends", server.stop())
        .await
        .expect("ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_preface_do_not_hold_the_drain_up() {
    let it = Harness::with(&["--drain-limit", "1h", "--keepalive-timeout", "2s"]).await;
    let _silent = TcpStream::connect(&it.address).await.expect("it listens");
    let mut slow = TcpStream::connect(&it.address).await.expect("it listens");
    slow.write_all(b"PRI * HTTP/2").await.expect("is sent");
    // Connections are accepted in turn.
    it.connect().await;
    let Harness {
        server,
        database: _kept,
    } = it;
    patiently("the server ends", server.stop())
        .await
        .expect("ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_exits_with_0_at_sigterm_and_at_sigint() {
    let it = Harness::start().await;
    for signal in ["TERM", "INT"] {
        let process = Process::serve(it.database.url(), &[]).await;
        process.line_with("\"serving\"").await;
        process.signal(signal);
        let (status, log) = process.end().await;
        assert_eq!(status.code(), Some(0), "{signal}: {log:#?}");
        assert!(log.last().is_some_and(|line| line.contains("\"stopped\"")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_has_no_database_yet_exits_with_0_at_sigterm() {
    let process = Process::serve("postgresql://nobody@127.0.0.1:1/none", &[]).await;
    process.line_with("waiting for the database").await;
    process.signal("TERM");
    let (status, log) = process.end().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_with_a_call_that_hangs_exits_with_0_at_the_limit() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let process = Process::serve(it.database.url(), &["--drain-limit", "100ms"]).await;
    process.line_with("\"serving\"").await;
    let _lock = it.database.lock(SESSIONS).await;
    let auth = AuthClient::new(process.channel().await);
    let call = tokio::spawn(refresh(auth, phone.refresh_token));
    it.database.wait_for_blocked(1).await;

    process.signal("TERM");
    let (status, log) = process.end().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(
        log.iter().any(|line| line.contains("drain limit")),
        "{log:#?}"
    );
    call.await.expect("no panic").expect_err("was cut off");
}

async fn refresh(
    mut auth: AuthClient<Channel>,
    refresh_token: String,
) -> Result<tonic::Response<RefreshResponse>, Status> {
    let request = RefreshRequest {
        refresh_token,
        request_id: request_id(),
        ..RefreshRequest::default()
    };
    auth.refresh(request).await
}

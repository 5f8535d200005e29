//! `/livez` and `/readyz`, from the start to the end, and a port that is of no use.

use std::io;

use futures_util::future::join_all;
use rollcall::server::{self, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic_health::pb::health_check_response::ServingStatus;

use super::scrape::{PORT, ask, get, start};
use crate::harness::{
    Database, Harness, OwnCluster, Replica, config, patiently, pause, request_id,
};

async fn probes(server: &Replica) -> (u16, u16) {
    let port = server.operations();
    (
        get(port, "/livez").await.status,
        get(port, "/readyz").await.status,
    )
}

/// Waits until readiness has this status.
async fn wait_for_readyz(server: &Replica, status: u16) {
    let waiting = async {
        while get(server.operations(), "/readyz").await.status != status {
            pause().await;
        }
    };
    patiently("readiness", waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_database_and_liveness_does_not() {
    let mut cluster = OwnCluster::start(&[]).await;
    cluster.stop().await;
    let server = Replica::launch(cluster.url(), &PORT).await;
    assert_eq!(probes(&server).await, (200, 503));

    cluster.start_again().await;
    server.wait_until_serving().await;
    assert_eq!(probes(&server).await, (200, 200));
    let up = super::scrape::scrape(&server).await;
    assert_eq!(up.value("rollcall_database_up"), 1.0);
    assert_eq!(up.value("rollcall_ready"), 1.0);

    cluster.stop().await;
    server
        .wait_for_health("rollcall.v1.Auth", ServingStatus::NotServing)
        .await;
    assert_eq!(probes(&server).await, (200, 503));
    let scraped = super::scrape::scrape(&server).await;
    assert_eq!(scraped.value("rollcall_database_up"), 0.0);
    assert_eq!(scraped.value("rollcall_ready"), 0.0);

    cluster.start_again().await;
    wait_for_readyz(&server, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_ends_with_the_signal_and_the_port_with_the_server() {
    let mut it = start(&["--drain-pause", "1h"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    it.server.begin_stop();
    wait_for_readyz(&it, 503).await;
    // Load balancers may still send calls, and they are counted.
    it.refresh(&phone.refresh_token, &request_id())
        .await
        .expect("is answered");
    assert_eq!(probes(&it).await, (200, 503));

    let it = start(&[]).await;
    let port = it.operations();
    let Harness {
        server,
        database: _kept,
    } = it;
    patiently("the server ends", server.stop())
        .await
        .expect("ends well");
    TcpStream::connect(port).await.expect_err("nobody listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_answered() {
    let it = start(&[]).await;
    for path in ["/", "/metrics/", "/debug", "/.well-known/jwks.json"] {
        assert_eq!(get(it.operations(), path).await.status, 404, "{path}");
    }
    for path in ["/metrics", "/livez", "/readyz"] {
        let posted = ask(it.operations(), "POST", path).await;
        assert_eq!(posted.status, 405, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_with_a_large_head_is_cut_off() {
    let it = start(&[]).await;
    let mut stream = TcpStream::connect(it.operations()).await.expect("connects");
    let padding = "x".repeat(17 * 1024);
    let head = format!("GET /livez HTTP/1.1\r\nhost: o.test\r\nx: {padding}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("is sent");
    let mut buffer = Vec::new();
    let read = stream.read_to_end(&mut buffer);
    // Reset or closed, with no answer of success.
    let _ = patiently("the connection ends", read).await;
    assert!(!String::from_utf8_lossy(&buffer).contains("200 OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn crowd_on_the_port_does_not_reach_the_calls() {
    let it = start(&[]).await;
    it.create_user("ana", &[]).await;
    let connect = || async { TcpStream::connect(it.operations()).await.expect("connects") };
    let _silent = join_all((0..200).map(|_| connect())).await;
    let phone = it.sign_in("ana").await;
    it.refresh(&phone.refresh_token, &request_id())
        .await
        .expect("is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn crowd_of_silent_peers_pushes_out_itself_and_not_a_probe() {
    let it = start(&[]).await;
    let connect = || async { TcpStream::connect(it.operations()).await.expect("connects") };
    // The oldest, and one whose time begins anew with each answer.
    let mut first = connect().await;
    is_answered(&mut first).await.expect("is answered");
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(connect().await);
    }
    let probed = patiently("the probe is answered", get(it.operations(), "/livez")).await;
    assert_eq!(probed.status, 200);
    // It was not their silence that ended: the latest is still open.
    let latest = silent.last().expect("a hundred").try_read(&mut [0]);
    let latest = latest.expect_err("says nothing");
    assert_eq!(latest.kind(), std::io::ErrorKind::WouldBlock);
    let closed = async { while is_answered(&mut first).await.is_ok() {} };
    patiently("the first is closed", closed).await;
}

/// Asks on a connection that stays open.
async fn is_answered(stream: &mut TcpStream) -> io::Result<()> {
    let head = "GET /livez HTTP/1.1\r\nhost: o.test\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    match stream.read(&mut [0; 1024]).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let database = Database::create().await;
    let config = config(database.url(), &["--operations-listen", &address]);
    let Err(error) = Server::bind(config).await else {
        panic!("was bound twice");
    };
    assert!(matches!(error, server::Error::Listen { .. }));
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_option_there_is_no_port() {
    let it = Harness::start().await;
    assert_eq!(it.operations, None);
}

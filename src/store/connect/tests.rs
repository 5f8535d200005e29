use std::net::TcpListener;

use diesel_async::SimpleAsyncConnection;

use super::*;
use crate::store::test_server::TestServer;

const LIMIT: Duration = Duration::from_secs(30);

async fn connect(options: &str) -> Result<AsyncPgConnection, ConnectError> {
    let url: DatabaseUrl = format!("user=postgres dbname=postgres {options}")
        .parse()
        .unwrap();
    Connector::new(&url, Duration::ZERO, LIMIT)
        .unwrap()
        .connect()
        .await
}

/// The port that the connection's server listens on.
async fn port(connection: &mut AsyncPgConnection) -> String {
    let setting = diesel::dsl::sql::<diesel::sql_types::Text>("SHOW port");
    setting.get_result(connection).await.unwrap()
}

fn refused(result: Result<AsyncPgConnection, ConnectError>) -> String {
    result.err().unwrap().to_string()
}

#[tokio::test]
async fn the_next_host_is_tried_when_one_does_not_answer() {
    let server = TestServer::start();
    // Bound, so that nothing else takes it, and never accepting.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    for first in ["/nowhere", "127.0.0.1", "no-such-host.invalid"] {
        let options = format!(
            "host={first},127.0.0.1 port={silent},{} connect_timeout=3",
            server.port
        );
        let mut connection = connect(&options).await.unwrap();
        assert_eq!(port(&mut connection).await, server.port.to_string());
    }
}

#[tokio::test]
async fn a_failure_shows_what_became_of_each_host() {
    let error = refused(connect("host=/nowhere,/nowhere/else port=1").await);
    assert!(error.starts_with("/nowhere:1 without TLS: "), "{error}");
    assert!(
        error.contains("No such file or directory (os error 2); /nowhere/else:1 "),
        "{error}"
    );
}

#[tokio::test]
async fn target_session_attrs_choose_among_servers() {
    let reader = TestServer::start_with(|_| "default_transaction_read_only = on\n".into());
    let writer = TestServer::start();
    let both = format!(
        "host=127.0.0.1,127.0.0.1 port={},{}",
        reader.port, writer.port
    );
    for (target, chosen) in [
        ("any", &reader),
        ("read-write", &writer),
        ("read-only", &reader),
        ("primary", &reader),
        ("prefer-standby", &reader),
    ] {
        let options = format!("{both} target_session_attrs={target}");
        let mut connection = connect(&options).await.unwrap();
        assert_eq!(
            port(&mut connection).await,
            chosen.port.to_string(),
            "{target}"
        );
    }
    let error = refused(connect(&format!("{both} target_session_attrs=standby")).await);
    assert!(error.contains("target_session_attrs"), "{error}");
}

#[tokio::test]
async fn options_of_the_address_win_over_ours() {
    let server = TestServer::start();
    let options = format!(
        "host={} port={} options='-c statement_timeout=7s'",
        server.folder.display(),
        server.port
    );
    let mut connection = connect(&options).await.unwrap();
    connection
        .batch_execute("DO $$ BEGIN ASSERT current_setting('statement_timeout') = '7s'; END $$")
        .await
        .unwrap();
}

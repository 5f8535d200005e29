//! How a server comes to serve: migrations, keys, listeners.

use std::{env, fs, process};

use diesel::{dsl, sql_types::Text};
use diesel_async::RunQueryDsl;
use futures_util::future::join_all;
use rollcall::{proto::v1, store};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::harness::{
    Database, Harness, Replica,
    process::{Process, rollcall as command},
    sql,
};

#[tokio::test(flavor = "multi_thread")]
async fn eight_servers_started_at_once_on_an_empty_database_share_one_active_and_one_next_key() {
    let database = Database::create_empty().await;
    let replicas = join_all((0..8).map(|_| Replica::start(&database, &[]))).await;
    let states = "SELECT state FROM signing_keys ORDER BY state";
    let states = database.sql(states).await;
    let states: Vec<String> = states.iter().map(|row| row.get(0)).collect();
    assert_eq!(states, ["active", "next"]);

    let first = &replicas[0];
    first.create_user("operator", &["admin"]).await;
    let admin = first.sign_in("operator").await;
    for replica in &replicas {
        let request = admin.request(v1::ListUsersRequest::default());
        let listed = replica.user_admin().list_users(request).await;
        listed.expect("the token of one is a token of all");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_must_not_migrate_refuses_an_old_schema() {
    let database = Database::create_empty().await;
    let process = Process::serve(database.url(), &["--no-migrate"]).await;
    let (status, lines) = process.end().await;
    assert!(!status.success());
    let said = lines.last().expect("a line");
    assert!(
        said.contains("the schema lacks 2026-11-24-000000_foundation"),
        "{said}"
    );
    assert!(said.contains("rollcall migrate"), "{said}");

    let url = database.url().parse().expect("a URL");
    assert!(!store::migrate(&url).await.expect("migrates").is_empty());
    assert!(store::migrate(&url).await.expect("migrates").is_empty());
    Replica::start(&database, &["--no-migrate"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_under_another_master_key_is_refused() {
    let it = Harness::start().await;
    let other = rollcall::identity::MasterKey::generate().expect("random bytes");
    let options = ["--master-key", &*other.expose()];
    let replica = Replica::launch(it.database.url(), &options).await;
    let ended = replica.end().await.expect_err("cannot serve");
    let said = rollcall::error_chain(&ended);
    assert!(said.contains("set up with another master key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_socket_is_served_and_removed_at_the_end() {
    let database = Database::create().await;
    let path = env::temp_dir().join(format!("rollcall-it-{}.sock", process::id()));
    let address = format!("unix:{}", path.display());
    // A socket file that a killed server left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    let serve = ["serve", "--listen", &address];
    let server = Process::start(command(&serve), database.url()).await;
    let request = HealthCheckRequest::default();
    let health = HealthClient::new(server.channel().await)
        .check(request)
        .await;
    health.expect("answers");

    let second = Process::spawn(command(&["serve", "--listen", &address]), database.url());
    let (status, lines) = second.end().await;
    assert!(!status.success());
    let said = lines.join("\n");
    assert!(
        said.contains(&format!("cannot listen on {address}")),
        "{said}"
    );

    server.signal("TERM");
    let (status, _) = server.end().await;
    assert!(status.success());
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_no_socket_is_not_replaced() {
    let database = Database::create().await;
    let path = env::temp_dir().join(format!("rollcall-it-{}.txt", process::id()));
    fs::write(&path, "precious").expect("writes");
    let address = format!("unix:{}", path.display());
    let server = Process::spawn(command(&["serve", "--listen", &address]), database.url());
    let (status, _) = server.end().await;
    assert!(!status.success());
    assert_eq!(fs::read_to_string(&path).expect("is there"), "precious");
    fs::remove_file(path).expect("removes");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeatable_read_as_a_database_default_does_not_count() {
    let it = Harness::start().await;
    let alter = "ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'";
    it.sql(&alter.replace("{}", it.database.name())).await;
    let replica = it.replica().await;
    let query = "current_setting('transaction_isolation')";
    let mut conn = replica.identity.pool().get().await.expect("a connection");
    let found: String = diesel::select(dsl::sql::<Text>(query))
        .get_result(&mut *conn)
        .await
        .expect("asks");
    assert_eq!(found, "read committed");
    let elsewhere = sql(it.database.url(), &format!("SELECT {query}")).await;
    assert_eq!(elsewhere[0].get::<_, &str>(0), "repeatable read");
}

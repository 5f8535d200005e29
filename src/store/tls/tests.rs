use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use diesel::{dsl::sql, sql_types::Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::store::{
    DatabaseUrl, Pool, PoolOptions,
    connect::Connector,
    test_server::{TestServer, give_to_postgres},
};

fn openssl(folder: &Path, arguments: &str) {
    let status = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "openssl {arguments}");
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// Makes `name.crt`, which says that it is an authority, and `name.key`.
fn make_authority(folder: &Path, name: &str, subject: &str) {
    openssl(
        folder,
        &format!("req -x509 {NEW_KEY} -keyout {name}.key -out {name}.crt -days 2 -subj {subject}"),
    );
}

/// A server for localhost that speaks nothing but TLS by TCP, with a certificate made
/// by `certify`, which must leave `server.crt` and `server.key`.
fn start(certify: impl FnOnce(&Path)) -> TestServer {
    TestServer::start_with(|data| {
        certify(data);
        for file in ["server.crt", "server.key"] {
            give_to_postgres(&data.join(file));
            fs::set_permissions(data.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let rules = "local all all trust\n\
                     hostssl all postgres 127.0.0.1/32 trust\n\
                     hostnossl all plain 127.0.0.1/32 trust\n\
                     hostssl all certified 127.0.0.1/32 cert\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
        "ssl = on\nssl_ca_file = 'ca.crt'\n".into()
    })
}

/// A certificate for localhost from an authority, and the same from another authority.
fn certified(data: &Path) {
    make_authority(data, "ca", "/CN=authority");
    make_authority(data, "other", "/CN=other");
    fs::write(data.join("names"), "subjectAltName=DNS:localhost").unwrap();
    for (name, subject) in [("server", "/CN=localhost"), ("client", "/CN=certified")] {
        openssl(
            data,
            &format!("req {NEW_KEY} -keyout {name}.key -out {name}.csr -subj {subject}"),
        );
        let sign = format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -days 2 -out {name}.crt -extfile names"
        );
        openssl(data, &sign);
    }
}

fn url(server: &TestServer, options: &str) -> DatabaseUrl {
    let data = server.folder.join("data");
    let options = options.replace("DATA", data.to_str().unwrap());
    format!(
        "user=postgres dbname=postgres port={} {options}",
        server.port
    )
    .parse()
    .unwrap()
}

async fn connect(server: &TestServer, options: &str) -> Result<AsyncPgConnection, String> {
    Connector::new(
        &url(server, options),
        Duration::ZERO,
        Duration::from_secs(30),
    )
    .map_err(|error| error.to_string())?
    .connect()
    .await
    .map_err(|error| error.to_string())
}

/// Whether the connection made with `options` is encrypted.
async fn encrypted(server: &TestServer, options: &str) -> Result<bool, String> {
    let mut connection = connect(server, options).await?;
    let query = sql::<Bool>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    Ok(query.get_result(&mut connection).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_accepts_and_refuses_what_libpq_does() {
    let server = start(certified);
    let mut connection = server.pool(1).get().await.unwrap();
    connection
        .batch_execute("CREATE ROLE plain LOGIN; CREATE ROLE certified LOGIN")
        .await
        .unwrap();
    for (options, expected) in [
        ("host=localhost sslmode=disable", Err("no encryption")),
        ("host=localhost sslmode=allow", Ok(true)),
        ("host=localhost user=plain sslmode=allow", Ok(false)),
        ("host=localhost", Ok(true)),
        ("host=localhost user=plain sslmode=prefer", Ok(false)),
        ("host=localhost sslmode=require", Ok(true)),
        (
            "host=localhost user=plain sslmode=require",
            Err("pg_hba.conf"),
        ),
        ("host=127.0.0.1 sslmode=require", Ok(true)),
        ("hostaddr=127.0.0.1 sslmode=require", Ok(true)),
        (
            "host=localhost sslmode=require sslrootcert=DATA/ca.crt",
            Ok(true),
        ),
        (
            "host=localhost sslmode=require sslrootcert=DATA/other.crt",
            Err("invalid peer certificate"),
        ),
        (
            "host=localhost sslmode=verify-ca sslrootcert=DATA/ca.crt",
            Ok(true),
        ),
        (
            "host=127.0.0.1 sslmode=verify-ca sslrootcert=DATA/ca.crt",
            Ok(true),
        ),
        (
            "host=localhost sslmode=verify-ca sslrootcert=DATA/other.crt",
            Err("invalid peer certificate"),
        ),
        (
            "host=localhost sslmode=verify-full sslrootcert=DATA/ca.crt",
            Ok(true),
        ),
        (
            "host=localhost sslmode=verify-full sslrootcert=DATA/other.crt",
            Err("invalid peer certificate"),
        ),
        (
            "host=127.0.0.1 sslmode=verify-full sslrootcert=DATA/ca.crt",
            Err("not valid for name"),
        ),
        (
            "host=db.example hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=DATA/ca.crt",
            Err("not valid for name"),
        ),
        (
            "host=localhost sslrootcert=system",
            Err("invalid peer certificate"),
        ),
        (
            "host=localhost sslmode=verify-full sslrootcert=DATA/none.crt",
            Err("none.crt"),
        ),
        (
            "host=localhost sslmode=verify-full sslrootcert=DATA/ca.key",
            Err("ca.key"),
        ),
        (
            "host=DATA/.. sslmode=verify-full sslrootcert=DATA/ca.crt",
            Ok(false),
        ),
        (
            "host=localhost user=certified sslmode=verify-full sslrootcert=DATA/ca.crt sslcert=DATA/client.crt sslkey=DATA/client.key",
            Ok(true),
        ),
        (
            "host=localhost user=certified sslmode=require",
            Err("client certificate"),
        ),
        (
            "host=localhost sslmode=require sslcert=DATA/client.crt sslkey=DATA/ca.key",
            Err("client.crt"),
        ),
    ] {
        let result = encrypted(&server, options).await;
        match (&result, expected) {
            (Ok(is), Ok(should)) => assert_eq!(*is, should, "{options}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{options}: {error}"),
            _ => panic!("{options}: {result:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_server_certificate_is_its_own_root() {
    let server = start(|data| {
        let extension = "-addext subjectAltName=DNS:localhost";
        make_authority(data, "server", &format!("/CN=localhost {extension}"));
        make_authority(data, "other", &format!("/CN=localhost {extension}"));
        fs::copy(data.join("server.crt"), data.join("ca.crt")).unwrap();
    });
    let full = "sslmode=verify-full sslrootcert=DATA";
    assert_eq!(
        encrypted(&server, &format!("host=localhost {full}/ca.crt")).await,
        Ok(true)
    );
    assert!(
        encrypted(&server, &format!("host=127.0.0.1 {full}/ca.crt"))
            .await
            .is_err()
    );
    assert!(
        encrypted(&server, &format!("host=localhost {full}/other.crt"))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_1_certificate_will_do_where_none_is_checked() {
    let server = start(|data| {
        make_authority(data, "ca", "/CN=authority");
        openssl(
            data,
            &format!("req {NEW_KEY} -keyout server.key -out server.csr -subj /CN=localhost"),
        );
        openssl(
            data,
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -days 2 -out server.crt",
        );
    });
    assert_eq!(
        encrypted(&server, "host=localhost sslmode=require").await,
        Ok(true)
    );
    let checked = "host=localhost sslmode=verify-ca sslrootcert=DATA/ca.crt";
    assert!(encrypted(&server, checked).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_canceled_over_tls() {
    let server = start(certified);
    let options = PoolOptions {
        max_connections: std::num::NonZeroUsize::MIN,
        statement_timeout: Duration::ZERO,
        connection_timeout: Duration::from_secs(20),
    };
    let full = url(
        &server,
        "host=localhost sslmode=verify-full sslrootcert=DATA/ca.crt",
    );
    let pool = Pool::new(&full, &options).unwrap();
    let mut connection = pool.get().await.unwrap();
    let request = tokio::spawn(async move {
        let _ = diesel::sql_query("SELECT pg_sleep(600)")
            .execute(&mut connection)
            .await;
    });
    let asleep = "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')";
    server.wait_until(asleep).await;
    request.abort();
    server.wait_until(&format!("NOT {asleep}")).await;
    assert!(pool.get().await.is_ok());
}

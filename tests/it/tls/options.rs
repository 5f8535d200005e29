//! Options and files that cannot be used, by name.

use rollcall::{
    error_chain,
    server::{Error, Server},
};

use super::{
    Authority,
    authority::{Files, Wanted},
};
use crate::harness::config;

/// Nothing is asked of it.
const URL: &str = "host=/nowhere";

#[tokio::test(flavor = "multi_thread")]
async fn options_that_belong_together_are_required_together() {
    for (options, expected) in [
        (
            &["--tls-certificate", "c"][..],
            "--tls-certificate must be given with --tls-key",
        ),
        (
            &["--tls-key", "k"],
            "--tls-key must be given with --tls-certificate",
        ),
        (
            &["--tls-client-ca", "a"],
            "--tls-client-ca must be given with --tls-certificate",
        ),
        (
            &[
                "--tls-certificate=c",
                "--tls-key=k",
                "--tls-client-auth=optional",
            ],
            "--tls-client-auth must be given with --tls-client-ca",
        ),
        (
            &["--tls-certificate=c", "--tls-key=k", "--listen", "unix:/s"],
            "--tls-certificate must be left out where --listen is a unix socket",
        ),
        (
            &["--tls-reload-interval", "1ms"],
            "--tls-reload-interval must be 10ms to 1day",
        ),
        (
            &["--auth-callers=known", "--auth-caller-sans=orders"],
            "--auth-caller-sans must be given with --auth-callers known and --tls-client-ca",
        ),
        (
            &[
                "--tls-certificate=c",
                "--tls-key=k",
                "--tls-client-ca=a",
                "--auth-caller-sans=orders",
            ],
            "--auth-caller-sans must be given with --auth-callers known and --tls-client-ca",
        ),
    ] {
        let refused = config(URL, options).validate().expect_err("makes no sense");
        assert_eq!(refused.to_string(), expected, "{options:?}");
    }
}

async fn refused(files: &Files) -> String {
    let options = files.options();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    let client_ca = files.path("client-ca.pem");
    if std::fs::exists(&client_ca).expect("a folder") {
        options.extend(["--tls-client-ca", &client_ca]);
    }
    let bound = Server::bind(config(URL, &options)).await;
    match bound.err() {
        Some(error @ Error::Tls(_)) => {
            let folder = files.path("");
            error_chain(&error).replace(&folder, "")
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_end_the_start_and_are_named_with_what_is_wrong() {
    let authority = Authority::new("authority");
    let mut good = authority.server();
    let mut said = Vec::new();
    let expired = authority.issue(Wanted::by("id.test").until(2021));
    said.push(refused(&Files::new(&expired)).await);
    let early = authority.issue(Wanted::by("id.test").from(3000));
    said.push(refused(&Files::new(&early)).await);

    let key = std::mem::replace(&mut good.key, authority.server().key);
    said.push(refused(&Files::new(&good)).await);
    good.key = "no key".to_owned();
    said.push(refused(&Files::new(&good)).await);
    good.key = key;

    let certificate = std::mem::take(&mut good.certificate);
    said.push(refused(&Files::new(&good)).await);
    good.certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    said.push(refused(&Files::new(&good)).await);
    good.certificate = certificate;

    let files = Files::new(&good);
    files.write("client-ca.pem", "no authority");
    said.push(refused(&files).await);
    files.write("client-ca.pem", &expired.certificate);
    said.push(refused(&files).await);
    files.write("client-ca.pem", &early.certificate);
    said.push(refused(&files).await);
    let missing = Files::new(&good);
    std::fs::remove_file(missing.path("tls.key")).expect("is there");
    said.push(refused(&missing).await);
    insta::assert_snapshot!(said.join("\n"));
}

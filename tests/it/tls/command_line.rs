//! The command line behind TLS, as a process.

use std::net::Ipv4Addr;

use rcgen::SanType;

use super::{
    Authority, NAME,
    authority::{Files, Wanted},
    endpoint,
};
use crate::harness::{
    Database, PASSWORD, Replica,
    process::{rollcall, run},
};

#[tokio::test(flavor = "multi_thread")]
async fn command_trusts_the_authorities_of_its_ca_file_and_no_others() {
    let authority = Authority::new("authority");
    let mut wanted = Wanted::by(NAME);
    wanted
        .sans
        .push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    let files = Files::new(&authority.issue(wanted));
    files.write("ca.pem", &authority.pem());
    files.write("other.pem", &Authority::new("other").pem());
    let database = Database::create().await;
    let options = files.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let tls = authority.trusted();
    let it = Replica::launch_at(database.url(), &options, |it| endpoint(&tls, it)).await;
    it.wait_until_serving().await;
    it.create_user("ana", &[]).await;

    let server = format!("https://{}", it.address);
    let say = async |ca: &str, words: &[&str]| {
        let mut command = rollcall(&[words, &["--server", &server]].concat());
        command.env("ROLLCALL_CREDENTIALS", files.path("credentials"));
        // The system's authorities, one of which has signed.
        command.env("SSL_CERT_FILE", files.path("ca.pem"));
        if !ca.is_empty() {
            command.args(["--ca", &files.path(ca)]);
        }
        let output = run(command, PASSWORD).await;
        let err = String::from_utf8(output.stderr).expect("UTF-8");
        (output.status.code(), err)
    };
    let login = ["login", "ana", "--password-stdin"];
    let (code, err) = say("other.pem", &login).await;
    assert!(err.contains("UnknownIssuer"), "{err}");
    assert_eq!(code, Some(4));
    let (code, err) = say("nowhere.pem", &login).await;
    assert_eq!(code, Some(2), "{err}");
    for words in [&login[..], &["sessions", "mine"], &["health"], &["logout"]] {
        let (code, err) = say("ca.pem", words).await;
        assert_eq!(code, Some(0), "{words:?}: {err}");
    }
}

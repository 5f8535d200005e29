//! Certificates that change while the server runs.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use rollcall::client::Tls;
use time::OffsetDateTime;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    Authority, Behind, NAME, attempt,
    authority::{Files, Wanted},
    endpoint,
};
use crate::{
    harness::{Database, patiently, pause, process::Process},
    operations::scrape::{PORT, scrape},
};

/// Waits until a client that trusts this authority alone is served.
async fn until_served(tls: &Tls, address: &str) {
    let endpoint = endpoint(tls, address);
    let trying = async { while attempt(&endpoint).await.is_err() {} };
    patiently("the new certificate is shown", trying).await;
}

async fn call(channel: &Channel) {
    let mut client = HealthClient::new(channel.clone());
    let checked = client.check(HealthCheckRequest::default()).await;
    checked.expect("an open connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificate_is_shown_to_new_connections_while_no_call_and_no_connection_fails() {
    let it = Behind::start(&[]).await;
    let next = Authority::new("next");
    let both = Tls::new().server_name(NAME);
    let both = both.ca_pem(format!("{}{}", it.authority.pem(), next.pem()));
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let load: Vec<_> = (0..3)
        .map(|_| {
            let (stop, count) = (stop.clone(), count.clone());
            let (endpoint, open) = (endpoint(&both, &it.address), it.channel.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    attempt(&endpoint)
                        .await
                        .expect("a new connection is served");
                    call(&open).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    it.files.put(&next.server());
    until_served(&next.trusted(), &it.address).await;
    let before = count.load(Ordering::Relaxed);
    let going_on = || count.load(Ordering::Relaxed) > before;
    crate::harness::eventually("the load goes on", going_on).await;
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.expect("nothing failed");
    }
    // It was opened with the certificate from before.
    call(&it.channel).await;
    let old = it.attempt(&it.authority.trusted()).await;
    assert!(
        old.expect_err("has another certificate")
            .contains("UnknownIssuer")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn new_authorities_of_clients_count_for_new_connections() {
    let it = Behind::mutual(&[], "orders.internal").await;
    let next = Authority::new("next");
    it.files.write("client-ca.pem", &next.pem());
    let trusted = it.authority.trusted();
    until_served(&next.client("orders.internal").shown(trusted), &it.address).await;
    call(&it.channel).await;
    let old = it.authority.client("orders.internal");
    let old = it.attempt(&old.shown(it.authority.trusted())).await;
    old.expect_err("of the authority from before");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_the_certificates_in_use_are_measured() {
    let it = Behind::mutual(&PORT, "orders.internal").await;
    let end =
        |whose| format!("rollcall_certificate_expiry_timestamp_seconds{{certificate=\"{whose}\"}}");
    let (listener, clients) = (end("listener"), end("client_ca"));
    let before = scrape(&it).await;
    assert_eq!(before.value(&listener), 64_092_124_800.0, "4000-12-31");
    assert_eq!(before.value(&clients), 67_090_118_400.0, "4096-01-01");

    // Of several authorities, the first that ends.
    let short = it.authority.issue(Wanted::by("short").until(3500));
    let bundle = it.authority.pem() + &short.certificate;
    it.files.write("client-ca.pem", &bundle);
    it.files
        .put(&it.authority.issue(Wanted::by(NAME).until(3000)));
    let until_taken = async {
        loop {
            let now = scrape(&it).await;
            if [&listener, &clients]
                .iter()
                .all(|end| now.value(end) != before.value(end))
            {
                break;
            }
            pause().await;
        }
    };
    patiently("the new certificate is measured", until_taken).await;
    assert_eq!(
        scrape(&it).await.value(&listener),
        32_535_129_600.0,
        "3000-12-31"
    );
    assert_eq!(
        scrape(&it).await.value(&clients),
        48_313_584_000.0,
        "3500-12-31"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_change_nothing_and_are_told_once_with_the_end_of_what_is_in_use() {
    let database = Database::create().await;
    let (authority, next) = (Authority::new("authority"), Authority::new("next"));
    let files = Files::new(&authority.server());
    let options = files.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let process = Process::serve(database.url(), &options).await;
    let address = process.address().to_owned();

    let mut broken = next.server();
    broken.key = authority.server().key;
    files.put(&broken);
    let line = process.line_with("new TLS files cannot be used").await;
    assert!(line.contains("is not that of the certificate in"), "{line}");
    assert!(
        line.contains("\"expires\":\"4000-12-31T00:00:00Z\""),
        "{line}"
    );
    for _ in 0..5 {
        let old = endpoint(&authority.trusted(), &address);
        attempt(&old)
            .await
            .expect("the certificate from before is shown");
    }

    files.put(&next.server());
    until_served(&next.trusted(), &address).await;
    process.signal("TERM");
    let (status, lines) = process.end().await;
    assert!(status.success());
    let told = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(told("new TLS files cannot be used"), 1, "{lines:#?}");
    assert_eq!(told("this TLS certificate is in use"), 2, "{lines:#?}");
    assert_eq!(told("expires soon"), 0, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_a_certificate_is_warned_of_from_14_days_before() {
    let database = Database::create().await;
    let authority = Authority::new("authority");
    let ends_in = |days| {
        let end =
            OffsetDateTime::now_utc() + time::Duration::days(days) + time::Duration::hours(12);
        authority.issue_until(Wanted::by(NAME), end)
    };
    let files = Files::new(&ends_in(15));
    let options = files.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let process = Process::serve(database.url(), &options).await;
    files.put(&ends_in(13));
    let line = process.line_with("the TLS certificate expires soon").await;
    assert!(line.contains("\"days\":13"), "{line}");
    process.signal("TERM");
    let (status, lines) = process.end().await;
    assert!(status.success());
    let told = lines.iter().filter(|line| line.contains("expires soon"));
    assert_eq!(told.count(), 1, "once a day: {lines:#?}");
}

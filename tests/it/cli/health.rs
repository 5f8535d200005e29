//! `rollcall health`: the probe of a container.

use tokio::net::TcpListener;

use super::Person;
use crate::harness::{Harness, OwnCluster, Process, Replica};

#[tokio::test(flavor = "multi_thread")]
async fn probe_tells_serving_not_serving_and_unreachable_apart() {
    let it = Harness::start().await;
    let person = Person::at(&format!("http://{}", it.address));
    assert_eq!(
        person.say(&["health", "--timeout=1m"]).await.done(),
        "serving\n"
    );
    let service = ["health", "--timeout=1m", "--service", "rollcall.v1.Auth"];
    assert_eq!(person.say(&service).await.done(), "serving\n");
    let unknown = person
        .say(&["health", "--timeout=1m", "--service", "Auth"])
        .await
        .failed(1);
    assert!(unknown.contains("there is no service `Auth`"), "{unknown}");

    let mut cluster = OwnCluster::start(&[]).await;
    cluster.stop().await;
    let waiting = Replica::launch(cluster.url(), &[]).await;
    let server = format!("http://{}", waiting.address);
    let not = [&service[..], &["--server", &server]].concat();
    assert_eq!(person.say(&not).await.failed(1), "rollcall: not serving\n");

    let nowhere = ["health", "--timeout=1m", "--server", "http://127.0.0.1:1"];
    let unreachable = person.say(&nowhere).await.failed(4);
    assert!(unreachable.contains("cannot be reached"), "{unreachable}");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let silent = format!("http://{}", silent.local_addr().expect("bound"));
    let silent = ["health", "--server", &silent, "--timeout", "100ms"];
    let late = person.say(&silent).await.failed(4);
    assert!(late.contains("within 100ms"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_socket_is_probed_and_signed_in_on() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    let socket = person.folder().join("rollcall.sock");
    let listen = format!("unix:{}", socket.display());
    let mut command = crate::harness::process::rollcall(&["serve", "--listen", &listen]);
    command.env("ROLLCALL_LOG", "info");
    let process = Process::start(command, it.database.url()).await;
    process.line_with("\"serving\"").await;
    let health = ["health", "--timeout=1m", "--server", &listen];
    assert_eq!(person.say(&health).await.done(), "serving\n");
    let get = ["sessions", "get", &session.session_id, "--server", &listen];
    person.say(&get).await.done();
}

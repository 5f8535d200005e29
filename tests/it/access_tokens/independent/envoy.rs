//! Envoy with tests/clients/envoy.yaml, in front of examples/protected_service.rs.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tonic::Code;

use super::{Forge, LEAD, Temporary, World};
use crate::{
    access_tokens::mint::header,
    harness::{PASSWORD, Process, patiently, pause, process},
};

/// A service, and Envoy in front of it.
struct Gateway {
    address: SocketAddr,
    /// Describes the service to grpcurl.
    descriptors: Temporary,
    _service: Process,
    _envoy: Process,
}

impl Gateway {
    async fn start(world: &World) -> Self {
        world.it.create_user("orders", &["service"]).await;
        let (behind, address) = (free_address(), free_address());
        let example = Path::new(env!("CARGO_BIN_EXE_rollcall"))
            .with_file_name("examples")
            .join("protected_service");
        let mut service = Command::new(example);
        service
            .env("LISTEN", behind.to_string())
            .env("ROLLCALL_URL", world.url())
            .env("ROLLCALL_ISSUER", "https://id.test")
            .env("ROLLCALL_LOGIN", "orders")
            .env("ROLLCALL_PASSWORD", PASSWORD);
        let service = Process::of(service);
        let mut envoy = Command::new("envoy");
        envoy.args(["--disable-hot-restart", "--concurrency", "1"]);
        envoy.args(["--config-yaml", &configuration(world, behind, address)]);
        let envoy = Process::of(envoy);
        envoy.line_with("starting workers").await;
        let listens = async {
            while TcpStream::connect(behind).await.is_err() {
                pause().await;
            }
        };
        patiently("the service listens", listens).await;
        let name = format!("health-{}.bin", address.port());
        Self {
            address,
            descriptors: Temporary::write(&name, tonic_health::pb::FILE_DESCRIPTOR_SET),
            _service: service,
            _envoy: envoy,
        }
    }

    /// Calls the service by gRPC, and answers the status and what grpcurl prints.
    async fn call(&self, token: Option<&str>) -> (Code, String) {
        let mut command = Command::new("grpcurl");
        command.args(["-plaintext", "-max-time", "30", "-protoset"]);
        command.arg(&self.descriptors.0);
        if let Some(token) = token {
            command.args(["-H", &format!("authorization: Bearer {token}")]);
        }
        command.args([&self.address.to_string(), "grpc.health.v1.Health/Check"]);
        let output = process::run(command, "").await;
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        // It adds 64 to the code of the RPC.
        let code = match output.status.code() {
            Some(0) => Code::Ok,
            Some(status) if status > 64 => Code::from(status - 64),
            _ => panic!("{said}"),
        };
        (code, said)
    }

    /// The status of the answer to a request by HTTP/1.1, and whether it is the service's.
    async fn status(&self, token: &str) -> (u16, bool) {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        let request = format!(
            "GET / HTTP/1.1\r\nhost: service\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("writes");
        // Envoy does not close at once.
        let mut head = String::new();
        let mut lines = BufReader::new(stream);
        while !head.ends_with("\r\n\r\n") {
            lines.read_line(&mut head).await.expect("reads");
        }
        let status = head.split(' ').nth(1).expect("a status");
        // It tells how long the service took, where it asked it.
        let is_of_service = head.contains("x-envoy-upstream-service-time");
        (status.parse().expect("a number"), is_of_service)
    }

    async fn lets_through(&self, what: &str, token: &str) {
        let (code, said) = self.call(Some(token)).await;
        assert_eq!(code, Code::Ok, "{what}: {said}");
        assert!(said.contains("SERVING"), "{said}");
        assert_eq!(self.status(token).await, (200, true), "{what}");
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("is bound")
}

/// The configuration as it is in the file, but for who listens where and the issuer.
fn configuration(world: &World, behind: SocketAddr, address: SocketAddr) -> String {
    let mut text = fs::read_to_string("tests/clients/envoy.yaml").expect("reads");
    let rollcall: SocketAddr = world.it.address.parse().expect("an address");
    for (written, meant) in [
        ("issuer: http://127.0.0.1:50051", "issuer: https://id.test"),
        ("50050", &address.port().to_string()),
        ("50051", &rollcall.port().to_string()),
        ("50052", &behind.port().to_string()),
    ] {
        assert!(text.contains(written), "{written}");
        text = text.replace(written, meant);
    }
    text
}

/// Bad tokens, and what Envoy itself says of them. What is for another audience, or not of
/// the type, it forbids.
fn told_apart(forge: &Forge) -> [(String, Code, &'static str); 4] {
    let session = &forge.session;
    let expired = forge.expired().remove(0).1;
    let forged = forge.mint.intruder().with_claims(session, |_| {});
    let audience = |claims: &mut Value| claims["aud"] = json!("other");
    let audience = forge.mint.with_claims(session, audience);
    let typ = |header: &mut Value| header["typ"] = json!("JWT");
    let typ = forge.mint.with_header(session, typ);
    let (refused, forbidden) = (Code::Unauthenticated, Code::PermissionDenied);
    [
        (expired, refused, "Jwt is expired"),
        (forged, refused, "Jwt verification fails"),
        (audience, forbidden, "Audiences in Jwt are not allowed"),
        (typ, forbidden, "RBAC: access denied"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "calls Envoy and grpcurl: source .ci/tools.sh, and build the examples"]
async fn envoy_lets_good_tokens_through_to_the_service_and_no_others() {
    let world = World::new().await;
    let gateway = Gateway::start(&world).await;
    for (what, token) in world.good().await {
        gateway.lets_through(&what, &token).await;
    }

    let bad = world.bad();
    let (answered, error) = gateway.call(None).await;
    assert_eq!(answered, Code::Unauthenticated, "{error}");
    assert!(error.contains("Jwt is missing"), "{error}");
    for (token, code, said) in told_apart(&world.forges[1]) {
        let (answered, error) = gateway.call(Some(&token)).await;
        assert_eq!(answered, code, "{error}");
        assert!(error.contains(said), "{error}");
    }
    // Envoy takes no notice of dots before three parts, nor of a fourth.
    let genuine = world.forges.map(|forge| forge.session.access_token);
    for (what, token) in bad {
        if genuine.iter().any(|genuine| token.contains(genuine)) {
            continue;
        }
        let (status, is_of_service) = gateway.status(&token).await;
        assert!(status == 401 || status == 403, "{what}: {status}");
        assert!(!is_of_service, "{what} reaches the service");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "calls Envoy and grpcurl: source .ci/tools.sh, and build the examples"]
async fn envoy_takes_tokens_of_the_new_key_and_of_the_old_after_a_rotation() {
    let world = World::new().await;
    let gateway = Gateway::start(&world).await;
    let next: String = world
        .it
        .scalar("SELECT kid FROM signing_keys WHERE state = 'next'")
        .await;
    world.it.database.age_keys("next", LEAD).await;
    let rotated = world
        .it
        .identity
        .rotate_signing_key(&Default::default())
        .await;
    rotated.expect("rotates");
    let after = world.it.sign_in("ana").await.access_token;
    assert_eq!(header(&after)["kid"], next);
    gateway.lets_through("the new key", &after).await;
    for forge in &world.forges {
        let before = &forge.session.access_token;
        gateway.lets_through("a key of before", before).await;
    }
}

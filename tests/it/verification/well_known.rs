//! The key set and the metadata over HTTP/1.1, as JWT middleware reads them.

use rollcall::proto::v1::GetJwksRequest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Harness, Replica};

/// A reply over HTTP/1.1.
struct Reply {
    status: u16,
    headers: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (given, value) = line.split_once(": ")?;
            given.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

async fn ask(it: &Replica, method: &str, path: &str, header: &str) -> Reply {
    let mut stream = TcpStream::connect(&it.address).await.expect("connects");
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("reads");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    Reply {
        status: status.parse().expect("a number"),
        headers: head.to_owned(),
        body: body.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_set_over_http_is_that_of_get_jwks() {
    let it = Harness::start().await;
    let reply = ask(&it, "GET", "/.well-known/jwks.json", "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    let mut keys = Vec::new();
    let answer = it.verification().get_jwks(GetJwksRequest {}).await;
    let answer = answer.expect("answers").into_inner();
    for key in answer.keys {
        keys.push(json!({
            "kty": key.kty, "use": key.r#use, "alg": key.alg, "kid": key.kid, "crv": key.crv,
            "x": key.x,
        }));
    }
    assert_eq!(answer.max_age_seconds, 300);
    assert_eq!(keys.len(), 2, "the one that signs, and the next");
    assert_eq!(reply.json(), json!({ "keys": keys }));
    assert!(!reply.body.contains("\"d\""), "no private half");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_set_that_is_known_is_not_sent_again() {
    let it = Harness::start().await;
    let first = ask(&it, "GET", "/.well-known/jwks.json", "").await;
    let tag = first.header("etag").expect("a tag");
    let known = format!("if-none-match: {tag}\r\n");
    let again = ask(&it, "GET", "/.well-known/jwks.json", &known).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let other = ask(
        &it,
        "GET",
        "/.well-known/jwks.json",
        "if-none-match: \"x\"\r\n",
    )
    .await;
    assert_eq!(other.body, first.body);
    let head = ask(&it, "HEAD", "/.well-known/jwks.json", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("etag"), Some(tag));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_names_the_issuer_and_where_its_keys_are() {
    let it = Harness::with(&["--issuer", "https://id.test/tenant/"]).await;
    let expected = json!({
        "issuer": "https://id.test/tenant/",
        "jwks_uri": "https://id.test/tenant/.well-known/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": [],
    });
    // RFC 8414 section 3.1 puts the issuer's path behind the well-known one.
    for path in ["", "/tenant"] {
        let path = format!("/.well-known/oauth-authorization-server{path}");
        let reply = ask(&it, "GET", &path, "").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json(), expected);
    }
    let keys = ask(&it, "GET", "/tenant/.well-known/jwks.json", "").await;
    assert_eq!(keys.status, 200, "they are where the metadata says");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_not_allowed() {
    let it = Harness::start().await;
    let reply = ask(
        &it,
        "POST",
        "/.well-known/jwks.json",
        "content-length: 0\r\n",
    )
    .await;
    assert_eq!(reply.status, 405);
    assert_eq!(reply.header("allow"), Some("GET, HEAD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_without_its_database_says_to_come_back() {
    let nowhere = "postgresql:///none?host=/nonexistent";
    let it = Replica::launch(nowhere, &[]).await;
    let reply = ask(&it, "GET", "/.well-known/jwks.json", "").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_well_known_is_not_to_be_had_over_http_1() {
    let it = Harness::start().await;
    for path in [
        "/",
        "/grpc.health.v1.Health/Watch",
        "/rollcall.v1.Auth/Refresh",
        "/.well-known/oauth-authorization-server/other",
    ] {
        let headers = "content-type: application/grpc\r\ncontent-length: 0\r\n";
        assert_eq!(ask(&it, "POST", path, headers).await.status, 505, "{path}");
    }
}

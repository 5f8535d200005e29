//! Connections that come about, and those that do not.

use std::sync::Arc;

use rollcall::{client::Tls, proto::v1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, HandshakeKind, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use super::{Authority, Behind, NAME};
use crate::harness::{patiently, request_id, successor};

#[tokio::test(flavor = "multi_thread")]
async fn calls_health_and_reflection_are_answered_over_tls_with_the_address_of_the_peer() {
    let it = Behind::start(&[]).await;
    it.create_user("ana", &[]).await;
    let signed_in = it.sign_in("ana").await;
    let device = signed_in.session.device.as_ref().expect("a device");
    assert_eq!(device.ip_address, "127.0.0.1");
    let refreshed = it.refresh(&signed_in.refresh_token, &request_id()).await;
    assert!(!successor(&refreshed.expect("refreshes")).is_empty());

    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut reflection = ServerReflectionClient::new(it.channel.clone());
    let requests = futures_util::stream::iter([list]);
    let replies = reflection.server_reflection_info(requests).await;
    let reply = replies.expect("answers").into_inner().message().await;
    assert!(reply.expect("a reply").is_some());
    // Health was asked at the start.
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_the_client_does_not_trust_is_refused_and_the_error_says_why() {
    let it = Behind::start(&[]).await;
    for (tls, expected) in [
        (
            Authority::new("other").trusted(),
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            it.authority.trusted().server_name("elsewhere.test"),
            "certificate not valid for name \"elsewhere.test\"",
        ),
        // The address is not in it either.
        (
            Tls::new().ca_pem(it.authority.pem()),
            "certificate not valid for name \"127.0.0.1\"",
        ),
    ] {
        let error = it.attempt(&tls).await.expect_err("is refused");
        assert!(error.contains(expected), "{error}");
    }
    it.attempt(&it.authority.trusted()).await.expect("is taken");
}

/// A client that trusts the server's authority and speaks these protocols.
fn client(it: &Behind, protocols: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let pem = it.authority.pem();
    let authority = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    roots.add(authority).expect("an authority");
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn shake_hands(it: &Behind, client: &TlsConnector) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(&it.address).await.expect("connects");
    let name = ServerName::try_from(NAME).expect("a name");
    client.connect(name, stream).await.expect("shakes hands")
}

/// A connection that negotiates these protocols.
async fn connect(it: &Behind, protocols: &[&str]) -> TlsStream<TcpStream> {
    shake_hands(it, &client(it, protocols)).await
}

/// Asks for the key set, reads all that the server has to say, and closes.
async fn read_keys(stream: &mut TlsStream<TcpStream>) -> String {
    let request =
        "GET /.well-known/jwks.json HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("reads");
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn key_set_is_read_by_http_1_over_tls() {
    let it = Behind::start(&[]).await;
    let mut stream = connect(&it, &["http/1.1"]).await;
    let protocol = stream.get_ref().1.alpn_protocol();
    assert_eq!(protocol, Some(&b"http/1.1"[..]));
    let reply = read_keys(&mut stream).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("\"keys\":["), "{reply}");

    let both = connect(&it, &["h2", "http/1.1"]).await;
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

/// A resumed session shows no certificate again: one that has expired would go on.
#[tokio::test(flavor = "multi_thread")]
async fn no_handshake_is_abbreviated_where_clients_show_certificates() {
    let plain = Behind::start(&[]).await;
    let options = ["--tls-client-auth", "optional"];
    let mutual = Behind::mutual(&options, "orders.internal").await;
    for (it, expected) in [
        (&plain, HandshakeKind::Resumed),
        (&mutual, HandshakeKind::Full),
    ] {
        let client = client(it, &["http/1.1"]);
        read_keys(&mut shake_hands(it, &client).await).await;
        let again = shake_hands(it, &client).await;
        assert_eq!(again.get_ref().1.handshake_kind(), Some(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peer_that_speaks_plain_text_is_closed() {
    let it = Behind::start(&[]).await;
    let mut stream = TcpStream::connect(&it.address).await.expect("connects");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    stream.write_all(preface).await.expect("writes");
    let mut answer = Vec::new();
    // An alert and the end, or a reset.
    let _ = patiently("it is closed", stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer[0] == 21, "an alert: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_who_never_finish_their_handshake_hold_up_nobody_and_are_closed() {
    let it = Behind::start(&["--keepalive-timeout", "2s"]).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(&it.address).await.expect("connects"));
    }
    // The begin of a handshake record that promises more.
    for stream in silent.iter_mut().take(100) {
        stream
            .write_all(&[22, 3, 1, 2, 0, 1])
            .await
            .expect("writes");
    }
    it.attempt(&it.authority.trusted())
        .await
        .expect("is served");
    let closing = async {
        for mut stream in silent {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    patiently("they are closed", closing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_says_nothing_within_tls_is_closed() {
    let it = Behind::start(&["--keepalive-timeout", "2s"]).await;
    let mut stream = connect(&it, &["h2"]).await;
    let mut said = Vec::new();
    let _ = patiently("it is closed", stream.read_to_end(&mut said)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_under_way_do_not_hold_up_the_end() {
    let it = Behind::start(&[]).await;
    let silent = TcpStream::connect(&it.address).await.expect("connects");
    it.attempt(&it.authority.trusted())
        .await
        .expect("is served");
    let Behind { replica, .. } = it;
    patiently("it stops", replica.stop()).await.expect("stops");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_of_revocations_goes_on_over_tls() {
    let it = Behind::start(&[]).await;
    let service = it.service().await;
    let request = service.request(v1::WatchRevocationsRequest::default());
    let watching = it.verification().watch_revocations(request).await;
    let first = watching.expect("opens").into_inner().message().await;
    assert!(first.expect("a message").is_some());
}

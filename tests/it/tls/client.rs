//! The client library behind mutual TLS and a server that takes known services only.

use std::sync::Arc;

use rollcall::{
    client::{ConnectError, TokenSource, Verifier, VerifierBuilder, VerifyLayer},
    error_chain,
    proto::v1,
};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::{
    Authority, Behind, attempt,
    authority::{Pair, Wanted},
    endpoint,
};
use crate::{
    access_tokens::Mint,
    client::layer::{ask, authorization},
    harness::{PASSWORD, SignedIn, device},
};
use serde_json::json;

fn verifier(it: &Behind) -> VerifierBuilder {
    Verifier::builder(it.url())
        .issuer("https://id.test")
        .audience("rollcall")
        .sign_in("orders", PASSWORD)
}

#[tokio::test(flavor = "multi_thread")]
async fn verifier_and_source_with_a_certificate_are_at_work_and_without_one_are_refused() {
    let it = Behind::mutual(&["--auth-callers", "known"], "orders.internal").await;
    it.create_user("orders", &["service"]).await;
    it.create_user("ana", &[]).await;
    let tls = it.authority.client("orders.internal");
    let tls = tls.shown(it.authority.trusted());

    let source = TokenSource::builder(it.url()).tls(tls.clone());
    let source = source.build().expect("an address");
    let token = source.sign_in("ana", PASSWORD, device("phone")).await;
    let token = token.expect("signs in");
    let verifier_of_orders = verifier(&it).tls(tls).connect().await.expect("connects");
    verifier_of_orders.verify(token.expose()).expect("is good");
    source.log_out().await.expect("logs out");

    let bare = verifier(&it).tls(it.authority.trusted());
    let error = bare.connect().await.expect_err("shows no certificate");
    // Which of its errors the client sees first, the alert or the end, is a race.
    let of_the_way = matches!(
        error,
        ConnectError::Unreachable { .. } | ConnectError::NotRollcall { .. }
    );
    assert!(of_the_way, "{error:?}");
    let stranger = verifier(&it).tls(Authority::new("other").trusted());
    let error = stranger.connect().await.expect_err("does not trust it");
    assert!(error_chain(&error).contains("UnknownIssuer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verifier_renews_single_tokens_where_known_services_alone_may() {
    let it = Behind::start(&["--auth-callers", "known"]).await;
    it.create_user("orders", &["service"]).await;
    let orders = it.sign_in("orders").await;
    it.create_user("ana", &["reader"]).await;
    let watch = v1::AuthenticateRequest {
        token_mode: v1::TokenMode::Single.into(),
        ..crate::harness::authenticate("ana")
    };
    let watch = it.auth().authenticate(orders.request(watch)).await;
    let watch = SignedIn::new(watch.expect("signs in").into_inner());
    let expired = Mint::of_database(it.database.url())
        .await
        .with_claims(&watch, |claims| {
            claims["iat"] = json!(claims["iat"].as_i64().expect("a time") - 1_000);
            claims["exp"] = json!(claims["exp"].as_i64().expect("a time") - 1_000);
        });

    let tls = it.authority.trusted();
    let verifier = verifier(&it).tls(tls).connect().await.expect("connects");
    let layer = VerifyLayer::new(verifier).renew_single_tokens();
    let headers = [("authorization", &*authorization(&expired))];
    let answer = ask(&layer, "/", &headers).await;
    assert_eq!(answer.body(), "reader");
    assert!(answer.headers().contains_key("x-jwt"));
}

/// Shows a certificate to one connection, as no server of ours would.
async fn show(pair: &Pair) -> String {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accepts");
        let _ = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_certificate_of_a_server_is_refused_and_the_error_says_so() {
    let authority = Authority::new("authority");
    let expired = authority.issue(Wanted::by("id.test").until(2021));
    let endpoint = endpoint(&authority.trusted(), &show(&expired).await);
    let error = attempt(&endpoint).await.expect_err("has expired");
    assert!(error.contains("certificate expired"), "{error}");
}

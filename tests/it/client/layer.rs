//! The layer in front of services: who is let through, and what the others are told.

use std::convert::Infallible;

use http::{Request, Response, header::HeaderMap};
use rollcall::client::{Claims, TokenSource, Verifier, VerifyError, VerifyLayer, WhenStale};
use serde_json::json;
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{builder, connect, eventually, fake::Fake, feed::stale, phone};
use crate::harness::{PASSWORD, bearer};

/// What an HTTP service behind `layer` answers to a request with these headers: its own
/// answer is the roles of its caller.
pub async fn ask(layer: &VerifyLayer, path: &str, headers: &[(&str, &str)]) -> Response<String> {
    let service = service_fn(|request: Request<()>| async move {
        let claims = request.extensions().get::<Claims>();
        let roles = claims.map_or_else(|| "anonymous".to_owned(), |claims| claims.roles.join(" "));
        Ok::<_, Infallible>(Response::new(roles))
    });
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    let mut service = layer.layer(service);
    let service = service.ready().await.expect("is ready");
    service.call(request).await.expect("answers")
}

pub fn authorization(token: &str) -> String {
    format!("Bearer {token}")
}

/// What a caller is told, in gRPC and in HTTP.
async fn told(layer: &VerifyLayer, authorization: Option<&str>) -> String {
    let mut headers = vec![("content-type", "application/grpc")];
    headers.extend(authorization.map(|value| ("authorization", value)));
    let grpc = ask(layer, "/", &headers).await;
    assert_eq!(grpc.status(), 200);
    let http = ask(layer, "/", &headers[1..]).await;
    let header = |headers: &HeaderMap, name| {
        let value = headers.get(name).map(|value| value.to_str());
        value.map_or_else(String::new, |text| text.expect("ASCII").to_owned())
    };
    format!(
        "{} | {} {}{}",
        in_grpc(grpc.headers()),
        http.status(),
        header(http.headers(), "www-authenticate"),
        header(http.headers(), "retry-after"),
    )
}

fn in_grpc(headers: &HeaderMap) -> String {
    let Some(status) = Status::from_header_map(headers) else {
        return "OK".to_owned();
    };
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!(info.domain, "rollcall");
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    let retry = retry.map_or_else(String::new, |delay| format!(" retry in {delay:?}"));
    format!(
        "{:?} {} {:?} \"{}\"{retry}",
        status.code(),
        info.reason,
        info.metadata,
        status.message()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_answer_in_grpc_and_in_http() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let layer = VerifyLayer::new(verifier.clone());
    let admins = layer.clone().require_role("admin");
    let good = authorization(&fake.token(|_| {}));
    let expired = authorization(&fake.token(|claims| claims["exp"] = json!(0)));
    let ended = fake.token(|_| {});
    fake.feed().end_session(&ended);
    let has_ended = || matches!(verifier.verify(&ended), Err(VerifyError::SessionEnded));
    eventually("the session ends", has_ended).await;

    let superseded = fake.token(|_| {});
    fake.feed().supersede(&superseded);
    let is_void = || matches!(verifier.verify(&superseded), Err(VerifyError::Superseded));
    eventually("the token is superseded", is_void).await;

    let mut table = Vec::new();
    let mut row = |case: &str, told: String| table.push(format!("{case}: {told}"));
    row("good", told(&layer, Some(&good)).await);
    row("no token", told(&layer, None).await);
    row("another scheme", told(&layer, Some("Basic YTpi")).await);
    row("garbage", told(&layer, Some("Bearer garbage")).await);
    row("expired", told(&layer, Some(&expired)).await);
    row("ended", told(&layer, Some(&authorization(&ended))).await);
    let superseded = authorization(&superseded);
    row("superseded", told(&layer, Some(&superseded)).await);
    row("no role", told(&admins, Some(&good)).await);
    let stale = VerifyLayer::new(stale(&fake, WhenStale::Refuse).await);
    row("stale", told(&stale, Some(&good)).await);
    insta::assert_snapshot!(table.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_with_the_request_that_is_let_through() {
    let fake = Fake::start();
    let layer = VerifyLayer::new(connect(&fake).await);
    let token = fake.token(|claims| claims["roles"] = json!(["a", "b"]));
    let answer = ask(&layer, "/", &[("authorization", &authorization(&token))]).await;
    assert_eq!(answer.body(), "a b");
    assert!(!answer.headers().contains_key("x-jwt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_required_role_is_needed() {
    let fake = Fake::start();
    let layer = VerifyLayer::new(connect(&fake).await);
    let layer = layer.require_role("a").require_role("b");
    for (roles, status) in [(vec!["a"], 403), (vec!["b"], 403), (vec!["a", "b"], 200)] {
        let token = fake.token(|claims| claims["roles"] = json!(roles));
        let answer = ask(&layer, "/", &[("authorization", &authorization(&token))]).await;
        assert_eq!(answer.status(), status, "{roles:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn optional_token_is_not_needed_but_must_be_good() {
    let fake = Fake::start();
    let layer = VerifyLayer::new(connect(&fake).await).optional();
    assert_eq!(ask(&layer, "/", &[]).await.body(), "anonymous");
    let token = authorization(&fake.token(|_| {}));
    let answer = ask(&layer, "/", &[("authorization", &token)]).await;
    assert_eq!(answer.body(), "reader");
    for bad in ["Bearer garbage", "Basic YTpi"] {
        let answer = ask(&layer, "/", &[("authorization", bad)]).await;
        assert_eq!(answer.status(), 401, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exempt_path_is_open_and_its_neighbour_is_not() {
    let fake = Fake::start();
    let layer = VerifyLayer::new(connect(&fake).await).exempt("/health");
    assert_eq!(ask(&layer, "/health/live", &[]).await.body(), "anonymous");
    assert_eq!(ask(&layer, "/orders/health", &[]).await.status(), 401);
}

/// A tonic service behind the layer.
async fn served(verifier: Verifier) -> HealthClient<Channel> {
    let (_, health) = tonic_health::server::health_reporter();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let serving = Server::builder()
        .layer(VerifyLayer::new(verifier))
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    let endpoint = Endpoint::from_shared(url).expect("a URL");
    HealthClient::new(endpoint.connect().await.expect("connects"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tonic_service_is_protected() {
    let fake = Fake::start();
    let mut client = served(connect(&fake).await).await;
    let request = HealthCheckRequest::default();
    let token = fake.token(|_| {});
    let good = bearer(request.clone(), &token);
    client.check(good).await.expect("is let through");
    let refused = client.check(request).await.expect_err("has no token");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(crate::harness::reason(&refused), "ACCESS_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_shown_in_a_log_holds_a_secret() {
    let fake = Fake::start();
    let account = TokenSource::builder(fake.url()).account("shop", PASSWORD, phone());
    let builder = builder(&fake);
    let mut shown = format!("{account:?} {builder:?}");
    let source = account.build().expect("an address");
    source.access_token().await.expect("signs in");
    let verifier = builder.token_source(source.clone()).connect().await;
    let verifier = verifier.expect("connects");
    let layer = VerifyLayer::new(verifier.clone());
    let service = layer.layer(());
    shown += &format!("{source:?} {verifier:?} {layer:?} {service:?}");
    for secret in [PASSWORD, "rcr_", "eyJ"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn layer_fits_the_bodies_of_tonic() {
    fn fits<S: Service<Request<Body>, Response = Response<Body>>>(_: fn(VerifyLayer) -> S) {}
    fits(|layer| {
        layer.layer(service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }))
    });
}

//! Single-token clients behind the layer.

use std::time::Duration;

use http::Response;
use rollcall::client::{Origin, VerifyLayer, WhenStale};
use rollcall::proto::v1::ErrorReason;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};
use tonic::{Code, Status};

use super::{
    builder, connect, eventually,
    fake::{Fake, Reply, Signer, refused},
    feed::stale,
    layer::{ask, authorization},
};
use crate::harness::{claims, patiently};

/// An expired token of a single-token session.
fn expired(fake: &Fake) -> String {
    fake.token(|claims| {
        claims["exp"] = json!(0);
        claims["token_mode"] = json!("SINGLE");
    })
}

/// The same, of a key that nobody knows.
fn unvouched() -> String {
    let mut claims = super::fake::claims();
    claims["exp"] = json!(0);
    claims["token_mode"] = json!("SINGLE");
    Signer::new("unknown").sign(&claims)
}

/// A layer whose verifier is stale.
async fn stale_layer(fake: &Fake, when_stale: WhenStale) -> VerifyLayer {
    let verifier = stale(fake, when_stale).await;
    VerifyLayer::new(verifier).renew_single_tokens()
}

async fn layer(fake: &Fake) -> VerifyLayer {
    VerifyLayer::new(connect(fake).await).renew_single_tokens()
}

/// What the service answers to a request with this token.
fn call(layer: &VerifyLayer, token: &str) -> impl Future<Output = Response<String>> + use<> {
    let (layer, token) = (layer.clone(), authorization(token));
    async move { ask(&layer, "/", &[("authorization", &token)]).await }
}

fn successor(response: &Response<String>) -> Option<&str> {
    let value = response.headers().get("x-jwt")?;
    Some(value.to_str().expect("ASCII"))
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_token_is_renewed_and_its_successor_handed_back() {
    let fake = Fake::start();
    let layer = layer(&fake).await;
    let token = expired(&fake);
    let headers = [
        ("authorization", &*authorization(&token)),
        ("user-agent", "Thing/1.0"),
    ];
    let answer = ask(&layer, "/", &headers).await;
    assert_eq!(answer.body(), "reader");
    let successor = successor(&answer).expect("a successor").to_owned();
    assert_eq!(claims(&successor)["gen"], 1);
    {
        let auth = fake.auth();
        assert_eq!(auth.renewals.len(), 1);
        assert_eq!(auth.renewals[0].access_token, token);
        assert_eq!(auth.renewals[0].user_agent, "Thing/1.0");
        assert_eq!(auth.renewals[0].ip_address, "");
    }
    let next = ask(
        &layer,
        "/",
        &[("authorization", &authorization(&successor))],
    )
    .await;
    assert_eq!(next.body(), "reader");
    assert!(!next.headers().contains_key("x-jwt"));
    assert_eq!(fake.auth().renewals.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_with_the_same_expired_token_all_succeed() {
    let fake = Fake::start();
    let layer = layer(&fake).await;
    let token = authorization(&expired(&fake));
    let headers = [("authorization", &*token)];
    let calls = (0..20).map(|_| ask(&layer, "/", &headers));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.body(), "reader");
        assert_eq!(claims(successor(&answer).expect("a successor"))["gen"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_is_what_the_service_says() {
    let fake = Fake::start();
    let layer = VerifyLayer::new(connect(&fake).await).renew_single_tokens_from(|parts| {
        let address = parts.headers.get("x-real-ip").expect("behind the proxy");
        Origin::of_headers(parts)
            .with_user_agent("seen")
            .with_ip_address(address.to_str().expect("ASCII"))
    });
    let token = authorization(&expired(&fake));
    let headers = [("authorization", &*token), ("x-real-ip", "192.0.2.7")];
    assert_eq!(ask(&layer, "/", &headers).await.status(), 200);
    let renewal = fake.auth().renewals[0].clone();
    assert_eq!(
        (&*renewal.user_agent, &*renewal.ip_address),
        ("seen", "192.0.2.7")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_token_of_a_pair_and_a_forged_one_are_never_renewed() {
    let fake = Fake::start();
    let layer = layer(&fake).await;
    let pair = fake.token(|claims| claims["exp"] = json!(0));
    let mut forged = expired(&fake);
    forged.replace_range(forged.len() - 10..forged.len() - 9, "_");
    forged.replace_range(forged.len() - 9..forged.len() - 8, "-");
    for token in [pair, forged] {
        let answer = ask(&layer, "/", &[("authorization", &authorization(&token))]).await;
        assert_eq!(answer.status(), 401);
    }
    assert!(fake.auth().renewals.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_asked_for_nothing_is_renewed() {
    let fake = Fake::start();
    let layer = VerifyLayer::new(connect(&fake).await);
    let token = authorization(&expired(&fake));
    let answer = ask(&layer, "/", &[("authorization", &token)]).await;
    assert_eq!(answer.status(), 401);
    assert!(fake.auth().renewals.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn verdict_on_the_session_is_passed_on_and_any_other_failure_is_unavailable() {
    let fake = Fake::start();
    let layer = layer(&fake).await;
    let token = authorization(&expired(&fake));
    let cases = [
        (Code::Unauthenticated, ErrorReason::SessionEnded, 401),
        (Code::Unauthenticated, ErrorReason::RefreshTokenReused, 401),
        (
            Code::PermissionDenied,
            ErrorReason::SessionBindingBroken,
            403,
        ),
        (Code::Unavailable, ErrorReason::Unavailable, 503),
        (Code::Internal, ErrorReason::Internal, 503),
    ];
    for (code, reason, expected) in cases {
        let status = refused(code, reason);
        fake.auth().replies.push_back(Reply::Refuse(status));
        let answer = ask(&layer, "/", &[("authorization", &token)]).await;
        assert_eq!(answer.status(), expected, "{reason:?}");
        assert_eq!(successor(&answer), None);
        let challenge = answer.headers().get("www-authenticate");
        let says_invalid = challenge.is_some_and(|text| {
            let text = text.to_str().expect("ASCII");
            text.contains("invalid_token")
        });
        assert_eq!(says_invalid, expected == 401, "{reason:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn successor_is_handed_back_with_the_refusal_of_one_whose_role_is_missing() {
    let fake = Fake::start();
    let layer = layer(&fake).await.require_role("admin");
    let token = authorization(&expired(&fake));
    let http = ask(&layer, "/", &[("authorization", &token)]).await;
    assert_eq!(http.status(), 403);
    assert_eq!(claims(successor(&http).expect("a successor"))["gen"], 1);

    let headers = [
        ("content-type", "application/grpc"),
        ("authorization", &*token),
    ];
    let grpc = ask(&layer, "/", &headers).await;
    let status = Status::from_header_map(grpc.headers()).expect("an error");
    assert_eq!(status.code(), Code::PermissionDenied);
    let metadata = status.metadata().get("x-jwt").expect("a successor");
    assert_eq!(claims(metadata.to_str().expect("ASCII"))["gen"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn successor_is_handed_back_with_the_refusal_of_one_that_is_not_active() {
    let fake = Fake::start();
    let layer = stale_layer(&fake, WhenStale::Introspect).await;
    let token = authorization(&expired(&fake));
    let answer = ask(&layer, "/", &[("authorization", &token)]).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(claims(successor(&answer).expect("a successor"))["gen"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_renewed_while_a_stale_verifier_would_refuse_the_successor() {
    let fake = Fake::start();
    let layer = stale_layer(&fake, WhenStale::Refuse).await;
    for token in [expired(&fake), unvouched()] {
        let answer = ask(&layer, "/", &[("authorization", &authorization(&token))]).await;
        assert_eq!(answer.status(), 503);
    }
    assert!(fake.auth().renewals.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_unknown_keys_are_sent_a_few_at_a_time_and_the_others_refused() {
    const MANY: usize = 200;
    const AT_A_TIME: usize = 16;
    let fake = Fake::start();
    let layer = layer(&fake).await;
    let (gate, held) = watch::channel(());
    let replies = (0..MANY).map(|_| Reply::Hold(held.clone()));
    fake.auth().replies = replies.collect();
    let token = unvouched();
    let mut calls = JoinSet::new();
    for _ in 0..MANY {
        calls.spawn(call(&layer, &token));
    }
    for _ in AT_A_TIME..MANY {
        let answered = patiently("one too many is refused", calls.join_next()).await;
        let answer = answered.expect("a call").expect("no panic");
        assert_eq!(answer.status(), 401);
    }
    let all_are_sent = || fake.auth().renewals.len() == AT_A_TIME;
    eventually("the others are sent", all_are_sent).await;
    drop(gate);
    for answer in calls.join_all().await {
        assert_eq!(answer.body(), "reader");
    }
    assert_eq!(fake.auth().renewals.len(), AT_A_TIME);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_is_waited_for_as_long_as_the_verifier_is_told() {
    let fake = Fake::start();
    let (gate, held) = watch::channel(());
    let replies = (0..2).map(|_| Reply::Hold(held.clone()));
    fake.auth().replies = replies.collect();
    let token = expired(&fake);
    let patient = tokio::spawn(call(&layer(&fake).await, &token));
    let is_sent = || !fake.auth().renewals.is_empty();
    eventually("the patient one asks", is_sent).await;

    // It began later, and gives up earlier.
    let hasty = builder(&fake).ask_timeout(Duration::from_millis(50));
    let hasty = hasty.connect().await.expect("connects");
    let hasty = VerifyLayer::new(hasty).renew_single_tokens();
    let refused = patiently("the hasty one gives up", call(&hasty, &token)).await;
    assert_eq!(refused.status(), 503);
    drop(gate);
    assert_eq!(patient.await.expect("no panic").body(), "reader");
}

//! Single-token clients behind the layer.

use http::Response;
use rollcall::client::{Origin, VerifyLayer};
use rollcall::proto::v1::ErrorReason;
use serde_json::json;
use tonic::Code;

use super::{
    connect,
    fake::{Fake, Reply, refused},
    layer::{ask, authorization},
};
use crate::harness::claims;

/// An expired token of a single-token session.
fn expired(fake: &Fake) -> String {
    fake.token(|claims| {
        claims["exp"] = json!(0);
        claims["token_mode"] = json!("SINGLE");
    })
}

async fn layer(fake: &Fake) -> VerifyLayer {
    VerifyLayer::new(connect(fake).await).renew_single_tokens()
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
        let address = parts.headers.get("x-real-ip");
        Origin {
            user_agent: "seen".to_owned(),
            ip_address: address
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
        }
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
    }
}

//! Renewals of one token again, at once and later, and of earlier ones.

use futures_util::future::join_all;
use rollcall::proto::v1;
use serde_json::json;
use tonic::{Code, Status};

use super::{access_token, expired, watch};
use crate::{
    access_tokens::Mint,
    harness::{Harness, LONG_WINDOWS, ROTATE, Replica, claims, end_reason, reason},
};

#[tokio::test(flavor = "multi_thread")]
async fn renewals_64_at_once_with_one_expired_token_make_one_generation() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let watch = watch(&it).await;
    let old = expired(&it, &watch).await;
    let lock = it.database.lock_session(&watch.session_id).await;
    let replicas: [&Replica; 2] = [&it, &other];
    let renewals = join_all((0..64).map(|at| replicas[at % 2].renew(&old)));
    let start = async {
        it.database.until_blocked(ROTATE, 6).await;
        lock.release().await;
    };
    let (replies, ()) = tokio::join!(renewals, start);
    let replies: Result<Vec<_>, Status> = replies.into_iter().collect();
    let replies = replies.expect("nobody is refused");
    for reply in &replies {
        assert_eq!(reply, &replies[0]);
    }
    assert_eq!(it.database.standing(&watch.session_id).await, (1, None));
    it.renew(access_token(&replies[0])).await.expect("is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_again_within_the_window_answers_the_same_and_changes_nothing() {
    let it = Harness::with(&LONG_WINDOWS).await;
    let watch = watch(&it).await;
    let first = it.renew(&watch.access_token).await.expect("lives");
    it.database.age(&watch.session_id, "100 min").await;
    let before = it.database.contents().await;
    let again = it
        .renew(&watch.access_token)
        .await
        .expect("a call in flight");
    let jti = |reply| claims(access_token(reply))["jti"].clone();
    assert_eq!(jti(&again), jti(&first));
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_was_signed_twice_is_renewed_as_one() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let first = it.renew(&watch.access_token).await.expect("lives");
    let other_text = expired(&it, &watch).await;
    let again = it.renew(&other_text).await.expect("a call in flight");
    assert_eq!(again, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_again_after_the_window_ends_the_session() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let next = it.renew(&watch.access_token).await.expect("lives");
    it.database.age(&watch.session_id, "120 s").await;
    let reused = it.renew(&watch.access_token).await.expect_err("late");
    assert_eq!(reused.code(), Code::Unauthenticated);
    assert_eq!(reason(&reused), "REFRESH_TOKEN_REUSED");
    let standing = it.database.standing(&watch.session_id).await;
    assert_eq!(standing, (1, Some("TOKEN_REUSED".to_owned())));
    let ended = it.renew(access_token(&next)).await.expect_err("ended");
    assert_eq!(end_reason(&ended), "TOKEN_REUSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_of_the_token_before_the_last_ends_the_session_and_is_told() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let next = it.renew(&watch.access_token).await.expect("lives");
    it.renew(access_token(&next)).await.expect("lives");
    let request = v1::RenewRequest {
        access_token: watch.access_token.clone(),
        user_agent: "thief".to_owned(),
        ip_address: "2001:db8::bad".to_owned(),
    };
    let reused = it.auth().renew(request).await.expect_err("an ancestor");
    assert_eq!(reason(&reused), "REFRESH_TOKEN_REUSED");
    let detail: String = it
        .scalar("SELECT detail::text FROM audit_events WHERE kind = 'REFRESH_TOKEN_REUSED'")
        .await;
    let detail: serde_json::Value = serde_json::from_str(&detail).expect("JSON");
    assert_eq!(detail["reuse"], "ANCESTOR");
    let replayed = json!({
        "generation": 0, "ip_address": "2001:db8::bad", "user_agent": "thief", "age_seconds": 0,
    });
    assert_eq!(detail["replayed"], replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_of_the_same_generation_from_another_lineage_ends_the_session() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    // As a token that was signed before a commit was lost would have it.
    let mint = Mint::of(&it).await;
    let other = mint.with_claims(&watch, |claims| {
        claims["jti"] = json!("AAAAAAAAAAAAAAAAAAAAAA");
    });
    let reused = it.renew(&other).await.expect_err("a fork");
    assert_eq!(reason(&reused), "REFRESH_TOKEN_REUSED");
}

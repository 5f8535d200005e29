//! A key that is compromised is dropped, and its tokens die; the sessions live.

use rollcall::proto::v1::SigningKeyState;

use super::{LEAD, kid, list, present, published, refreshed, rotate, takes};
use crate::harness::{Harness, reason};

#[tokio::test(flavor = "multi_thread")]
async fn emergency_kills_the_tokens_and_a_refresh_revives_the_sessions() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let next = it.database.key("next").await;
    // It does not wait for the lead.
    let signing = rotate(&it, &admin, true).await.expect("rotates");
    assert_eq!(signing.kid, next);
    let refused = present(&it, &admin.access_token).await.expect_err("dead");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");

    let (_, revived) = refreshed(&it, &admin.refresh_token).await;
    assert_eq!(kid(&revived), next);
    present(&it, &revived).await.expect("a new token is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_drops_the_retiring_keys_too_and_erases_every_half() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.database.age_keys("next", LEAD).await;
    rotate(&it, &admin, false).await.expect("rotates");
    let (retiring, active) = (
        it.database.key("retiring").await,
        it.database.key("active").await,
    );
    present(&it, &admin.access_token).await.expect("retiring");
    rotate(&it, &admin, true).await.expect("rotates");

    let refused = present(&it, &admin.access_token).await.expect_err("dead");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
    let mut gone = it.database.keys("gone").await;
    let mut dropped = vec![retiring, active];
    gone.sort();
    dropped.sort();
    assert_eq!(gone, dropped);
    let marked = "SELECT count(*) FROM signing_keys \
         WHERE state = 'gone' AND dropped AND sealed_private = '' AND expires_at <= now()";
    assert_eq!(it.scalar::<i64>(marked).await, 2);
    assert_eq!(published(&it).len(), 2, "the active and the next");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_replica_refreshes_all_the_while_and_refuses_the_dropped_key_once_it_looks() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let other = it.replica().await;
    rotate(&it, &admin, true).await.expect("rotates");
    let (token, _) = refreshed(&other, &admin.refresh_token).await;
    other.identity.load_signing_keys().await.expect("looks");
    takes(&other, &admin.access_token).expect_err("is dropped");
    let (_, revived) = refreshed(&other, &token).await;
    takes(&it, &revived).expect("a new token is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_without_a_next_key_makes_one() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.sql("DELETE FROM signing_keys WHERE state = 'next'")
        .await;
    let signing = rotate(&it, &admin, true).await.expect("rotates");
    let (_, revived) = refreshed(&it, &admin.refresh_token).await;
    assert_eq!(kid(&revived), signing.kid);
    let mut states: Vec<_> = list(&it, &it.sign_in("operator").await)
        .await
        .iter()
        .map(rollcall::proto::v1::SigningKey::state)
        .collect();
    states.sort();
    let expected = [
        SigningKeyState::Next,
        SigningKeyState::Active,
        SigningKeyState::Dropped,
    ];
    assert_eq!(states, expected);
}

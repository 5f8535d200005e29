//! Rotations that an operator asks for.

use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;
use rollcall::proto::v1::{self, SigningKeyState};
use tonic::Code;
use tonic_types::StatusExt;

use super::{LEAD, LIFETIME, access_token, kid, list, present, published, rotate};
use crate::harness::{Harness, reason, request_id};

#[tokio::test(flavor = "multi_thread")]
async fn rotation_by_hand_lets_the_next_key_sign_and_the_old_one_retire() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let (active, next) = (
        it.database.key("active").await,
        it.database.key("next").await,
    );
    assert_eq!(kid(&admin.access_token), active);
    it.database.age_keys("next", LEAD).await;

    let signing = rotate(&it, &admin, false).await.expect("rotates");
    assert_eq!(signing.kid, next);
    assert_eq!(signing.state(), SigningKeyState::Active);
    let refreshed = it.refresh(&admin.refresh_token, &request_id()).await;
    let refreshed = refreshed.expect("refreshes");
    assert_eq!(kid(access_token(&refreshed)), next);
    for token in [&admin.access_token, access_token(&refreshed)] {
        present(&it, token).await.expect("both are published");
    }

    let keys = list(&it, &admin).await;
    let states: Vec<_> = keys.iter().map(v1::SigningKey::state).collect();
    let expected = [
        SigningKeyState::Next,
        SigningKeyState::Retiring,
        SigningKeyState::Active,
    ];
    assert_eq!(
        states, expected,
        "newest first, and the active one was aged"
    );
    assert_eq!((&keys[1].kid, &keys[2].kid), (&active, &next));
    let times = |key: &v1::SigningKey| {
        [
            key.create_time,
            key.activate_time,
            key.retire_time,
            key.expire_time,
        ]
        .map(|time| time.is_some())
    };
    assert_eq!(times(&keys[0]), [true, false, false, false]);
    assert_eq!(times(&keys[1]), [true; 4]);
    assert_eq!(times(&keys[2]), [true, true, false, false]);
    // The life of an access token, and the margin.
    let at = |time: Option<prost_types::Timestamp>| time.expect("a time").seconds;
    let kept = at(keys[1].expire_time) - at(keys[1].retire_time);
    assert_eq!(kept, 10 * 60 + 5 * 60);
    assert_eq!(it.database.left_behind().await, 0);
    let all: HashSet<_> = keys.into_iter().map(|key| key.kid).collect();
    assert_eq!(published(&it), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn next_key_is_not_promoted_before_its_lead() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.database.age_keys("active", LIFETIME).await;
    it.database.age_keys("next", "5 minutes").await;
    let before = it.database.contents().await;
    it.identity.load_signing_keys().await.expect("looks");
    let refused = rotate(&it, &admin, false).await.expect_err("too new");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NEXT_KEY_TOO_NEW");
    let details = refused.get_error_details();
    let delay = details.retry_info().and_then(|retry| retry.retry_delay);
    let delay = delay.expect("when to try again");
    let ten_minutes = Duration::from_secs(600);
    assert!(
        delay <= ten_minutes && delay > ten_minutes / 2,
        "what is left of it: {delay:?}"
    );
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rotations_by_hand_at_once_are_one() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let other = it.replica().await;
    it.database.age_keys("next", LEAD).await;
    let both = join_all([rotate(&it, &admin, false), rotate(&other, &admin, false)]).await;
    let (done, refused): (Vec<_>, Vec<_>) = both.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 1));
    let refused = refused.into_iter().next().expect("one").expect_err("late");
    assert_eq!(reason(&refused), "NEXT_KEY_TOO_NEW");
    assert_eq!(it.database.keys("retiring").await.len(), 1);
}

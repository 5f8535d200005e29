//! Failures that say nothing of a session, and what is given out meanwhile.

use std::time::Duration;

use rollcall::{client::TokenError, proto::v1::ErrorReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{folder::aged, generation, sent, signed_in};
use crate::{
    client::fake::{Fake, Reply, refused},
    harness::pause,
};

#[tokio::test(flavor = "multi_thread")]
async fn outage_is_not_noticed_while_the_token_in_hand_lives() {
    let mut fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    let source = folder.source(&fake);
    assert_eq!(source.access_token().await.expect("lives"), token);
    fake.stop();
    assert_eq!(source.access_token().await.expect("lives"), token);
    let refused = source.replace(&token).await.expect_err("nobody answers");
    assert!(matches!(refused, TokenError::TryLater { .. }), "{refused}");
    assert_eq!(source.access_token().await.expect("lives still"), token);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_token_is_given_out_after_a_restart_in_an_outage_while_it_lives() {
    let mut fake = Fake::start();
    let (folder, token) = aged(&fake, 545).await;
    fake.stop();
    let source = folder.source(&fake);
    for _ in 0..2 {
        assert_eq!(source.access_token().await.expect("lives"), token);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_with_a_dead_token_is_to_be_tried_later_and_ends_with_the_outage() {
    let mut fake = Fake::start();
    let (folder, token) = aged(&fake, 3_600).await;
    fake.stop();
    let source = folder.source(&fake);
    let error = source.access_token().await.expect_err("nobody answers");
    assert!(matches!(error, TokenError::TryLater { .. }), "{error}");
    fake.resume();
    let trying = async {
        loop {
            match source.access_token().await {
                Ok(next) => return next,
                Err(error) => assert!(matches!(error, TokenError::TryLater { .. }), "{error}"),
            }
            pause().await;
        }
    };
    let next = crate::harness::patiently("the outage ends", trying).await;
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_that_say_nothing_of_the_session_never_sign_anybody_out() {
    let fake = Fake::start();
    let refusals = [
        refused(Code::ResourceExhausted, ErrorReason::RefreshedTooOften),
        refused(Code::Unavailable, ErrorReason::GenerationAhead),
        refused(Code::PermissionDenied, ErrorReason::SessionBindingBroken),
        Status::unauthenticated("a proxy"),
        Status::internal("odd"),
        Status::unimplemented("odd"),
    ];
    for refusal in refusals {
        let (source, store, token) = signed_in(&fake).await;
        let replies = (0..3).map(|_| Reply::Refuse(refusal.clone()));
        fake.auth().replies = replies.collect();
        let error = source.replace(&token).await.expect_err("is refused");
        assert!(!matches!(error, TokenError::SignInAgain(_)), "{refusal:?}");
        fake.auth().replies.clear();
        let restarted = super::source(&fake, &store).access_token().await;
        let next = restarted.expect("the session lives on");
        assert_eq!(generation(&next), generation(&token) + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_that_gives_up_ends_no_refresh() {
    let fake = Fake::start();
    let (source, _, token) = signed_in(&fake).await;
    fake.auth().replies.push_back(Reply::Lose);
    let giving_up = tokio::time::timeout(Duration::from_millis(1), source.replace(&token));
    let _ = giving_up.await;
    let next = source.replace(&token).await.expect("was refreshed");
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_whose_outcome_is_not_known_is_repeated_when_nobody_asks() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    let source = folder.source(&fake);
    fake.auth().replies.extend((0..3).map(|_| Reply::Lose));
    let error = source.replace(&token).await.expect_err("nothing is known");
    assert!(matches!(error, TokenError::TryLater { .. }), "{error}");
    // The token in hand lives, and asking for it asks for nothing.
    let waiting = async {
        loop {
            match source.access_token().await.expect("lives") {
                same if same == token => pause().await,
                next => return next,
            }
        }
    };
    let next = crate::harness::patiently("the successor comes", waiting).await;
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_waits_for_the_refresh_that_is_under_way_in_the_background() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 545).await;
    let at_once = ErrorDetails::with_retry_info(Some(Duration::ZERO));
    let passing = Status::with_error_details(Code::Unavailable, "again", at_once);
    let failures = (0..3).map(|_| Reply::Refuse(passing.clone()));
    fake.auth().replies.extend(failures);
    let source = folder.source(&fake);
    // The first is given the old token, after it asked in vain for another.
    assert_eq!(source.access_token().await.expect("lives"), token);
    // The second asks in the background; or the source has done so by itself, as it does after
    // half a second, and there is a successor.
    let second = source.access_token().await.expect("lives");
    assert!(second == token || generation(&second) == generation(&token) + 1);
    source.settle().await;
    let (requests, ids) = sent(&fake);
    assert!(requests >= 4, "{requests}");
    assert_eq!(ids, 1);
    let kept = folder.json();
    assert!(kept["request_id"].is_null(), "it has come to its end");
}

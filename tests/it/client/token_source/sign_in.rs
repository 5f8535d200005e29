//! Who is signed in, who is not any more, and why.

use rollcall::{
    client::{AccessToken, SignInAgain, Store, TokenError},
    proto::v1::ErrorReason,
};
use tonic::{Code, Status};

use super::{builder, folder::Folder, generation, sent, signed_in};
use crate::{
    client::{
        fake::{Fake, Reply, refused, refused_with},
        phone,
    },
    harness::PASSWORD,
};

#[tokio::test(flavor = "multi_thread")]
async fn verdict_on_the_session_asks_the_person_to_sign_in_and_forgets_the_tokens() {
    let fake = Fake::start();
    let ended = [("end_reason".to_owned(), "LOGGED_OUT".to_owned())].into();
    let code = Code::Unauthenticated;
    let verdicts = [
        (
            refused_with(code, ErrorReason::SessionEnded, ended),
            SignInAgain::SessionEnded("LOGGED_OUT".to_owned()),
        ),
        (
            refused(code, ErrorReason::RefreshTokenReused),
            SignInAgain::RefreshTokenReused,
        ),
        (
            refused(code, ErrorReason::RefreshTokenInvalid),
            SignInAgain::RefreshTokenInvalid,
        ),
    ];
    for (verdict, expected) in verdicts {
        let (source, store, token) = signed_in(&fake).await;
        fake.auth().replies.push_back(Reply::Refuse(verdict));
        let refused = source.replace(&token).await.expect_err("is over");
        let again = source.access_token().await.expect_err("is over still");
        for error in [refused, again] {
            match error {
                TokenError::SignInAgain(why) => assert_eq!(why, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(store.update(Box::new(|kept| kept)).expect("memory"), None);
        let before = sent(&fake).0;
        assert!(source.access_token().await.is_err());
        assert_eq!(sent(&fake).0, before, "nothing is asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_in_before_the_first_sign_in_and_after_the_log_out() {
    let fake = Fake::start();
    let not_signed_in = |result: Result<AccessToken, TokenError>| {
        let error = result.expect_err("nobody is signed in");
        let TokenError::SignInAgain(why) = error else {
            panic!("{error:?}");
        };
        assert_eq!(why, SignInAgain::NotSignedIn);
    };
    let folder = Folder::new();
    let source = folder.source(&fake);
    not_signed_in(source.access_token().await);
    source.log_out().await.expect("there is nothing to end");
    source
        .sign_in("ana", PASSWORD, phone())
        .await
        .expect("signs in");
    source.log_out().await.expect("ends");
    not_signed_in(source.access_token().await);
    assert!(!folder.file().exists());
    let auth = fake.auth();
    assert_eq!(auth.logouts.len(), 1);
    assert_eq!(auth.logouts[0].refresh_token, "rcr_1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_out_that_does_not_arrive_keeps_the_tokens_for_another_try() {
    let fake = Fake::start();
    let (source, store, _) = signed_in(&fake).await;
    let status = Status::unavailable("down");
    fake.auth().replies.push_back(Reply::Refuse(status));
    assert!(source.log_out().await.is_err());
    assert!(
        store
            .update(Box::new(|kept| kept))
            .expect("memory")
            .is_some()
    );
    source.log_out().await.expect("arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_is_said_to_be_one_and_changes_nothing() {
    let fake = Fake::start();
    let (source, _, token) = signed_in(&fake).await;
    let error = source.sign_in("ana", "wrong", phone()).await;
    let error = error.expect_err("is wrong");
    assert!(matches!(error, TokenError::Credentials { .. }), "{error}");
    assert_eq!(source.access_token().await.expect("lives"), token);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_signs_in_by_itself_at_first_and_when_its_session_has_ended() {
    let fake = Fake::start();
    let builder = builder(&fake).account("shop", PASSWORD, phone());
    let source = builder.build().expect("an address");
    let token = source.access_token().await.expect("signs in");
    let code = Code::Unauthenticated;
    let ended = refused(code, ErrorReason::SessionEnded);
    fake.auth().replies.push_back(Reply::Refuse(ended));
    let next = source.replace(&token).await.expect("signs in again");
    assert_eq!(generation(&next), 2_000);
    assert_eq!(fake.auth().sign_ins.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_with_a_wrong_password_does_not_try_again_at_once() {
    let fake = Fake::start();
    let builder = builder(&fake).account("shop", "wrong", phone());
    let source = builder.build().expect("an address");
    for _ in 0..10 {
        let error = source.access_token().await.expect_err("is wrong");
        assert!(matches!(error, TokenError::Credentials { .. }), "{error}");
    }
    assert_eq!(fake.auth().sign_ins.len(), 1);
}

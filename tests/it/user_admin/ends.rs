//! What ends all sessions of a user.

use rollcall::proto::v1::{self, SessionEndReason, SessionFilter, session_filter::User};

use super::{create, delete, get, set_disabled, set_password, signs_in};
use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, SignedIn, Subject, metadata, reason, request_id,
};

/// Asserts that both sessions are ended, for this reason, in every way one can ask.
async fn assert_ended(it: &Harness, admin: &SignedIn, user: &Subject, expected: SessionEndReason) {
    let name = expected.as_str_name().replace("SESSION_END_REASON_", "");
    for session in [&user.laptop, &user.phone] {
        let refused = it.refresh(&session.refresh_token, &request_id()).await;
        let refused = refused.expect_err("ended");
        assert_eq!(reason(&refused), "SESSION_ENDED");
        assert_eq!(metadata(&refused, "end_reason"), name);
        let own = session.request(v1::ListMySessionsRequest::default());
        let refused = it.auth().list_my_sessions(own).await.expect_err("ended");
        assert_eq!(reason(&refused), "SESSION_ENDED");
    }
    assert_eq!(listed(it, admin, &user.phone.user_id, false).await, []);
    let all = listed(it, admin, &user.phone.user_id, true).await;
    assert_eq!(all, [expected, expected]);
}

/// The end reasons of a user's sessions, live ones or all.
async fn listed(
    it: &Harness,
    admin: &SignedIn,
    user_id: &str,
    include_ended: bool,
) -> Vec<SessionEndReason> {
    let filter = SessionFilter {
        user: Some(User::UserId(user_id.to_owned())),
        include_ended,
        ..SessionFilter::default()
    };
    let request = v1::ListSessionsRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let reply = it
        .session_admin()
        .list_sessions(admin.request(request))
        .await;
    let sessions = reply.expect("lists").into_inner().sessions;
    sessions.iter().map(v1::Session::end_reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_ends_all_sessions_and_keeps_the_user_from_signing_in() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let ben = it.subject("ben", &[]).await;
    assert_eq!(set_disabled(&it, &admin, &ana.phone.user_id, true).await, 2);
    assert_ended(&it, &admin, &ana, SessionEndReason::UserDisabled).await;
    assert!(!signs_in(&it, "ana", PASSWORD).await);
    assert_eq!(set_disabled(&it, &admin, &ana.phone.user_id, true).await, 0);
    it.refresh(&ben.phone.refresh_token, &request_id())
        .await
        .expect("others live");
}

#[tokio::test(flavor = "multi_thread")]
async fn enabling_again_lets_the_user_sign_in_and_revives_no_session() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    set_disabled(&it, &admin, &ana.phone.user_id, true).await;
    assert_eq!(
        set_disabled(&it, &admin, &ana.phone.user_id, false).await,
        0
    );
    assert_ended(&it, &admin, &ana, SessionEndReason::UserDisabled).await;
    let again = it.sign_in("ana").await;
    it.refresh(&again.refresh_token, &request_id())
        .await
        .expect("a new session lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_a_password_ends_all_sessions_and_the_old_password() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let ended = set_password(&it, &admin, &ana.phone.user_id, NEXT_PASSWORD).await;
    assert_eq!(ended.expect("set"), 2);
    assert_ended(&it, &admin, &ana, SessionEndReason::PasswordChanged).await;
    assert!(!signs_in(&it, "ana", PASSWORD).await);
    assert!(signs_in(&it, "ana", NEXT_PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_who_sets_the_own_password_is_signed_out_too() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    set_password(&it, &admin, &admin.user_id, NEXT_PASSWORD)
        .await
        .expect("set");
    let refused = get(&it, &admin, &admin.user_id)
        .await
        .expect_err("signed out");
    assert_eq!(reason(&refused), "SESSION_ENDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn password_set_for_a_disabled_user_holds_once_the_user_is_enabled() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let id = &ana.phone.user_id;
    set_disabled(&it, &admin, id, true).await;
    assert_eq!(
        set_password(&it, &admin, id, NEXT_PASSWORD)
            .await
            .expect("set"),
        0
    );
    assert!(!signs_in(&it, "ana", NEXT_PASSWORD).await);
    assert_ended(&it, &admin, &ana, SessionEndReason::UserDisabled).await;
    set_disabled(&it, &admin, id, false).await;
    assert!(!signs_in(&it, "ana", PASSWORD).await);
    assert!(signs_in(&it, "ana", NEXT_PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_ends_all_sessions_which_stay_listed_and_frees_the_login() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("Ana", &[]).await;
    let id = &ana.phone.user_id;
    assert_eq!(delete(&it, &admin, id).await.expect("deleted"), 2);
    assert_ended(&it, &admin, &ana, SessionEndReason::UserDeleted).await;
    assert!(!signs_in(&it, "Ana", PASSWORD).await);
    for again in [
        delete(&it, &admin, id).await.map(drop),
        get(&it, &admin, id).await.map(drop),
    ] {
        assert_eq!(reason(&again.expect_err("gone")), "USER_NOT_FOUND");
    }

    let successor = create(&it, &admin, "ana").await.expect("the login is free");
    assert_ne!(&successor.user_id, id);
    assert_eq!(listed(&it, &admin, &successor.user_id, true).await, []);
    assert_ended(&it, &admin, &ana, SessionEndReason::UserDeleted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_ended_before_keep_their_first_reason() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let id = &ana.phone.user_id;
    for session in [&ana.phone, &ana.laptop] {
        let refresh_token = session.refresh_token.clone();
        it.auth()
            .logout(v1::LogoutRequest { refresh_token })
            .await
            .expect("logs out");
    }
    set_password(&it, &admin, id, NEXT_PASSWORD)
        .await
        .expect("set");
    set_disabled(&it, &admin, id, true).await;
    delete(&it, &admin, id).await.expect("deleted");
    assert_ended(&it, &admin, &ana, SessionEndReason::LoggedOut).await;
}

/// The user's row alone decides, also where the rows of the sessions were never told.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_their_users_row_though_their_own_rows_say_nothing() {
    for (change, expected) in [
        ("UPDATE users SET disabled_at = now()", "USER_DISABLED"),
        (
            "UPDATE users SET sessions_valid_after = now()",
            "REVOKED_BY_ADMIN",
        ),
        ("DELETE FROM users", "USER_DELETED"),
    ] {
        let it = Harness::start().await;
        let ana = it.subject("ana", &[]).await;
        it.sql(change).await;
        let refused = it.refresh(&ana.phone.refresh_token, &request_id()).await;
        let own = ana.phone.request(v1::ListMySessionsRequest::default());
        let listed = it.auth().list_my_sessions(own).await.map(drop);
        for refused in [refused.map(drop), listed] {
            let refused = refused.expect_err(change);
            assert_eq!(reason(&refused), "SESSION_ENDED");
            assert_eq!(metadata(&refused, "end_reason"), expected);
        }
    }
}

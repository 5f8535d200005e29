//! Changing a password, and registering with one.

mod answers;
mod foreign;
mod rules;
mod stored;

use rollcall::proto::v1;
use tonic::{Code, Status};

use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, Replica, SignedIn, authenticate, metadata, reason, request_id,
};

async fn change(it: &Harness, caller: &SignedIn, current: &str, new: &str) -> Result<u32, Status> {
    let request = v1::ChangePasswordRequest {
        current_password: current.to_owned(),
        new_password: new.to_owned(),
    };
    let reply = it.auth().change_password(caller.request(request)).await?;
    Ok(reply.into_inner().revoked_session_count)
}

async fn register(it: &Harness, login: &str, password: &str) -> Result<v1::User, Status> {
    let request = v1::RegisterRequest {
        login: login.to_owned(),
        password: password.to_owned(),
        display_name: String::new(),
    };
    let reply = it.auth().register(request).await?;
    Ok(reply.into_inner().user.expect("a user"))
}

async fn try_sign_in(
    it: &Replica,
    login: &str,
    password: &str,
) -> Result<v1::AuthenticateResponse, Status> {
    let request = v1::AuthenticateRequest {
        password: password.to_owned(),
        ..authenticate(login)
    };
    Ok(it.auth().authenticate(request).await?.into_inner())
}

/// Asserts that a login has this password and not another.
async fn assert_password(it: &Harness, login: &str, right: &str, wrong: &str) {
    try_sign_in(it, login, right).await.expect("the right one");
    let refused = try_sign_in(it, login, wrong)
        .await
        .expect_err("a wrong one");
    assert_eq!(reason(&refused), "INVALID_CREDENTIALS");
}

#[tokio::test(flavor = "multi_thread")]
async fn change_keeps_the_session_that_asks_and_ends_all_others() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    let third = it.sign_in("ana").await;
    let ben = it.subject("ben", &[]).await;
    let ended = change(&it, &ana.laptop, PASSWORD, NEXT_PASSWORD).await;
    assert_eq!(ended.expect("changed"), 2);

    for other in [&ana.phone, &third] {
        let refused = it.refresh(&other.refresh_token, &request_id()).await;
        let refused = refused.expect_err("ended");
        assert_eq!(reason(&refused), "SESSION_ENDED");
        assert_eq!(metadata(&refused, "end_reason"), "PASSWORD_CHANGED");
        let own = other.request(v1::ListMySessionsRequest::default());
        let refused = it.auth().list_my_sessions(own).await.expect_err("ended");
        assert_eq!(reason(&refused), "SESSION_ENDED");
    }
    let own = ana.laptop.request(v1::ListMySessionsRequest::default());
    let listed = it
        .auth()
        .list_my_sessions(own)
        .await
        .expect("lives")
        .into_inner();
    assert_eq!(listed.sessions.len(), 1);
    it.refresh(&ana.laptop.refresh_token, &request_id())
        .await
        .expect("lives");
    it.refresh(&ben.phone.refresh_token, &request_id())
        .await
        .expect("another user's lives");
    assert_password(&it, "ana", NEXT_PASSWORD, PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn change_without_the_current_password_is_refused_and_changes_nothing() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    let before = it.database.sessions_and_users().await;
    for wrong in [
        "",
        "not the current one",
        NEXT_PASSWORD,
        &PASSWORD.to_uppercase(),
    ] {
        let refused = change(&it, &ana.laptop, wrong, NEXT_PASSWORD).await;
        let refused = refused.expect_err("an access token alone is not enough");
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(reason(&refused), "INVALID_CREDENTIALS");
    }
    assert_eq!(it.database.sessions_and_users().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_of_two_changes_at_once_is_refused() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    let (one, other) = tokio::join!(
        change(&it, &ana.laptop, PASSWORD, NEXT_PASSWORD),
        change(&it, &ana.phone, PASSWORD, "marble-falcon-dusk-4471"),
    );
    let (changed, refused) = if one.is_ok() {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(changed.expect("the first"), 1);
    let reason = reason(&refused.expect_err("the second"));
    assert!(
        ["INVALID_CREDENTIALS", "SESSION_ENDED"].contains(&reason.as_str()),
        "{reason}"
    );
    let live: i64 = it
        .scalar("SELECT count(*) FROM sessions WHERE revoked_at IS NULL")
        .await;
    assert_eq!(live, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_is_off_unless_the_server_was_told_otherwise() {
    let it = Harness::start().await;
    let refused = register(&it, "ana", PASSWORD).await.expect_err("off");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "REGISTRATION_DISABLED");
    // Whatever is asked for, nothing is said of it.
    let refused = register(&it, "", "short").await.expect_err("off");
    assert_eq!(reason(&refused), "REGISTRATION_DISABLED");
    assert_eq!(it.scalar::<i64>("SELECT count(*) FROM users").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_user_has_no_roles_and_can_sign_in() {
    let it = Harness::with(&["--registration"]).await;
    let user = register(&it, "Ana", PASSWORD).await.expect("registers");
    assert_eq!(
        (user.login.as_str(), user.roles.len(), user.disabled),
        ("Ana", 0, false)
    );
    let signed_in = try_sign_in(&it, "ana", PASSWORD).await.expect("signs in");
    assert_eq!(signed_in.user_id, user.user_id);
    assert_eq!(signed_in.roles.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_of_a_login_that_is_taken_is_refused_and_changes_nothing() {
    let it = Harness::with(&["--registration"]).await;
    register(&it, "ana", PASSWORD).await.expect("registers");
    let before = it.database.contents().await;
    let taken = register(&it, "ANA", NEXT_PASSWORD)
        .await
        .expect_err("taken");
    assert_eq!(taken.code(), Code::AlreadyExists);
    assert_eq!(reason(&taken), "LOGIN_TAKEN");
    assert_eq!(it.database.contents().await, before);
}

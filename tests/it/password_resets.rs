//! Passwords set with a token that an operator had made.

use futures_util::future::join_all;
use rollcall::proto::v1;
use tonic::{Code, Status};

use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, SignedIn, Subject, authenticate, end_reason, mask, reason,
    request_id, violated_fields,
};

async fn issue(it: &Harness, admin: &SignedIn, user_id: &str) -> String {
    let request = v1::IssuePasswordResetTokenRequest {
        user_id: user_id.to_owned(),
        lifetime_seconds: 0,
    };
    let reply = it
        .user_admin()
        .issue_password_reset_token(admin.request(request))
        .await;
    reply.expect("issues").into_inner().reset_token
}

async fn reset(it: &Harness, token: &str, new_password: &str) -> Result<u32, Status> {
    let request = v1::ResetPasswordRequest {
        reset_token: token.to_owned(),
        new_password: new_password.to_owned(),
    };
    let reply = it.auth().reset_password(request).await?;
    Ok(reply.into_inner().revoked_session_count)
}

async fn assert_void(it: &Harness, token: &str) {
    let refused = reset(it, token, NEXT_PASSWORD).await.expect_err("void");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert_eq!(reason(&refused), "PASSWORD_RESET_TOKEN_INVALID");
}

async fn signs_in(it: &Harness, password: &str) -> bool {
    let request = v1::AuthenticateRequest {
        password: password.to_owned(),
        ..authenticate("ana")
    };
    it.auth().authenticate(request).await.is_ok()
}

async fn world() -> (Harness, SignedIn, Subject) {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    (it, admin, ana)
}

#[tokio::test(flavor = "multi_thread")]
async fn token_sets_the_password_once_and_ends_all_sessions() {
    let (it, admin, ana) = world().await;
    let id = &ana.laptop.user_id;
    let token = issue(&it, &admin, id).await;
    assert!(token.starts_with("rcp_"));
    assert_eq!(reset(&it, &token, NEXT_PASSWORD).await.expect("resets"), 2);
    assert!(signs_in(&it, NEXT_PASSWORD).await && !signs_in(&it, PASSWORD).await);
    for session in [&ana.laptop, &ana.phone] {
        let ended = it.refresh(&session.refresh_token, &request_id()).await;
        assert_eq!(end_reason(&ended.expect_err("ended")), "PASSWORD_CHANGED");
    }
    assert_void(&it, &token).await;
    let told = it
        .scalar::<String>(&format!(
            "SELECT string_agg(kind || ' ' || coalesce(actor_id::text, 'self'), ';' ORDER BY id) \
             FROM audit_events WHERE user_id = '{id}' AND kind LIKE 'PASSWORD_RESET%'"
        ))
        .await;
    let by = &admin.user_id;
    assert_eq!(
        told,
        format!("PASSWORD_RESET_TOKEN_ISSUED {by};PASSWORD_RESET self;PASSWORD_RESET_REFUSED self")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_is_void_is_told_once_a_minute_and_one_of_elsewhere_never() {
    let (it, admin, ana) = world().await;
    let id = &ana.laptop.user_id;
    let token = issue(&it, &admin, id).await;
    it.sql("UPDATE password_reset_tokens SET expires_at = now()")
        .await;
    let deleted = it.create_user("ben", &[]).await.to_string();
    let gone = issue(&it, &admin, &deleted).await;
    it.sql("DELETE FROM users WHERE login = 'ben'").await;
    let told = format!(
        "SELECT count(*) FROM audit_events WHERE kind = 'PASSWORD_RESET_REFUSED' \
         AND user_id = '{id}' AND actor_id IS NULL AND request_id <> ''"
    );
    for count in [1, 2] {
        for _ in 0..2 {
            assert_void(&it, &token).await;
        }
        assert_void(&it, &gone).await;
        assert_void(&it, &token.replace("rcp_A", "rcp_B")).await;
        assert_eq!(it.scalar::<i64>(&told).await, count);
        it.sql("UPDATE audit_events SET created_at = created_at - interval '61 s'")
            .await;
    }
    let all = "SELECT count(*) FROM audit_events WHERE kind = 'PASSWORD_RESET_REFUSED'";
    assert_eq!(it.scalar::<i64>(all).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_password_does_not_use_the_token_up() {
    let (it, admin, ana) = world().await;
    let token = issue(&it, &admin, &ana.laptop.user_id).await;
    for weak in ["short", "password-password", "ana-ana-ana-ana-ana"] {
        let refused = reset(&it, &token, weak).await.expect_err(weak);
        assert_eq!(violated_fields(&refused), ["new_password"], "{weak}");
    }
    reset(&it, &token, NEXT_PASSWORD).await.expect("resets");
}

#[tokio::test(flavor = "multi_thread")]
async fn later_token_voids_the_earlier_and_users_have_their_own() {
    let (it, admin, ana) = world().await;
    let ben = it.create_user("ben", &[]).await.to_string();
    let first = issue(&it, &admin, &ana.laptop.user_id).await;
    let bens = issue(&it, &admin, &ben).await;
    let second = issue(&it, &admin, &ana.laptop.user_id).await;
    assert_void(&it, &first).await;
    reset(&it, &second, NEXT_PASSWORD).await.expect("resets");
    reset(&it, &bens, NEXT_PASSWORD).await.expect("resets");
    let rows = "SELECT count(*) FROM password_reset_tokens";
    assert_eq!(it.scalar::<i64>(rows).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_lives_as_long_as_was_asked_for() {
    let (it, admin, ana) = world().await;
    let user_id = &ana.laptop.user_id;
    for (asked, lives) in [(0, 900), (60, 60), (86_400, 86_400)] {
        let request = v1::IssuePasswordResetTokenRequest {
            user_id: user_id.clone(),
            lifetime_seconds: asked,
        };
        let reply = it
            .user_admin()
            .issue_password_reset_token(admin.request(request))
            .await;
        let expires = reply
            .expect("issues")
            .into_inner()
            .expire_time
            .expect("a time");
        let told = "SELECT extract(epoch FROM created_at)::bigint FROM audit_events \
             WHERE kind = 'PASSWORD_RESET_TOKEN_ISSUED' ORDER BY id DESC LIMIT 1";
        let age = expires.seconds - it.scalar::<i64>(told).await;
        assert!((lives - 1..=lives + 1).contains(&age), "{age}");
    }
    let token = issue(&it, &admin, user_id).await;
    it.sql("UPDATE password_reset_tokens SET expires_at = now()")
        .await;
    assert_void(&it, &token).await;
    assert!(signs_in(&it, PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_uses_at_once_one_sets_its_password() {
    let (it, admin, ana) = world().await;
    let token = issue(&it, &admin, &ana.laptop.user_id).await;
    let passwords: Vec<_> = (0..6).map(|n| format!("{NEXT_PASSWORD}-{n}")).collect();
    let uses = passwords
        .iter()
        .map(|password| reset(&it, &token, password));
    let results = join_all(uses).await;
    let won: Vec<_> = (0..6).filter(|at| results[*at].is_ok()).collect();
    assert_eq!(won.len(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        assert_eq!(reason(&refused), "PASSWORD_RESET_TOKEN_INVALID");
    }
    assert!(signs_in(&it, &passwords[won[0]]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_a_disabled_user_is_void_and_stays_so() {
    let (it, admin, ana) = world().await;
    let user_id = ana.laptop.user_id.clone();
    let token = issue(&it, &admin, &user_id).await;
    for disabled in [true, false] {
        let request = v1::UpdateUserRequest {
            user: Some(v1::User {
                user_id: user_id.clone(),
                disabled,
                ..v1::User::default()
            }),
            update_mask: Some(mask(&["disabled"])),
        };
        it.user_admin()
            .update_user(admin.request(request))
            .await
            .expect("updates");
        assert_void(&it, &token).await;
    }
    let token = issue(&it, &admin, &user_id).await;
    it.sql("UPDATE users SET disabled_at = now() WHERE login = 'ana'")
        .await;
    assert_void(&it, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_login_another_change_of_the_password_or_deletion_voids_the_token() {
    let (it, admin, ana) = world().await;
    let user_id = ana.laptop.user_id.clone();
    let token = issue(&it, &admin, &user_id).await;
    let (id, login) = (user_id.clone(), "ana@id.test".to_owned());
    let add = v1::AddLoginRequest {
        user_id: id.clone(),
        login: login.clone(),
        kind: v1::LoginKind::Email.into(),
    };
    let added = it.user_admin().add_login(admin.request(add)).await;
    added.expect("adds");
    let remove = v1::RemoveLoginRequest { user_id: id, login };
    let removed = it.user_admin().remove_login(admin.request(remove)).await;
    removed.expect("removes");
    assert_void(&it, &token).await;
    let token = issue(&it, &admin, &user_id).await;
    let change = v1::ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: NEXT_PASSWORD.to_owned(),
    };
    it.auth()
        .change_password(ana.laptop.request(change))
        .await
        .expect("changes");
    assert_void(&it, &token).await;
    let token = issue(&it, &admin, &user_id).await;
    let set = v1::SetPasswordRequest {
        user_id: user_id.clone(),
        new_password: PASSWORD.to_owned(),
    };
    it.user_admin()
        .set_password(admin.request(set))
        .await
        .expect("sets");
    assert_void(&it, &token).await;
    let token = issue(&it, &admin, &user_id).await;
    let delete = v1::DeleteUserRequest {
        user_id: user_id.clone(),
    };
    it.user_admin()
        .delete_user(admin.request(delete))
        .await
        .expect("deletes");
    assert_void(&it, &token).await;
    let rows = "SELECT count(*) FROM password_reset_tokens";
    assert_eq!(it.scalar::<i64>(rows).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_from_elsewhere_meets_no_statement() {
    let (it, admin, ana) = world().await;
    let token = issue(&it, &admin, &ana.laptop.user_id).await;
    let before = it.database.statements().await;
    let other_prefix = token.replacen("rcp_", "rcr_", 1);
    for forged in [
        "x",
        "rcp_",
        &token[..token.len() - 1],
        &format!("{token}A"),
        &other_prefix,
        &ana.phone.refresh_token,
        &token.replacen(&token[10..14], "AAAA", 1),
    ] {
        assert_void(&it, forged).await;
    }
    assert_eq!(it.database.statements().await, before);
    reset(&it, &token, NEXT_PASSWORD)
        .await
        .expect("the right one");
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_user_is_unlocked_by_the_reset_and_by_an_operator_s_password() {
    let (it, admin, ana) = world().await;
    let user_id = ana.laptop.user_id.clone();
    let lock = format!(
        "INSERT INTO user_sign_ins (user_id, attempts, failures, opened) \
         VALUES ('{user_id}', 100, 100, 0) ON CONFLICT (user_id) DO UPDATE SET attempts = 100"
    );
    it.sql(&lock).await;
    let locked = async || {
        let request = v1::GetUserRequest {
            user: Some(v1::get_user_request::User::UserId(user_id.clone())),
        };
        let got = it.user_admin().get_user(admin.request(request)).await;
        got.expect("gets").into_inner().user.expect("a user").locked
    };
    assert!(locked().await);
    let token = issue(&it, &admin, &user_id).await;
    reset(&it, &token, NEXT_PASSWORD).await.expect("resets");
    assert!(!locked().await);

    it.sql(&lock).await;
    assert!(locked().await);
    let set = v1::SetPasswordRequest {
        user_id: user_id.clone(),
        new_password: PASSWORD.to_owned(),
    };
    let set = it.user_admin().set_password(admin.request(set)).await;
    set.expect("sets");
    assert!(!locked().await);
}

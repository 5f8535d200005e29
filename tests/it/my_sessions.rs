//! What users see of their own sessions, and how they end them.

use rollcall::proto::v1::{self, SessionEndReason, SessionState};
use tonic::{Code, Status};

use crate::harness::{Harness, SignedIn, device, metadata, reason, request_id};

async fn list(
    it: &Harness,
    caller: &SignedIn,
    page_size: i32,
    page_token: &str,
) -> v1::ListMySessionsResponse {
    let request = caller.request(v1::ListMySessionsRequest {
        page_size,
        page_token: page_token.to_owned(),
    });
    let reply = it.auth().list_my_sessions(request).await;
    reply.expect("lists").into_inner()
}

fn ids(reply: &v1::ListMySessionsResponse) -> Vec<&str> {
    reply
        .sessions
        .iter()
        .map(|s| s.session_id.as_str())
        .collect()
}

async fn revoke(it: &Harness, caller: &SignedIn, id: &str) -> Result<v1::Session, Status> {
    let request = caller.request(v1::RevokeMySessionRequest {
        session_id: id.to_owned(),
    });
    let reply = it.auth().revoke_my_session(request).await?;
    Ok(reply.into_inner().session.expect("a session"))
}

/// Lets the user have signed in this long ago.
async fn age(it: &Harness, session: &SignedIn, interval: &str) {
    let (user_id, id) = (&session.user_id, &session.session_id);
    let valid = "UPDATE users SET sessions_valid_after = sessions_valid_after - interval '1 year'";
    it.sql(&format!("{valid} WHERE id = '{user_id}'")).await;
    let aged = format!("UPDATE sessions SET created_at = created_at - interval '{interval}'");
    it.sql(&format!("{aged} WHERE id = '{id}'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn list_leaves_out_ended_and_expired_sessions_and_those_of_others() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    it.subject("ben", &[]).await;
    let (ended, expired) = (it.sign_in("ana").await, it.sign_in("ana").await);
    revoke(&it, &ana.laptop, &ended.session_id)
        .await
        .expect("revoked");
    let expire = "UPDATE sessions SET absolute_expires_at = now()";
    it.sql(&format!("{expire} WHERE id = '{}'", expired.session_id))
        .await;

    let reply = list(&it, &ana.laptop, 0, "").await;
    assert_eq!(ids(&reply), [&ana.phone.session_id, &ana.laptop.session_id]);
    assert!(
        reply
            .sessions
            .iter()
            .all(|s| s.state() == SessionState::Live)
    );
    assert_eq!(reply.sessions[1], ana.laptop.session);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_newest_first_and_each_names_the_session_that_calls() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let mut opened = Vec::new();
    for _ in 0..5 {
        opened.push(it.sign_in("ana").await);
    }
    let caller = &opened[0];
    let (mut seen, mut token) = (Vec::new(), String::new());
    for length in [2, 2, 1] {
        let page = list(&it, caller, 2, &token).await;
        assert_eq!(page.sessions.len(), length);
        assert_eq!(page.current_session_id, caller.session_id);
        seen.extend(page.sessions.into_iter().map(|s| s.session_id));
        token = page.next_page_token;
    }
    assert_eq!(token, "");
    let newest_first: Vec<_> = opened.iter().rev().map(|s| s.session_id.clone()).collect();
    assert_eq!(seen, newest_first);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_phone_is_ended_from_the_laptop_and_only_the_phone() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    let ended = revoke(&it, &ana.laptop, &ana.phone.session_id)
        .await
        .expect("revoked");
    assert_eq!(ended.state(), SessionState::Revoked);
    assert_eq!(ended.end_reason(), SessionEndReason::RevokedByUser);

    let refused = it.refresh(&ana.phone.refresh_token, &request_id()).await;
    let refused = refused.expect_err("ended");
    assert_eq!(reason(&refused), "SESSION_ENDED");
    assert_eq!(metadata(&refused, "end_reason"), "REVOKED_BY_USER");
    let refused = revoke(&it, &ana.phone, &ana.laptop.session_id).await;
    assert_eq!(reason(&refused.expect_err("ended")), "SESSION_ENDED");
    it.refresh(&ana.laptop.refresh_token, &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_calls_can_end_itself() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    let ended = revoke(&it, &ana.phone, &ana.phone.session_id)
        .await
        .expect("revoked");
    assert_eq!(ended.end_reason(), SessionEndReason::RevokedByUser);
    assert_eq!(
        ids(&list(&it, &ana.laptop, 0, "").await),
        [&ana.laptop.session_id]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_has_ended_is_ended_again_and_keeps_its_first_reason() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    let logout = v1::LogoutRequest {
        refresh_token: ana.phone.refresh_token.clone(),
    };
    it.auth().logout(logout).await.expect("logs out");
    let first = revoke(&it, &ana.laptop, &ana.phone.session_id)
        .await
        .expect("idempotent");
    assert_eq!(first.end_reason(), SessionEndReason::LoggedOut);
    let again = revoke(&it, &ana.laptop, &ana.phone.session_id)
        .await
        .expect("idempotent");
    assert_eq!(again, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_of_another_user_or_of_nobody_is_not_found_and_lives_on() {
    let it = Harness::start().await;
    let (ana, ben) = (
        it.subject("ana", &[]).await,
        it.subject("ben", &["admin"]).await,
    );
    for id in [
        &ana.phone.session_id,
        "01234567-89ab-7def-8123-456789abcdef",
        &ben.phone.user_id,
    ] {
        let refused = revoke(&it, &ben.laptop, id)
            .await
            .expect_err("not the caller's");
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(reason(&refused), "SESSION_NOT_FOUND");
    }
    it.refresh(&ana.phone.refresh_token, &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_another_session_needs_a_sign_in_of_the_last_15_minutes() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    age(&it, &ana.laptop, "15 minutes 1 second").await;
    let refused = revoke(&it, &ana.laptop, &ana.phone.session_id).await;
    let refused = refused.expect_err("signed in too long ago");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "RECENT_SIGN_IN_REQUIRED");
    it.refresh(&ana.phone.refresh_token, &request_id())
        .await
        .expect("lives");

    // A refresh is no sign-in.
    let refreshed = it
        .refresh(&ana.laptop.refresh_token, &request_id())
        .await
        .expect("lives");
    let refreshed = SignedIn {
        access_token: refreshed.tokens.expect("tokens").access_token,
        ..ana.laptop.clone()
    };
    let refused = revoke(&it, &refreshed, &ana.phone.session_id).await;
    assert_eq!(
        reason(&refused.expect_err("no sign-in")),
        "RECENT_SIGN_IN_REQUIRED"
    );

    let again = it.sign_in_on("ana", device("laptop")).await;
    revoke(&it, &again, &ana.phone.session_id)
        .await
        .expect("signed in now");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_of_14_minutes_ago_is_recent() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    age(&it, &ana.laptop, "14 minutes").await;
    revoke(&it, &ana.laptop, &ana.phone.session_id)
        .await
        .expect("recent");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_calls_can_end_itself_however_long_ago_the_user_signed_in() {
    let it = Harness::start().await;
    let ana = it.subject("ana", &[]).await;
    age(&it, &ana.laptop, "100 days").await;
    revoke(&it, &ana.laptop, &ana.laptop.session_id)
        .await
        .expect("its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_recent_a_sign_in_must_be_is_configurable() {
    let it = Harness::with(&["--recent-sign-in", "1h"]).await;
    let ana = it.subject("ana", &[]).await;
    age(&it, &ana.laptop, "59 minutes").await;
    revoke(&it, &ana.laptop, &ana.phone.session_id)
        .await
        .expect("recent");
    let third = it.sign_in("ana").await;
    age(&it, &ana.laptop, "2 minutes").await;
    let refused = revoke(&it, &ana.laptop, &third.session_id).await;
    assert_eq!(
        reason(&refused.expect_err("too long ago")),
        "RECENT_SIGN_IN_REQUIRED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_of_user_agents_are_stored_and_shown_escaped() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let at_sign_in = v1::Device {
        user_agent: "\u{1b}[31mred\r\nSet-Cookie: a\0\u{9b}2J é \u{2028}\u{202e}".to_owned(),
        ..device("")
    };
    let ana = it.sign_in_on("ana", at_sign_in).await;
    let refresh = v1::RefreshRequest {
        refresh_token: ana.refresh_token.clone(),
        request_id: request_id(),
        user_agent: "\u{1b}]0;title\u{7}\u{85}\t\u{7f}".to_owned(),
        ..v1::RefreshRequest::default()
    };
    it.auth().refresh(refresh).await.expect("lives");

    let shown = &list(&it, &ana, 0, "").await.sessions[0];
    let device = shown.device.as_ref().expect("a device");
    let wanted = r"\u{1b}[31mred\u{d}\u{a}Set-Cookie: a\u{0}\u{9b}2J é \u{2028}\u{202e}";
    assert_eq!(device.user_agent, wanted);
    assert_eq!(
        shown.last_user_agent,
        r"\u{1b}]0;title\u{7}\u{85}\u{9}\u{7f}"
    );
    let stored: String = it
        .scalar("SELECT user_agent || last_user_agent FROM sessions")
        .await;
    assert_eq!(stored, device.user_agent.clone() + &shown.last_user_agent);
    assert!(!stored.contains(char::is_control));
}

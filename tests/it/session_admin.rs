//! What operators see of sessions, and how they end them.

mod conditions;
mod crowd;
mod filters;
mod origins;
mod pages;
mod stats;
mod sweep;
mod sweep_meanwhile;
mod sweep_refused;
mod sweep_told;

use rollcall::proto::v1::{self, SessionEndReason, SessionState};
use tonic::{Code, Status};

use crate::harness::{Harness, SignedIn, device, reason, request_id};

const NOBODY: &str = "01234567-89ab-7def-8123-456789abcdef";

async fn list(
    it: &Harness,
    admin: &SignedIn,
    request: v1::ListSessionsRequest,
) -> Result<v1::ListSessionsResponse, Status> {
    let request = admin.request(request);
    let reply = it.session_admin().list_sessions(request).await?;
    Ok(reply.into_inner())
}

/// The ids of the sessions that a filter finds.
async fn find(it: &Harness, admin: &SignedIn, filter: v1::SessionFilter) -> Vec<String> {
    let request = v1::ListSessionsRequest {
        filter: Some(filter),
        ..v1::ListSessionsRequest::default()
    };
    ids(&list(it, admin, request).await.expect("lists").sessions)
}

fn ids(sessions: &[v1::Session]) -> Vec<String> {
    sessions.iter().map(|s| s.session_id.clone()).collect()
}

async fn get(it: &Harness, admin: &SignedIn, session_id: &str) -> Result<v1::Session, Status> {
    let request = v1::GetSessionRequest {
        session_id: session_id.to_owned(),
    };
    let reply = it
        .session_admin()
        .get_session(admin.request(request))
        .await?;
    Ok(reply.into_inner().session.expect("a session"))
}

async fn revoke(it: &Harness, admin: &SignedIn, session_id: &str) -> Result<v1::Session, Status> {
    let request = v1::RevokeSessionRequest {
        session_id: session_id.to_owned(),
    };
    let reply = it
        .session_admin()
        .revoke_session(admin.request(request))
        .await?;
    Ok(reply.into_inner().session.expect("a session"))
}

async fn revoke_user(
    it: &Harness,
    admin: &SignedIn,
    user_id: &str,
    kept: &[&SignedIn],
) -> Result<u32, Status> {
    let request = v1::RevokeUserSessionsRequest {
        user_id: user_id.to_owned(),
        except_session_ids: kept.iter().map(|s| s.session_id.clone()).collect(),
    };
    let reply = it
        .session_admin()
        .revoke_user_sessions(admin.request(request))
        .await?;
    Ok(reply.into_inner().revoked_session_count)
}

/// Lets a session's time be over.
async fn expire(it: &Harness, session: &SignedIn) {
    let id = &session.session_id;
    it.sql(&format!(
        "UPDATE sessions SET idle_expires_at = now() WHERE id = '{id}'"
    ))
    .await;
}

async fn refresh_fails(it: &Harness, session: &SignedIn) -> String {
    let refused = it.refresh(&session.refresh_token, &request_id()).await;
    let refused = refused.expect_err("ended");
    assert_eq!(reason(&refused), "SESSION_ENDED");
    crate::harness::metadata(&refused, "end_reason")
}

#[tokio::test(flavor = "multi_thread")]
async fn get_session_shows_what_the_device_said_and_what_a_refresh_changed() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let said = v1::Device {
        device_id: "pixel-1".to_owned(),
        display_name: "Ana's Pixel".to_owned(),
        client_id: "mail.app".to_owned(),
        user_agent: "Mail/1.0".to_owned(),
        ip_address: "203.0.113.7".to_owned(),
    };
    let ana = it.sign_in_on("ana", said.clone()).await;
    let opened = get(&it, &admin, &ana.session_id).await.expect("found");
    assert_eq!(opened, ana.session);
    assert_eq!(opened.user_id, ana.user_id);
    assert_eq!(opened.device, Some(said.clone()));
    assert_eq!(opened.last_user_agent, "Mail/1.0");
    assert_eq!(opened.last_ip_address, "203.0.113.7");
    assert_eq!(opened.last_seen_time, opened.create_time);
    assert_eq!((opened.generation, opened.state()), (0, SessionState::Live));
    assert_eq!(
        (opened.end_reason(), opened.end_time),
        (SessionEndReason::Unspecified, None)
    );

    let refresh = v1::RefreshRequest {
        refresh_token: ana.refresh_token.clone(),
        request_id: request_id(),
        user_agent: "Mail/2.0".to_owned(),
        ip_address: "2001:DB8::1".to_owned(),
    };
    let refreshed = it
        .auth()
        .refresh(refresh)
        .await
        .expect("lives")
        .into_inner();
    let session = get(&it, &admin, &ana.session_id).await.expect("found");
    assert_eq!(Some(&session), refreshed.session.as_ref());
    assert_eq!(session.device, Some(said));
    assert_eq!(session.last_user_agent, "Mail/2.0");
    assert_eq!(session.last_ip_address, "2001:db8::1");
    assert_eq!(session.generation, 1);
    assert_eq!(session.create_time, opened.create_time);
    assert_ne!(session.last_seen_time, opened.last_seen_time);
    assert_ne!(session.idle_expire_time, opened.idle_expire_time);
    assert_eq!(session.absolute_expire_time, opened.absolute_expire_time);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_without_an_address_of_its_own_has_that_of_the_peer() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let session = get(&it, &admin, &admin.session_id).await.expect("found");
    assert_eq!(session.last_ip_address, "127.0.0.1");
    assert_eq!(session.device.expect("a device").ip_address, "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_session_shows_an_expired_one_as_expired() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    expire(&it, &ana).await;
    let session = get(&it, &admin, &ana.session_id).await.expect("found");
    assert_eq!(session.state(), SessionState::Expired);
    assert_eq!(session.end_reason(), SessionEndReason::Unspecified);
    assert_eq!(session.end_time, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_session_is_shown_as_revoked_and_cannot_be_refreshed_or_used() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let ended = revoke(&it, &admin, &ana.phone.session_id)
        .await
        .expect("revoked");
    assert_eq!(ended.state(), SessionState::Revoked);
    assert_eq!(ended.end_reason(), SessionEndReason::RevokedByAdmin);
    assert!(ended.end_time.is_some());
    assert_eq!(
        get(&it, &admin, &ana.phone.session_id)
            .await
            .expect("found"),
        ended
    );

    assert_eq!(refresh_fails(&it, &ana.phone).await, "REVOKED_BY_ADMIN");
    let own = ana.phone.request(v1::ListMySessionsRequest::default());
    let refused = it.auth().list_my_sessions(own).await.expect_err("ended");
    assert_eq!(reason(&refused), "SESSION_ENDED");
    let other = it.refresh(&ana.laptop.refresh_token, &request_id()).await;
    other.expect("the other device lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_has_ended_is_revoked_again_and_keeps_its_first_reason_and_time() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let logout = v1::LogoutRequest {
        refresh_token: ana.refresh_token.clone(),
    };
    it.auth().logout(logout).await.expect("logs out");
    let first = get(&it, &admin, &ana.session_id).await.expect("found");
    let again = revoke(&it, &admin, &ana.session_id)
        .await
        .expect("idempotent");
    assert_eq!(again, first);
    assert_eq!(again.end_reason(), SessionEndReason::LoggedOut);
    assert_eq!(refresh_fails(&it, &ana).await, "LOGGED_OUT");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_all_sessions_of_a_user_leaves_other_users_alone_and_counts_live_ones() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    it.create_user("ben", &[]).await;
    let ben = it.sign_in("ben").await;
    let expired = it.sign_in("ana").await;
    expire(&it, &expired).await;

    let user_id = &ana.phone.user_id;
    assert_eq!(
        revoke_user(&it, &admin, user_id, &[]).await.expect("ended"),
        2
    );
    assert_eq!(refresh_fails(&it, &ana.phone).await, "REVOKED_BY_ADMIN");
    assert_eq!(refresh_fails(&it, &ana.laptop).await, "REVOKED_BY_ADMIN");
    assert_eq!(
        revoke_user(&it, &admin, user_id, &[])
            .await
            .expect("idempotent"),
        0
    );
    it.refresh(&ben.refresh_token, &request_id())
        .await
        .expect("lives");
    let again = it.sign_in_on("ana", device("phone")).await;
    it.refresh(&again.refresh_token, &request_id())
        .await
        .expect("a new sign-in lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_all_but_named_sessions_keeps_exactly_those() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let third = it.sign_in("ana").await;
    let fourth = it.sign_in("ana").await;
    // One that is not the user's own is neither kept nor ended by being named.
    let kept = [&ana.phone, &third, &admin];
    let ended = revoke_user(&it, &admin, &ana.phone.user_id, &kept).await;
    assert_eq!(ended.expect("ended"), 2);
    assert_eq!(refresh_fails(&it, &ana.laptop).await, "REVOKED_BY_ADMIN");
    assert_eq!(refresh_fails(&it, &fourth).await, "REVOKED_BY_ADMIN");
    for alive in kept {
        it.refresh(&alive.refresh_token, &request_id())
            .await
            .expect("kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_nobody_has_are_not_found() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for id in [
        NOBODY,
        "00000000-0000-0000-0000-000000000000",
        &admin.user_id,
    ] {
        for result in [get(&it, &admin, id).await, revoke(&it, &admin, id).await] {
            let missing = result.expect_err(id);
            assert_eq!(missing.code(), Code::NotFound);
            assert_eq!(reason(&missing), "SESSION_NOT_FOUND");
        }
    }
    for kept in [&[][..], &[&admin]] {
        let missing = revoke_user(&it, &admin, NOBODY, kept)
            .await
            .expect_err("nobody");
        assert_eq!(missing.code(), Code::NotFound);
        assert_eq!(reason(&missing), "USER_NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_ids_are_found_in_either_case() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let session = get(&it, &admin, &admin.session_id.to_uppercase()).await;
    assert_eq!(session.expect("found").session_id, admin.session_id);
}

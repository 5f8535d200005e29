//! Introspection (RFC 7662).

use rollcall::proto::v1::{IntrospectRequest, IntrospectResponse, LogoutRequest};
use serde_json::json;
use tonic::Status;

use crate::{
    access_tokens::Mint,
    harness::{Harness, SignedIn, claims, request_id, successor},
};

async fn introspect(
    it: &Harness,
    service: &SignedIn,
    token: &str,
) -> Result<IntrospectResponse, Status> {
    let request = service.request(IntrospectRequest {
        token: token.to_owned(),
    });
    Ok(it.verification().introspect(request).await?.into_inner())
}

/// What is said of a token that is not good.
async fn assert_inactive(it: &Harness, service: &SignedIn, token: &str) {
    let answer = introspect(it, service, token).await.expect("answers");
    assert_eq!(answer, IntrospectResponse::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn live_token_is_active_with_its_claims() {
    let it = Harness::start().await;
    let service = it.service().await;
    it.create_user("Ana", &["support"]).await;
    let ana = it.sign_in("ana").await;
    let answer = introspect(&it, &service, &ana.access_token).await;
    let claims = claims(&ana.access_token);
    let expected = IntrospectResponse {
        active: true,
        iss: "https://id.test".to_owned(),
        sub: ana.user_id.clone(),
        aud: "rollcall".to_owned(),
        client_id: "test".to_owned(),
        iat: claims["iat"].as_i64().expect("a number"),
        exp: claims["exp"].as_i64().expect("a number"),
        jti: claims["jti"].as_str().expect("a text").to_owned(),
        sid: ana.session_id.clone(),
        r#gen: 0,
        auth_time: claims["auth_time"].as_i64().expect("a number"),
        amr: vec!["pwd".to_owned()],
        roles: vec!["support".to_owned()],
        token_type: "Bearer".to_owned(),
        username: "Ana".to_owned(),
    };
    assert_eq!(answer.expect("answers"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_live_token_is_inactive_and_nothing_else() {
    let it = Harness::start().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    for token in [
        "garbage",
        "a.b.c",
        &ana.phone.refresh_token,
        &ana.phone.access_token[..ana.phone.access_token.len() - 2],
    ] {
        assert_inactive(&it, &service, token).await;
    }
    let other = Harness::with(&["--issuer", "https://elsewhere.test"]).await;
    other.create_user("ana", &[]).await;
    let foreign = other.sign_in("ana").await.access_token;
    assert_inactive(&it, &service, &foreign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_an_ended_session_is_inactive_and_that_of_another_device_is_not() {
    let it = Harness::start().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    let refresh_token = ana.phone.refresh_token.clone();
    let logout = it.auth().logout(LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    assert_inactive(&it, &service, &ana.phone.access_token).await;
    let laptop = introspect(&it, &service, &ana.laptop.access_token).await;
    assert!(laptop.expect("answers").active);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_is_inactive_from_its_exp_on_by_the_databases_clock() {
    let it = Harness::start().await;
    let service = it.service().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let mint = Mint::of(&it).await;
    let now: i64 = it
        .scalar("SELECT floor(extract(epoch FROM now()))::bigint")
        .await;
    let expiring = |exp: i64| mint.with_claims(&ana, |claims| claims["exp"] = json!(exp));
    let live = introspect(&it, &service, &expiring(now + 60)).await;
    assert!(live.expect("answers").active);
    assert_inactive(&it, &service, &expiring(now)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_those_of_this_moment() {
    let it = Harness::start().await;
    let service = it.service().await;
    it.create_user("ana", &["support"]).await;
    let ana = it.sign_in("ana").await;
    it.sql("UPDATE users SET roles = '{billing}' WHERE login = 'ana'")
        .await;
    let answer = introspect(&it, &service, &ana.access_token).await;
    assert_eq!(answer.expect("answers").roles, ["billing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_or_deleted_user_has_no_active_token() {
    let it = Harness::start().await;
    let service = it.service().await;
    for (login, change) in [
        (
            "ana",
            "UPDATE users SET disabled_at = now() WHERE login = 'ana'",
        ),
        ("ben", "DELETE FROM users WHERE login = 'ben'"),
        (
            "chloe",
            "UPDATE users SET sessions_valid_after = now() WHERE login = 'chloe'",
        ),
    ] {
        it.create_user(login, &[]).await;
        let user = it.sign_in(login).await;
        it.sql(change).await;
        assert_inactive(&it, &service, &user.access_token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_is_one_statement_whoever_is_asked_about() {
    let it = Harness::start().await;
    let service = it.service().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let refreshed = it.refresh(&ana.refresh_token, &request_id()).await;
    let refreshed = refreshed.expect("refreshes");
    for token in [
        &ana.access_token,
        &service.access_token,
        successor(&refreshed),
        "garbage",
    ] {
        let before = it.database.statements().await;
        introspect(&it, &service, token).await.expect("answers");
        assert_eq!(it.database.statements().await - before, 1);
    }
}

//! The access token: what it says, how long it holds, and whom it lets in.

mod corpus;
mod forged;
mod independent;
mod mint;
mod tampered;

use std::collections::HashSet;

use rollcall::proto::v1;
use serde_json::json;
use tonic::{Code, Status};

use crate::harness::{Harness, Replica, bearer, claims, device, reason, request_id, successor};
pub use mint::Mint;

/// What the call with an access token is told; `Ok` when it is let in.
async fn present(it: &Replica, access_token: &str) -> Result<(), Status> {
    let request = bearer(v1::ListMySessionsRequest::default(), access_token);
    it.auth().list_my_sessions(request).await.map(drop)
}

async fn unix_time(it: &Harness, column: &str, session_id: &str) -> i64 {
    let query = format!(
        "SELECT floor(extract(epoch FROM {column}))::bigint FROM sessions WHERE id = '{session_id}'"
    );
    it.scalar(&query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn header_names_type_algorithm_and_key_and_nothing_else() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let kid: String = it
        .scalar("SELECT kid FROM signing_keys WHERE state = 'active'")
        .await;
    let header = mint::header(&admin.access_token);
    assert_eq!(
        header,
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_exactly_those_of_the_design() {
    let it = Harness::with(&["--audience", "shop"]).await;
    it.create_user("ana", &["support", "audit"]).await;
    let client_id = "mail.app".to_owned();
    let ana = it
        .sign_in_on(
            "ana",
            v1::Device {
                client_id,
                ..device("phone")
            },
        )
        .await;
    let claims = claims(&ana.access_token);
    let created = unix_time(&it, "created_at", &ana.session_id).await;
    let expected = json!({
        "iss": "https://id.test",
        "sub": ana.user_id,
        "aud": "shop",
        "client_id": "mail.app",
        "iat": created,
        "exp": created + 600,
        "jti": claims["jti"],
        "sid": ana.session_id,
        "gen": 0,
        "auth_time": created,
        "amr": ["pwd"],
        "roles": ["audit", "support"],
    });
    assert_eq!(claims, expected);
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 22));
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_moves_iat_exp_gen_and_jti_and_leaves_the_sign_in_alone() {
    let it = Harness::with(&["--access-token-lifetime", "7m"]).await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    // Let the sign-in have been a while ago.
    it.sql("UPDATE users SET sessions_valid_after = sessions_valid_after - interval '1 day'")
        .await;
    it.sql(
        "UPDATE sessions SET created_at = created_at - interval '1 hour', \
            rotated_at = rotated_at - interval '1 hour'",
    )
    .await;
    let reply = it
        .refresh(&ana.refresh_token, &request_id())
        .await
        .expect("lives");
    let tokens = reply.tokens.expect("tokens");
    let (before, after) = (claims(&ana.access_token), claims(&tokens.access_token));
    let rotated = unix_time(&it, "rotated_at", &ana.session_id).await;
    assert_eq!(after["iat"], rotated);
    assert_eq!(after["exp"], rotated + 420);
    assert_eq!(
        tokens.access_token_expire_time.expect("a time").seconds,
        rotated + 420
    );
    assert_eq!(after["gen"], 1);
    assert_ne!(after["jti"], before["jti"]);
    let created = unix_time(&it, "created_at", &ana.session_id).await;
    assert_eq!(after["auth_time"], created);
    assert!(created <= rotated - 3_600);
    for same in ["iss", "sub", "aud", "client_id", "sid", "amr", "roles"] {
        assert_eq!(after[same], before[same], "{same}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_never_outlives_its_session() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    it.sql("UPDATE sessions SET absolute_expires_at = now() + interval '90 seconds'")
        .await;
    let reply = it
        .refresh(&ana.refresh_token, &request_id())
        .await
        .expect("lives");
    let tokens = reply.tokens.expect("tokens");
    let absolute = unix_time(&it, "absolute_expires_at", &ana.session_id).await;
    assert_eq!(claims(&tokens.access_token)["exp"], absolute);
    assert_eq!(
        tokens.access_token_expire_time.expect("a time").seconds,
        absolute
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_and_generation_has_a_jti_of_its_own_and_a_repetition_the_same() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let session = it.sign_in_on("ana", device("phone")).await;
        assert!(seen.insert(jti(&session.access_token)));
        let mut refresh_token = session.refresh_token;
        for _ in 0..4 {
            let request_id = request_id();
            let reply = it
                .refresh(&refresh_token, &request_id)
                .await
                .expect("lives");
            let again = it
                .refresh(&refresh_token, &request_id)
                .await
                .expect("repeated");
            let tokens = reply.tokens.as_ref().expect("tokens");
            assert_eq!(again.tokens.as_ref(), Some(tokens), "the very same tokens");
            assert!(seen.insert(jti(&tokens.access_token)));
            refresh_token = successor(&reply).to_owned();
        }
    }
}

fn jti(access_token: &str) -> String {
    claims(access_token)["jti"]
        .as_str()
        .expect("a text")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_holds_until_exp_by_the_databases_clock() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let mint = Mint::of(&it).await;
    let now: i64 = it
        .scalar("SELECT floor(extract(epoch FROM now()))::bigint")
        .await;
    let expiring = |exp: i64| mint.with_claims(&admin, |claims| claims["exp"] = json!(exp));
    present(&it, &expiring(now + 3_600)).await.expect("holds");
    for exp in [now, now - 1, 0] {
        let refused = present(&it, &expiring(exp)).await.expect_err("expired");
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(reason(&refused), "ACCESS_TOKEN_EXPIRED", "{exp}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_of_an_earlier_generation_holds_while_its_session_does() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    it.refresh(&ana.refresh_token, &request_id())
        .await
        .expect("lives");
    present(&it, &ana.access_token)
        .await
        .expect("a call in flight");
    it.sql("UPDATE sessions SET idle_expires_at = now()").await;
    let refused = present(&it, &ana.access_token).await.expect_err("expired");
    assert_eq!(reason(&refused), "SESSION_ENDED");
    it.sql("DELETE FROM sessions").await;
    let refused = present(&it, &ana.access_token).await.expect_err("gone");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_of_one_replica_is_good_at_another_with_the_same_issuer_and_audience() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    present(&it.replica().await, &admin.access_token)
        .await
        .expect("good");
    let elsewhere = Replica::start(&it.database, &["--audience", "other"]).await;
    let refused = present(&elsewhere, &admin.access_token)
        .await
        .expect_err("for others");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
    let keys: i64 = it.scalar("SELECT count(*) FROM signing_keys").await;
    assert_eq!(keys, 2, "the active and the next");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_of_another_deployment_is_refused() {
    let (it, other) = (Harness::start().await, Harness::start().await);
    let (admin, stranger) = (it.admin().await, other.admin().await);
    assert_ne!(
        mint::header(&admin.access_token)["kid"],
        mint::header(&stranger.access_token)["kid"]
    );
    let refused = present(&it, &stranger.access_token)
        .await
        .expect_err("a stranger");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_subject_of_a_token_open_nothing_that_the_database_does_not() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let mint = Mint::of(&it).await;
    let promoted = mint.with_claims(&ana.phone, |claims| claims["roles"] = json!(["admin"]));
    let refused = list_users(&it, &promoted).await.expect_err("no operator");
    assert_eq!(reason(&refused), "ADMIN_REQUIRED");
    // Of two users' tokens, each half.
    let borrowed = mint.with_claims(&ana.phone, |claims| claims["sub"] = json!(admin.user_id));
    let stolen = mint.with_claims(&ana.phone, |claims| claims["sid"] = json!(admin.session_id));
    for mixed in [borrowed, stolen] {
        let refused = list_users(&it, &mixed).await.expect_err("no such session");
        assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
    }
    list_users(&it, &admin.access_token)
        .await
        .expect("an operator");
}

async fn list_users(it: &Harness, access_token: &str) -> Result<(), Status> {
    let request = bearer(v1::ListUsersRequest::default(), access_token);
    it.user_admin().list_users(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_an_intruder_writes_into_the_database_verifies_nothing() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let intruder = Mint::of(&it).await.intruder();
    let forged = intruder.with_claims(&admin, |_| {});
    let public_key = intruder.public_key_hex();
    it.sql(&format!(
        "UPDATE signing_keys SET public_key = '\\x{public_key}'"
    ))
    .await;
    let restarted = it.replica().await;
    let refused = present(&restarted, &forged)
        .await
        .expect_err("the intruder's");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
    present(&restarted, &admin.access_token)
        .await
        .expect("the real one's");
}

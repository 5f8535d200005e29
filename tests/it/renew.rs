//! Clients that hold one token: the access token alone, which is renewed by itself.

mod repeated;

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use rollcall::proto::v1;
use serde_json::json;
use tonic::{Code, Status};

use crate::{
    access_tokens::Mint,
    harness::{
        Database, Harness, Replica, SignedIn, bearer, claims, end_reason, reason, request_id,
    },
};

/// The session's access token as it is once its time is over.
async fn expired(it: &Harness, session: &SignedIn) -> String {
    let mint = Mint::of(it).await;
    mint.with_claims(session, |claims| {
        claims["iat"] = json!(claims["iat"].as_i64().expect("a time") - 1_000);
        claims["exp"] = json!(claims["exp"].as_i64().expect("a time") - 1_000);
    })
}

async fn watch(it: &Harness) -> SignedIn {
    it.create_user("ana", &["support"]).await;
    it.sign_in_single("ana").await
}

fn access_token(reply: &v1::RenewResponse) -> &str {
    &reply.tokens.as_ref().expect("tokens").access_token
}

async fn present(it: &Replica, access_token: &str) -> Result<(), Status> {
    let request = bearer(v1::ListMySessionsRequest::default(), access_token);
    it.auth().list_my_sessions(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_for_a_single_token_returns_no_refresh_token() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let request = v1::AuthenticateRequest {
        token_mode: v1::TokenMode::Single.into(),
        ..crate::harness::authenticate("ana")
    };
    let reply = it.auth().authenticate(request).await.expect("signs in");
    let reply = reply.into_inner();
    let (tokens, session) = (reply.tokens.expect("tokens"), reply.session.expect("one"));
    assert_eq!(tokens.refresh_token, "");
    assert_eq!(tokens.refresh_token_expire_time, session.idle_expire_time);
    assert_eq!(session.token_mode(), v1::TokenMode::Single);
    assert_eq!(session.binding, None);
    assert_eq!(claims(&tokens.access_token)["token_mode"], "SINGLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_for_a_pair_is_what_it_is_without_a_mode() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let pair = it
        .sign_in_as(v1::AuthenticateRequest {
            token_mode: v1::TokenMode::Pair.into(),
            ..crate::harness::authenticate("ana")
        })
        .await;
    for session in [pair, it.sign_in("ana").await] {
        assert_eq!(session.session.token_mode(), v1::TokenMode::Pair);
        assert!(session.refresh_token.starts_with("rcr_"));
        assert!(claims(&session.access_token).get("token_mode").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_token_is_renewed_by_the_next_generation() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let old = expired(&it, &watch).await;
    let refused = present(&it, &old).await.expect_err("expired");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_EXPIRED");

    let reply = it.renew(&old).await.expect("lives");
    let (tokens, session) = (reply.tokens.as_ref(), reply.session.as_ref());
    let (tokens, session) = (tokens.expect("tokens"), session.expect("a session"));
    assert_eq!(tokens.refresh_token, "");
    assert_eq!(tokens.refresh_token_expire_time, session.idle_expire_time);
    assert_eq!(session.generation, 1);
    assert_eq!(
        (reply.user_id.as_str(), session.session_id.as_str()),
        (watch.user_id.as_str(), watch.session_id.as_str())
    );
    assert_eq!(reply.roles, ["support"]);
    let next = claims(&tokens.access_token);
    assert_eq!(next["gen"], 1);
    assert_eq!(next["token_mode"], "SINGLE");
    present(&it, &tokens.access_token).await.expect("is good");
    assert_eq!(it.database.standing(&watch.session_id).await, (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_has_not_expired_may_be_renewed_and_holds_until_it_does() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    it.renew(&watch.access_token).await.expect("lives");
    present(&it, &watch.access_token)
        .await
        .expect("a call in flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_in_a_chain_count_the_generations() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let mut token = watch.access_token.clone();
    for generation in 1..=20 {
        let reply = it.renew(&token).await.expect("lives");
        access_token(&reply).clone_into(&mut token);
        assert_eq!(claims(&token)["gen"], generation);
    }
    assert_eq!(it.database.standing(&watch.session_id).await, (20, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_ahead_of_the_database_is_refused_for_now_and_ends_nothing() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let next = it.renew(&watch.access_token).await.expect("lives");
    it.database.lose_commit(&watch.session_id, None).await;
    let refused = it.renew(access_token(&next)).await.expect_err("ahead");
    assert_eq!(reason(&refused), "GENERATION_AHEAD");
    assert_eq!(it.database.standing(&watch.session_id).await, (0, None));
    it.renew(&watch.access_token).await.expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_single_token_of_this_deployment_is_refused_without_a_statement() {
    let it = Harness::start().await;
    let elsewhere = Replica::start(&it.database, &["--audience", "other"]).await;
    let watch = watch(&it).await;
    let pair = it.sign_in("ana").await;
    let mint = Mint::of(&it).await;
    let stranger = Harness::start().await;
    let strange = self::watch(&stranger).await;
    let with_jti = |jti: &str| mint.with_claims(&watch, |claims| claims["jti"] = json!(jti));
    let before = it.database.contents().await;
    let sent = it.database.statements().await;
    for (token, what) in [
        (pair.access_token.clone(), "of a pair"),
        (pair.refresh_token.clone(), "a refresh token"),
        (strange.access_token, "of another deployment"),
        (with_jti(""), "without a commitment"),
        (with_jti("AAAAAAAAAAAAAAAAAAAAAAA"), "with a long one"),
        (with_jti("AAAAAAAAAAAAAAAAAAAAA"), "with a short one"),
        (with_jti("AAAAAAAAAAAAAAAAAAAAAB"), "with stray bits"),
        ("garbage".to_owned(), "garbage"),
    ] {
        let refused = it.renew(&token).await.expect_err(what);
        assert_eq!(refused.code(), Code::Unauthenticated, "{what}");
        assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID", "{what}");
    }
    let refused = elsewhere.renew(&watch.access_token).await;
    let refused = refused.expect_err("for another audience");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
    assert_eq!(it.database.statements().await, sent);
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_of_a_session_that_is_gone_or_over_is_refused() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    it.sql("UPDATE sessions SET idle_expires_at = now()").await;
    let refused = it.renew(&watch.access_token).await.expect_err("expired");
    assert_eq!(end_reason(&refused), "EXPIRED");
    it.sql("DELETE FROM sessions").await;
    let refused = it.renew(&watch.access_token).await.expect_err("gone");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_sends_one_statement_and_one_again_two() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let mut sent = vec![it.database.statements().await];
    for _ in 0..2 {
        it.renew(&watch.access_token).await.expect("lives");
        sent.push(it.database.statements().await);
    }
    assert_eq!((sent[1] - sent[0], sent[2] - sent[1]), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_comes_from_where_the_request_says_and_never_from_the_peer() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let seen = |reply: v1::RenewResponse| {
        let session = reply.session.expect("a session");
        (session.last_user_agent, session.last_ip_address)
    };
    let request = v1::RenewRequest {
        access_token: watch.access_token.clone(),
        user_agent: "watch/1".to_owned(),
        ip_address: "::ffff:192.0.2.7".to_owned(),
    };
    let reply = it.auth().renew(request).await.expect("lives").into_inner();
    let next = access_token(&reply).to_owned();
    assert_eq!(seen(reply), ("watch/1".to_owned(), "192.0.2.7".to_owned()));
    let reply = it.renew(&next).await.expect("lives");
    assert_eq!(seen(reply), ("watch/1".to_owned(), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn single_token_ends_its_own_session_and_a_logout_knows_it_not() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    let refresh_token = watch.access_token.chars().take(200).collect();
    let logout = v1::LogoutRequest { refresh_token };
    it.auth().logout(logout).await.expect("is no refresh token");
    present(&it, &watch.access_token).await.expect("lives");

    let request = watch.request(v1::RevokeMySessionRequest {
        session_id: watch.session_id.clone(),
    });
    it.auth().revoke_my_session(request).await.expect("ends");
    let ended = it.renew(&watch.access_token).await.expect_err("ended");
    assert_eq!(end_reason(&ended), "REVOKED_BY_USER");
}

/// Renews again and again until refused: never once `revoked` was seen before.
async fn renew_until_refused(replica: &Replica, mut token: String, revoked: &AtomicBool) {
    loop {
        let is_revoked = revoked.load(Ordering::SeqCst);
        match replica.renew(&token).await {
            Ok(next) => {
                assert!(!is_revoked, "renewed after the revoke had returned");
                access_token(&next).clone_into(&mut token);
            }
            Err(refused) => {
                assert_eq!(end_reason(&refused), "REVOKED_BY_ADMIN");
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_stops_clients_that_renew_without_pause() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    let ana = it.create_user("ana", &[]).await;
    for _ in 0..3 {
        let clients = join_all((0..8).map(|_| it.sign_in_single("ana"))).await;
        let revoked = AtomicBool::new(false);
        let replicas = [&*it, &other];
        let renewing = clients.iter().enumerate().map(|(at, client)| {
            renew_until_refused(replicas[at % 2], client.access_token.clone(), &revoked)
        });
        let revoking = async {
            let request = admin.request(v1::RevokeUserSessionsRequest {
                user_id: ana.to_string(),
                ..v1::RevokeUserSessionsRequest::default()
            });
            let reply = it.session_admin().revoke_user_sessions(request).await;
            revoked.store(true, Ordering::SeqCst);
            reply.expect("revokes").into_inner().revoked_session_count
        };
        let (_, count) = tokio::join!(join_all(renewing), revoking);
        assert_eq!(count, 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_which_tokens_a_client_holds() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let watch = watch(&it).await;
    let pair = it.sign_in("ana").await;
    for (session, mode) in [
        (&watch, v1::TokenMode::Single),
        (&pair, v1::TokenMode::Pair),
    ] {
        let request = admin.request(v1::GetSessionRequest {
            session_id: session.session_id.clone(),
        });
        let reply = it.session_admin().get_session(request).await.expect("seen");
        let seen = reply.into_inner().session.expect("a session");
        assert_eq!(seen.token_mode(), mode);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_whose_token_mode_or_binding_cannot_be_is_an_error_of_the_server() {
    let it = Harness::start().await;
    let watch = watch(&it).await;
    for broken in [
        "token_mode = 'OTHER'",
        "bound_user_agent = true, binding_reaction = 'OTHER'",
    ] {
        let database: &Database = &it.database;
        database.sql(&format!("UPDATE sessions SET {broken}")).await;
        let failed = present(&it, &watch.access_token).await;
        assert_eq!(failed.expect_err("corrupt").code(), Code::Internal);
        let undo = "UPDATE sessions SET token_mode = 'SINGLE', bound_user_agent = false, \
                    binding_reaction = NULL";
        database.sql(undo).await;
    }
    let refreshed = it.refresh(&watch.refresh_token, &request_id()).await;
    assert_eq!(refreshed.expect_err("none").code(), Code::InvalidArgument);
    present(&it, &watch.access_token).await.expect("lives");
}

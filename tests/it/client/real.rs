//! The client library and the server that it is for.

use std::sync::Arc;

use futures_util::future::join_all;
use rollcall::{
    client::{
        ConnectError, MemoryStore, SignInAgain, TokenError, TokenSource, Verifier, VerifierBuilder,
        VerifyError, VerifyLayer, WhenStale,
    },
    proto::v1,
};
use serde_json::json;

use super::{
    eventually,
    layer::{ask, authorization},
    patient, phone,
};
use crate::{
    access_tokens::Mint,
    harness::{Harness, PASSWORD, Replica, SignedIn, claims, mask, request_id},
};

fn url(it: &Replica) -> String {
    format!("http://{}", it.address)
}

/// A verifier with the account of a service.
async fn builder(it: &Replica) -> VerifierBuilder {
    it.create_user("orders", &["service"]).await;
    patient(Verifier::builder(url(it)))
        .issuer("https://id.test")
        .audience("rollcall")
        .sign_in("orders", PASSWORD)
}

async fn connect(it: &Replica) -> Verifier {
    builder(it).await.connect().await.expect("connects")
}

async fn ana(it: &Replica) -> SignedIn {
    it.create_user("ana", &["reader"]).await;
    it.sign_in("ana").await
}

async fn log_out(it: &Replica, session: &SignedIn) {
    let request = v1::LogoutRequest {
        refresh_token: session.refresh_token.clone(),
    };
    it.auth().logout(request).await.expect("logs out");
}

#[tokio::test(flavor = "multi_thread")]
async fn good_token_is_taken_until_its_session_ends() {
    let it = Harness::start().await;
    let verifier = connect(&it).await;
    let (phone, laptop) = (ana(&it).await, it.sign_in("ana").await);
    let verified = verifier.verify(&phone.access_token).expect("is good");
    assert_eq!(verified.session_id().to_string(), phone.session_id);
    log_out(&it, &phone).await;
    eventually("the session is known to have ended", || {
        matches!(
            verifier.verify(&phone.access_token),
            Err(VerifyError::SessionEnded)
        )
    })
    .await;
    assert!(verifier.verify(&laptop.access_token).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_ended_before_the_verifier_began_is_refused_from_the_start() {
    let it = Harness::start().await;
    let session = ana(&it).await;
    log_out(&it, &session).await;
    let verifier = connect(&it).await;
    assert!(matches!(
        verifier.verify(&session.access_token),
        Err(VerifyError::SessionEnded)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_on_one_replica_reaches_the_verifier_of_another() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let verifier = connect(&other).await;
    let session = ana(&it).await;
    assert!(verifier.verify(&session.access_token).is_ok());
    log_out(&it, &session).await;
    eventually("the session is known to have ended", || {
        verifier.verify(&session.access_token).is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn demotion_is_in_the_claims_of_the_token_from_before() {
    let it = Harness::start().await;
    let verifier = connect(&it).await;
    let (admin, ana) = (it.admin().await, ana(&it).await);
    let request = admin.request(v1::UpdateUserRequest {
        user: Some(v1::User {
            user_id: ana.user_id.clone(),
            roles: vec!["guest".to_owned()],
            ..v1::User::default()
        }),
        update_mask: Some(mask(&["roles"])),
    });
    it.user_admin().update_user(request).await.expect("updates");
    eventually("the roles are known", || {
        let verified = verifier.verify(&ana.access_token).expect("is good");
        verified.roles == ["guest"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn superseded_token_is_refused_where_only_the_newest_counts() {
    let it = Harness::with(&[
        "--superseded-access-tokens",
        "deny",
        "--superseded-overlap",
        "0s",
    ])
    .await;
    let verifier = connect(&it).await;
    let ana = ana(&it).await;
    let reply = it.refresh(&ana.refresh_token, &request_id()).await;
    let next = reply.expect("refreshes").tokens.expect("tokens");
    eventually("the earlier token is void", || {
        matches!(
            verifier.verify(&ana.access_token),
            Err(VerifyError::Superseded)
        )
    })
    .await;
    assert!(verifier.verify(&next.access_token).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_stops_no_good_token() {
    let it = Harness::start().await;
    let builder = builder(&it).await.when_stale(WhenStale::AllowUntilExpiry);
    let verifier = builder.connect().await.expect("connects");
    let ana = ana(&it).await;
    let Harness { server, .. } = it;
    server.stop().await.expect("stops");
    assert!(verifier.verify(&ana.access_token).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn account_without_the_role_is_told_so() {
    let it = Harness::start().await;
    ana(&it).await;
    let builder = patient(Verifier::builder(url(&it)))
        .issuer("https://id.test")
        .audience("rollcall")
        .sign_in("ana", PASSWORD);
    let error = builder.connect().await.expect_err("is no service");
    assert!(matches!(error, ConnectError::RoleMissing { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_issuer_names_both() {
    let it = Harness::start().await;
    let builder = builder(&it).await.issuer("https://id.example.com");
    let error = builder.connect().await.expect_err("is another");
    let text = error.to_string();
    assert!(text.contains("`https://id.test`"), "{text}");
    assert!(text.contains("`https://id.example.com`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_bit_of_a_token_is_refused() {
    let it = Harness::start().await;
    let verifier = connect(&it).await;
    let token = ana(&it).await.access_token;
    assert!(verifier.verify(&token).is_ok());
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let text = String::from_utf8(bytes).expect("ASCII");
            assert!(verifier.verify(&text).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_tokens_in_flight_are_renewed_by_one_generation() {
    let it = Harness::start().await;
    let layer = VerifyLayer::new(connect(&it).await).renew_single_tokens();
    it.create_user("ana", &["reader"]).await;
    let watch = it.sign_in_single("ana").await;
    let expired = Mint::of(&it).await.with_claims(&watch, |claims| {
        claims["iat"] = json!(claims["iat"].as_i64().expect("a time") - 1_000);
        claims["exp"] = json!(claims["exp"].as_i64().expect("a time") - 1_000);
    });
    let headers = [("authorization", &*authorization(&expired))];
    let calls = (0..16).map(|_| ask(&layer, "/", &headers));
    for answer in join_all(calls).await {
        assert_eq!(answer.body(), "reader");
        let successor = answer.headers()["x-jwt"].to_str().expect("ASCII");
        assert_eq!(claims(successor)["gen"], 1);
        let headers = [("authorization", &*authorization(successor))];
        assert_eq!(ask(&layer, "/", &headers).await.body(), "reader");
    }
    let generation: i64 = it
        .scalar("SELECT generation FROM sessions WHERE token_mode = 'SINGLE'")
        .await;
    assert_eq!(generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_token_whose_key_is_not_published_any_more_is_renewed() {
    let it = Harness::start().await;
    it.create_user("ana", &["reader"]).await;
    let watch = it.sign_in_single("ana").await;
    let mint = Mint::of(&it).await;
    let expired = mint.with_claims(&watch, |claims| claims["exp"] = json!(1_000));
    it.database.age_keys("next", "1 hour").await;
    it.identity
        .rotate_signing_key(&Default::default())
        .await
        .expect("rotates");
    it.database.age_keys("retiring", "1 hour").await;
    it.identity.load_signing_keys().await.expect("looks");
    let verifier = connect(&it).await;

    let plain = VerifyLayer::new(verifier.clone());
    let headers = [("authorization", &*authorization(&expired))];
    assert_eq!(ask(&plain, "/", &headers).await.status(), 401);
    let layer = VerifyLayer::new(verifier).renew_single_tokens();
    let answer = ask(&layer, "/", &headers).await;
    assert_eq!(answer.body(), "reader");
    assert!(answer.headers().contains_key("x-jwt"));
    // Rollcall judges: a token that only says so is renewed nowhere.
    let (message, _) = expired.rsplit_once('.').expect("a signature");
    let forged = authorization(&format!("{message}.AAAA"));
    let refused = ask(&layer, "/", &[("authorization", &*forged)]).await;
    assert_eq!(refused.status(), 401);
}

fn source(it: &Replica, store: &Arc<MemoryStore>) -> TokenSource {
    let builder = TokenSource::builder(url(it)).store(store.clone());
    builder.build().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_share_a_store_refresh_at_once_by_one_generation() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let store = Arc::new(MemoryStore::default());
    let sources: Vec<_> = (0..8).map(|_| source(&it, &store)).collect();
    let first = sources[0].sign_in("ana", PASSWORD, phone()).await;
    let mut token = first.expect("signs in");
    for round in 1..=5 {
        let asks = sources.iter().map(|source| source.replace(&token));
        let tokens = join_all(asks).await;
        token = tokens[0].clone().expect("refreshes");
        for next in tokens {
            assert_eq!(claims(next.expect("refreshes").expose())["gen"], round);
        }
    }
    assert_eq!(it.scalar::<i64>("SELECT generation FROM sessions").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn source_of_an_ended_session_says_why_and_a_logged_out_one_is_ended() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let store = Arc::new(MemoryStore::default());
    let source = source(&it, &store);
    let token = source.sign_in("ana", PASSWORD, phone()).await;
    let token = token.expect("signs in");
    it.sql("UPDATE sessions SET revoked_at = now(), end_reason = 'REVOKED_BY_ADMIN'")
        .await;
    match source.replace(&token).await {
        Err(TokenError::SignInAgain(why)) => {
            let expected = SignInAgain::SessionEnded("REVOKED_BY_ADMIN".to_owned());
            assert_eq!(why, expected);
        }
        other => panic!("{other:?}"),
    }
    source
        .sign_in("ana", PASSWORD, phone())
        .await
        .expect("signs in");
    source.log_out().await.expect("logs out");
    let live: i64 = it
        .scalar("SELECT count(*) FROM sessions WHERE revoked_at IS NULL")
        .await;
    assert_eq!(live, 0);
}

//! What a verifier takes, what it refuses, and how it says that it cannot begin.

use std::time::{Duration, Instant};

use rollcall::{
    client::{ConnectError, Invalid, Verifier, VerifyError, WhenStale},
    error_chain,
    proto::v1::{ErrorReason, KeyDropped, RolesChanged, TokensSuperseded, revocation::Kind},
};
use serde_json::json;
use tonic::Code;

use super::{
    builder, connect, eventually,
    fake::{Fake, Signer, refused},
    patient, timestamp,
};
use crate::harness::claims;

/// A second, in microseconds.
const SECOND: i64 = 1_000_000;

/// How often the keys may have been fetched since `begun`, which was before the first time:
/// at most once in 5 s.
fn most_fetches(begun: Instant) -> usize {
    1 + usize::try_from(begun.elapsed().as_secs() / 5).expect("a test is short")
}

fn is_ok(verifier: &Verifier, token: &str) -> bool {
    verifier.verify(token).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn good_token_is_taken_with_what_it_says() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let token = fake.token(|claims| claims["roles"] = json!(["a", "b"]));
    let verified = verifier.verify(&token).expect("is good");
    assert_eq!(
        serde_json::to_value(&verified).expect("JSON"),
        claims(&token)
    );
    assert_eq!(verifier.check(&token).await.expect("is good"), verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_another_issuer_audience_type_or_key_is_refused() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let refused = |token: &str| match verifier.verify(token) {
        Err(VerifyError::Invalid(invalid)) => invalid,
        other => panic!("{other:?}"),
    };
    let issuer = fake.token(|claims| claims["iss"] = json!("https://elsewhere.test"));
    assert!(matches!(refused(&issuer), Invalid::Issuer { .. }));
    let audience = fake.token(|claims| claims["aud"] = json!("bank"));
    assert!(matches!(refused(&audience), Invalid::Audience { .. }));
    let forged = Signer::new("first").sign(&super::fake::claims());
    assert_eq!(refused(&forged), Invalid::Signature);
    let unknown = Signer::new("second").sign(&super::fake::claims());
    assert_eq!(refused(&unknown), Invalid::UnknownKey);
    assert_eq!(refused("no token"), Invalid::Malformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_token_is_refused_unless_the_leeway_reaches() {
    let fake = Fake::start();
    let (strict, lenient) = (connect(&fake).await, builder(&fake));
    let lenient = lenient.leeway(Duration::from_secs(3_600)).connect().await;
    let lenient = lenient.expect("connects");
    let token = fake.token(|claims| claims["exp"] = json!(super::fake::now() / SECOND - 1));
    assert!(matches!(
        strict.verify(&token),
        Err(VerifyError::Expired(_))
    ));
    assert!(is_ok(&lenient, &token));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_is_dead_by_the_databases_clock_is_refused_whatever_the_machine_says() {
    let fake = Fake::start();
    fake.feed().ahead = 3_600 * SECOND;
    let verifier = connect(&fake).await;
    let result = verifier.verify(&fake.token(|_| {}));
    assert!(matches!(result, Err(VerifyError::Expired(_))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_a_session_that_ended_before_or_after_the_start_is_refused() {
    let fake = Fake::start();
    let (before, after, live) = (fake.token(|_| {}), fake.token(|_| {}), fake.token(|_| {}));
    fake.feed().end_session(&before);
    let verifier = connect(&fake).await;
    assert!(matches!(
        verifier.verify(&before),
        Err(VerifyError::SessionEnded)
    ));
    assert!(is_ok(&verifier, &after));
    fake.feed().end_session(&after);
    eventually("the session is known to have ended", || {
        matches!(verifier.verify(&after), Err(VerifyError::SessionEnded))
    })
    .await;
    assert!(is_ok(&verifier, &live));
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_roles_replace_those_of_tokens_from_before() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let token = fake.token(|claims| claims["roles"] = json!(["admin"]));
    let user_id = claims(&token)["sub"].as_str().expect("an id").to_owned();
    let later = fake.token(|claims| {
        claims["sub"] = json!(user_id);
        claims["iat"] = json!(super::fake::now() / SECOND + 120);
        claims["roles"] = json!(["later"]);
    });
    fake.feed().revoke(Kind::RolesChanged(RolesChanged {
        user_id,
        roles: vec!["reader".to_owned()],
    }));
    let roles = |token: &str| verifier.verify(token).expect("is good").roles;
    eventually("the roles are changed", || roles(&token) == ["reader"]).await;
    assert_eq!(roles(&later), ["later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn superseded_token_is_refused_once_the_databases_clock_says_so() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let old = fake.token(|_| {});
    let new = fake.token(|token| {
        token["sid"] = claims(&old)["sid"].clone();
        token["gen"] = json!(1);
    });
    let marker = fake.token(|_| {});
    {
        let mut feed = fake.feed();
        let effective = feed.time() + 60 * SECOND;
        feed.revoke(Kind::TokensSuperseded(TokensSuperseded {
            session_id: claims(&old)["sid"].as_str().expect("an id").to_owned(),
            generation: 1,
            effective_time: Some(timestamp(effective)),
        }));
        feed.end_session(&marker);
    }
    eventually("the feed got there", || !is_ok(&verifier, &marker)).await;
    assert!(is_ok(&verifier, &old));
    fake.feed().ahead = 61 * SECOND;
    eventually("its time has come", || {
        matches!(verifier.verify(&old), Err(VerifyError::Superseded))
    })
    .await;
    assert!(is_ok(&verifier, &new));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_key_is_distrusted_at_once_and_the_keys_are_fetched_anew() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let token = fake.token(|_| {});
    assert!(is_ok(&verifier, &token));
    let next = Signer::new("second");
    {
        let mut feed = fake.feed();
        // Still published, by a replica that lags: the feed's word counts.
        feed.keys.push(next.jwk());
        feed.revoke(Kind::KeyDropped(KeyDropped {
            kid: "first".to_owned(),
        }));
    }
    eventually("the key is dropped", || {
        matches!(verifier.verify(&token), Err(VerifyError::KeyDropped))
    })
    .await;
    let good = next.sign(&super::fake::claims());
    eventually("the next key is there", || is_ok(&verifier, &good)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_unknown_kids_cause_no_fetch_storm() {
    let fake = Fake::start();
    let begun = Instant::now();
    let verifier = connect(&fake).await;
    let claims = super::fake::claims();
    let checks = (0..1_000).map(|number| {
        let token = Signer::new(&format!("kid {number}")).sign(&claims);
        let verifier = verifier.clone();
        async move {
            assert!(verifier.verify(&token).is_err());
            assert!(verifier.check(&token).await.is_err());
        }
    });
    futures_util::future::join_all(checks).await;
    let fetches = fake.feed().fetches;
    assert!(fetches <= most_fetches(begun), "{fetches}");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_was_published_meanwhile_is_fetched_when_a_token_names_it() {
    let fake = Fake::start();
    let begun = Instant::now();
    let verifier = connect(&fake).await;
    let next = Signer::new("second");
    fake.feed().keys.push(next.jwk());
    let token = next.sign(&super::fake::claims());
    // At most one fetch in a while: the first tries can come too early.
    let fetching = async { while verifier.check(&token).await.is_err() {} };
    crate::harness::patiently("the key is fetched", fetching).await;
    let fetches = fake.feed().fetches;
    assert!((2..=most_fetches(begun)).contains(&fetches), "{fetches}");
}

#[tokio::test(flavor = "multi_thread")]
async fn good_tokens_are_taken_while_rollcall_is_gone() {
    let mut fake = Fake::start();
    let verifier = builder(&fake).when_stale(WhenStale::AllowUntilExpiry);
    let verifier = verifier.connect().await.expect("connects");
    let ended = fake.token(|_| {});
    fake.feed().end_session(&ended);
    eventually("the session ends", || !is_ok(&verifier, &ended)).await;
    fake.stop();
    for _ in 0..100 {
        assert!(is_ok(&verifier, &fake.token(|_| {})));
    }
    assert!(matches!(
        verifier.check(&ended).await,
        Err(VerifyError::SessionEnded)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misconfiguration_is_named() {
    let fake = Fake::start();
    let mut said = String::new();
    let mut say = |what: &str, result: Result<Verifier, ConnectError>| {
        let error = result.expect_err("cannot begin");
        let text = error_chain(&error).replace(&fake.url(), "URL");
        said.push_str(&format!("{what}: {text}\n"));
    };
    let closed = || patient(Verifier::builder("http://127.0.0.1:1"));
    say("no issuer", closed().connect().await);
    say("no audience", closed().issuer("i").connect().await);
    say(
        "no account",
        closed().issuer("i").audience("a").connect().await,
    );
    let unreachable = closed().issuer("i").audience("a").sign_in("shop", "p");
    say("nobody listens", unreachable.connect().await);
    let no_url = Verifier::builder("id.test:8443 ").issuer("i").audience("a");
    say("no URL", no_url.sign_in("shop", "p").connect().await);
    let bare = Verifier::builder("id.test:8443").issuer("i").audience("a");
    say("no scheme", bare.sign_in("shop", "p").connect().await);
    let wrong = builder(&fake).sign_in("shop", "wrong");
    say("wrong password", wrong.connect().await);
    say(
        "issuer",
        builder(&fake).issuer("https://other").connect().await,
    );
    say("audience", builder(&fake).audience("bank").connect().await);

    let code = Code::PermissionDenied;
    fake.feed().refusal = Some(refused(code, ErrorReason::RoleRequired));
    say("no role", builder(&fake).connect().await);
    let reason = ErrorReason::TooManyWatchers;
    fake.feed().refusal = Some(refused(Code::ResourceExhausted, reason));
    say("refused", builder(&fake).connect().await);
    fake.feed().refusal = None;
    fake.feed().endless = true;
    let brief = builder(&fake).connect_timeout(Duration::from_millis(50));
    say("too slow", brief.connect().await);
    fake.auth().lifetime = -1;
    say("clock", builder(&fake).connect().await);
    insta::assert_snapshot!(said);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_rollcall_is_said_to_be_something_else() {
    let health = tonic_health::server::health_reporter().1;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("binds");
    let address = listener.local_addr().expect("is bound");
    let other = tonic::transport::Server::builder()
        .add_service(health)
        .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
    tokio::spawn(other);
    let builder = patient(Verifier::builder(format!("http://{address}")))
        .issuer("i")
        .audience("a")
        .sign_in("shop", "p");
    let error = builder.connect().await.expect_err("is not Rollcall");
    assert!(matches!(error, ConnectError::NotRollcall { .. }), "{error}");
}

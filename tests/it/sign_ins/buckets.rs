//! How many attempts a replica takes in a short time.

use rollcall::proto::v1;
use tonic::{Code, Status};

use super::{WRONG, assert_refused, attempt, with_password};
use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, authenticate, device, fresh_login, metadata, reason,
    says_when_to_retry,
};

fn assert_limited(refused: &Status, limit: &str) {
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(refused), "RATE_LIMITED");
    assert_eq!(metadata(refused, "limit"), limit);
    assert!(says_when_to_retry(refused));
}

fn from(login: &str, ip_address: &str) -> v1::AuthenticateRequest {
    v1::AuthenticateRequest {
        device: Some(v1::Device {
            ip_address: ip_address.to_owned(),
            ..device("")
        }),
        ..authenticate(login)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_is_limited_however_it_is_spelled_and_without_a_statement() {
    let it = Harness::with(&["--sign-ins-per-login", "2"]).await;
    it.create_user("ana", &[]).await;
    it.create_user("ben", &[]).await;
    assert_refused(&it, "ana", WRONG).await;
    assert_refused(&it, "ANA", WRONG).await;
    let before = it.database.statements().await;
    for password in [WRONG, PASSWORD] {
        let refused = attempt(&it, with_password("Ana", password)).await;
        assert_limited(&refused.expect_err("one too many"), "login");
    }
    assert_eq!(it.database.statements().await, before);
    it.sign_in("ben").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn login_that_nobody_has_is_limited_like_any_other() {
    let it = Harness::with(&["--sign-ins-per-login", "1"]).await;
    assert_refused(&it, "nobody", WRONG).await;
    let refused = attempt(&it, with_password("nobody", WRONG)).await;
    assert_limited(&refused.expect_err("one too many"), "login");
}

#[tokio::test(flavor = "multi_thread")]
async fn address_is_limited_whatever_the_login() {
    let it = Harness::with(&["--sign-ins-per-address", "2"]).await;
    it.create_user("ana", &[]).await;
    attempt(&it, from("ana", "192.0.2.1")).await.expect("taken");
    attempt(&it, from("ben", "192.0.2.1"))
        .await
        .expect_err("nobody");
    let refused = attempt(&it, from("ana", "192.0.2.1")).await;
    assert_limited(&refused.expect_err("one too many"), "address");
    attempt(&it, from("ana", "192.0.2.2")).await.expect("taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_one_ipv6_network_are_limited_as_one() {
    let it = Harness::with(&["--sign-ins-per-address", "1"]).await;
    it.create_user("ana", &[]).await;
    let taken = attempt(&it, from("ana", "2001:db8::1")).await;
    taken.expect("taken");
    let refused = attempt(&it, from("ana", "2001:db8::ffff:2")).await;
    assert_limited(&refused.expect_err("the same network"), "address");
    let taken = attempt(&it, from("ana", "2001:db8:0:1::1")).await;
    taken.expect("another network");
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_of_a_password_is_limited_by_address_and_without_a_statement() {
    let it = Harness::with(&["--sign-ins-per-address", "1"]).await;
    let reset = async || {
        let request = v1::ResetPasswordRequest {
            reset_token: "rcp_guessed".to_owned(),
            new_password: NEXT_PASSWORD.to_owned(),
        };
        let reset = it.auth().reset_password(request).await;
        reset.expect_err("guessed, or one too many")
    };
    assert_eq!(reason(&reset().await), "PASSWORD_RESET_TOKEN_INVALID");
    let before = it.database.statements().await;
    assert_limited(&reset().await, "address");
    assert_eq!(it.database.statements().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_is_limited_by_address() {
    let it = Harness::with(&["--registration", "--sign-ins-per-address", "1"]).await;
    let mut replies = Vec::new();
    for _ in 0..2 {
        let request = v1::RegisterRequest {
            login: fresh_login(),
            password: PASSWORD.to_owned(),
            display_name: String::new(),
        };
        replies.push(it.auth().register(request).await);
    }
    let refused = replies.pop().expect("two").expect_err("one too many");
    assert_limited(&refused, "address");
    replies.pop().expect("one").expect("registers");
}

#[tokio::test(flavor = "multi_thread")]
async fn change_of_password_is_limited_by_user() {
    let it = Harness::with(&["--sign-ins-per-login", "1"]).await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let change = async || {
        let request = v1::ChangePasswordRequest {
            current_password: WRONG.to_owned(),
            new_password: NEXT_PASSWORD.to_owned(),
        };
        let changed = it.auth().change_password(ana.request(request)).await;
        changed.expect_err("wrong, or one too many")
    };
    assert_eq!(reason(&change().await), "INVALID_CREDENTIALS");
    assert_limited(&change().await, "login");
}

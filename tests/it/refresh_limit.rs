//! How often a session can be refreshed.

use clap::Parser;
use rollcall::{
    config::{Cli, Command},
    proto::v1,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::harness::{Harness, end_reason, reason, request_id, successor};

/// Far longer than any test takes.
const LIMIT: [&str; 8] = [
    "--refresh-min-interval",
    "10h",
    "--replay-leeway",
    "11h",
    "--replay-window",
    "12h",
    "--access-token-lifetime",
    "23h",
];

/// Asserts that the session was refreshed too short a time ago, and answers for how many
/// hours the caller is to wait.
fn wait_of(status: &Status) -> f64 {
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(status), "REFRESHED_TOO_OFTEN");
    let details = status.get_error_details();
    let retry = details.retry_info().expect("RetryInfo");
    retry.retry_delay.expect("a delay").as_secs_f64() / 3_600.0
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_in_a_loop_is_told_when_to_come_again_and_then_succeeds() {
    let it = Harness::with(&LIMIT).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let before = it.database.contents().await;
    for _ in 0..3 {
        let refused = it.refresh(&phone.refresh_token, &request_id()).await;
        let wait = wait_of(&refused.expect_err("a sign-in counts"));
        assert!(wait > 9.0 && wait <= 10.0, "{wait}");
    }
    assert_eq!(it.database.contents().await, before);

    it.database.age(&phone.session_id, "6 h").await;
    let refused = it.refresh(&phone.refresh_token, &request_id()).await;
    let wait = wait_of(&refused.expect_err("too early"));
    assert!(wait > 3.0 && wait <= 4.0, "{wait}");
    it.database.age(&phone.session_id, "4 h").await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("of age");
    let refused = it.refresh(successor(&next), &request_id()).await;
    wait_of(&refused.expect_err("too early"));
    it.database.age(&phone.session_id, "10 h").await;
    let next = it.refresh(successor(&next), &request_id()).await;
    next.expect("of age");
}

#[tokio::test(flavor = "multi_thread")]
async fn repetitions_are_answered_and_never_limited() {
    let it = Harness::with(&LIMIT).await;
    it.create_user("ana", &[]).await;
    for id in [request_id(), String::new()] {
        let phone = it.sign_in("ana").await;
        it.database.age(&phone.session_id, "10 h").await;
        let first = it.refresh(&phone.refresh_token, &id).await.expect("of age");
        for _ in 0..5 {
            let again = it.refresh(&phone.refresh_token, &id).await;
            assert_eq!(again.expect("the same request"), first);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fork_within_the_interval_ends_the_session_at_once() {
    let it = Harness::with(&LIMIT).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    it.database.age(&phone.session_id, "10 h").await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("of age");
    let fork = it.refresh(&phone.refresh_token, &request_id()).await;
    assert_eq!(reason(&fork.expect_err("a fork")), "REFRESH_TOKEN_REUSED");
    let ended = it.refresh(successor(&next), &request_id()).await;
    assert_eq!(end_reason(&ended.expect_err("ended")), "TOKEN_REUSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_are_limited_likewise() {
    let it = Harness::with(&LIMIT).await;
    it.create_user("ana", &[]).await;
    let watch = it.sign_in_single("ana").await;
    wait_of(&it.renew(&watch.access_token).await.expect_err("too early"));
    it.database.age(&watch.session_id, "10 h").await;
    let first = it.renew(&watch.access_token).await.expect("of age");
    let again = it.renew(&watch.access_token).await;
    assert_eq!(again.expect("a call in flight"), first);
    let next = &first.tokens.as_ref().expect("tokens").access_token;
    wait_of(&it.renew(next).await.expect_err("too early"));
}

#[test]
fn default_is_one_second() {
    let server = [
        "rollcall",
        "serve",
        "--database-url=host=/nowhere",
        "--issuer=https://id.test",
    ];
    let Command::Serve(config) = Cli::try_parse_from(server).expect("parses").command else {
        panic!("not serve");
    };
    let interval = config.identity.refreshing.refresh_min_interval;
    assert_eq!(interval.as_secs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn interval_of_nothing_limits_nothing_whatever_the_clocks_say() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    // As after a failover to a machine whose clock is behind.
    it.database.age(&phone.session_id, "-20 h").await;
    let request = v1::RefreshRequest {
        refresh_token: phone.refresh_token.clone(),
        request_id: request_id(),
        ..v1::RefreshRequest::default()
    };
    it.auth().refresh(request).await.expect("lives");
}

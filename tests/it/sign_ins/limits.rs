//! How many sessions a user may have, and what gives way.

use futures_util::future::join_all;
use rollcall::proto::v1::{self, SessionEndReason};
use tonic::{Code, Status};

use super::{WRONG, assert_refused, attempt, counted, events, with_password};
use crate::harness::{
    Harness, PASSWORD, Replica, SignedIn, authenticate, device, end_reason, metadata, reason,
    request_id, successor,
};

const LIVE: &str = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL";

async fn sign_in(it: &Replica, device: v1::Device) -> Result<v1::AuthenticateResponse, Status> {
    let request = v1::AuthenticateRequest {
        device: Some(device),
        ..authenticate("ana")
    };
    Ok(it.auth().authenticate(request).await?.into_inner())
}

/// The sessions that a sign-in ended, and why.
fn ended(reply: &v1::AuthenticateResponse) -> Vec<(&str, SessionEndReason)> {
    let sessions = reply.ended_sessions.iter();
    sessions
        .map(|session| (session.session_id.as_str(), session.end_reason()))
        .collect()
}

fn of_client(client_id: &str, device_id: &str) -> v1::Device {
    v1::Device {
        client_id: client_id.to_owned(),
        ..device(device_id)
    }
}

async fn assert_lives(it: &Harness, session: &SignedIn) {
    let refreshed = it.refresh(&session.refresh_token, &request_id()).await;
    refreshed.expect("lives");
}

fn assert_full(refused: &Status, limit: &str) {
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(refused), "SESSION_LIMIT_REACHED");
    assert_eq!(metadata(refused, "limit"), limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sign_ins_at_once_on_two_replicas_leave_as_many_sessions_as_are_allowed() {
    let options = ["--max-sessions-per-user=5", "--hashing-queue=50"];
    let it = Harness::with(&options).await;
    let other = Replica::start(&it.database, &options).await;
    it.create_user("ana", &[]).await;
    let replicas = [&it.server, &other].into_iter().cycle().take(50);
    let replies = join_all(replicas.map(|replica| sign_in(replica, device("")))).await;
    let named: usize = replies
        .iter()
        .map(|reply| reply.as_ref().expect("signs in").ended_sessions.len())
        .sum();
    assert_eq!(it.scalar::<i64>(LIVE).await, 5);
    assert_eq!(named, 45, "each one that gave way was named once");
    let told = "kind = 'SESSION_ENDED' AND detail ->> 'reason' = 'DISPLACED'";
    assert_eq!(events(&it, told).await, 45);
    // Right passwords lock and delay nobody, however many are checked at once.
    assert_eq!(counted(&it).await, (0, 0));
    assert_eq!(events(&it, "kind = 'SIGN_IN_FAILED'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_at_once_open_no_more_than_are_allowed_where_more_are_refused() {
    let options = [
        "--max-sessions-per-user=3",
        "--when-sessions-full=refuse",
        "--hashing-queue=50",
    ];
    let it = Harness::with(&options).await;
    let other = Replica::start(&it.database, &options).await;
    it.create_user("ana", &[]).await;
    let replicas = [&it.server, &other].into_iter().cycle().take(12);
    let replies = join_all(replicas.map(|replica| sign_in(replica, device("")))).await;
    assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 3);
    assert_eq!(it.scalar::<i64>("SELECT count(*) FROM sessions").await, 3);
    let told = "kind = 'SIGN_IN_FAILED' AND detail ->> 'reason' = 'SESSION_LIMIT'";
    assert_eq!(events(&it, told).await, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_see_nothing_of_each_other_leave_as_many_sessions_as_are_allowed() {
    let it = Harness::with(&["--max-sessions-per-user", "1"]).await;
    it.create_user("ana", &[]).await;
    let lock = it
        .database
        .lock("SELECT id FROM users WHERE login = 'ana'")
        .await;
    let commit = async {
        it.database.until_blocked("WITH account AS", 2).await;
        lock.batch_execute("COMMIT").await.expect("commits");
    };
    let (phone, laptop) = (
        sign_in(&it, device("phone")),
        sign_in(&it, device("laptop")),
    );
    let (phone, laptop, ()) = tokio::join!(phone, laptop, commit);
    let named = [phone.expect("signs in"), laptop.expect("signs in")];
    let named = named.iter().map(|reply| reply.ended_sessions.len());
    assert_eq!(named.sum::<usize>(), 1);
    assert_eq!(it.scalar::<i64>(LIVE).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn least_recently_seen_session_gives_way_and_is_named() {
    let it = Harness::with(&["--max-sessions-per-user", "2"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let laptop = it.sign_in_on("ana", device("laptop")).await;
    let seen = it.refresh(&phone.refresh_token, &request_id()).await;
    let seen = seen.expect("refreshes");

    let tablet = sign_in(&it, device("tablet")).await.expect("signs in");
    let displaced = SessionEndReason::Displaced;
    assert_eq!(ended(&tablet), [(laptop.session_id.as_str(), displaced)]);
    let refused = it.refresh(&laptop.refresh_token, &request_id()).await;
    assert_eq!(end_reason(&refused.expect_err("ended")), "DISPLACED");
    let lives = it.refresh(successor(&seen), &request_id()).await;
    lives.expect("seen more recently");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_beyond_the_limit_is_refused_where_the_server_was_told_so() {
    let options = ["--max-sessions-per-user=1", "--when-sessions-full=refuse"];
    let it = Harness::with(&options).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    // Only who knows the password learns of it.
    assert_refused(&it, "ana", WRONG).await;
    let refused = attempt(&it, with_password("ana", PASSWORD)).await;
    assert_full(&refused.expect_err("full"), "user");
    assert_lives(&it, &phone).await;
    // Signing in again on the same device is no session more.
    let again = sign_in(&it, device("phone")).await.expect("replaces");
    let replaced = SessionEndReason::Replaced;
    assert_eq!(ended(&again), [(phone.session_id.as_str(), replaced)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_on_a_device_that_has_a_session_displaces_no_other() {
    let it = Harness::with(&["--max-sessions-per-user", "2"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let laptop = it.sign_in_on("ana", device("laptop")).await;
    let again = sign_in(&it, device("laptop")).await.expect("signs in");
    let replaced = SessionEndReason::Replaced;
    assert_eq!(ended(&again), [(laptop.session_id.as_str(), replaced)]);
    assert_lives(&it, &phone).await;
    let told = "kind = 'SESSION_ENDED' AND detail ->> 'reason' = 'REPLACED'";
    assert_eq!(events(&it, told).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_session_takes_no_place() {
    let options = ["--max-sessions-per-user=1", "--when-sessions-full=refuse"];
    let it = Harness::with(&options).await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    it.sql("UPDATE sessions SET idle_expires_at = now()").await;
    let reply = sign_in(&it, device("")).await.expect("signs in");
    assert_eq!(ended(&reply), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_client_gives_way_to_its_own_though_another_was_seen_earlier() {
    let options = ["--max-sessions-per-user=3", "--max-sessions-per-client=2"];
    let it = Harness::with(&options).await;
    it.create_user("ana", &[]).await;
    let other = it.sign_in_on("ana", of_client("other", "1")).await;
    let oldest = it.sign_in_on("ana", device("1")).await;
    let kept = it.sign_in_on("ana", device("2")).await;
    let reply = sign_in(&it, device("3")).await.expect("signs in");
    let displaced = SessionEndReason::Displaced;
    assert_eq!(ended(&reply), [(oldest.session_id.as_str(), displaced)]);
    assert_lives(&it, &other).await;
    assert_lives(&it, &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_client_refuses_its_own_and_takes_those_of_others() {
    let options = ["--max-sessions-per-client=1", "--when-sessions-full=refuse"];
    let it = Harness::with(&options).await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    let refused = sign_in(&it, device("")).await.expect_err("full");
    assert_full(&refused, "client");
    let told = "kind = 'SIGN_IN_FAILED' AND detail ->> 'reason' = 'SESSION_LIMIT'";
    assert_eq!(events(&it, told).await, 1);
    let other = sign_in(&it, of_client("other", "")).await;
    other.expect("another client has room");
}

#[tokio::test(flavor = "multi_thread")]
async fn lowered_limit_holds_after_the_next_sign_in() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for _ in 0..4 {
        it.sign_in("ana").await;
    }
    let lowered = Replica::start(&it.database, &["--max-sessions-per-user", "2"]).await;
    let reply = sign_in(&lowered, device("")).await.expect("signs in");
    assert_eq!(reply.ended_sessions.len(), 3);
    assert_eq!(it.scalar::<i64>(LIVE).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_is_refreshed_meanwhile_gives_way_all_the_same() {
    let it = Harness::with(&["--max-sessions-per-user", "1"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let refreshing = it.database.connect().await;
    let seen = format!(
        "BEGIN; UPDATE sessions SET last_seen_at = now() WHERE id = '{}'",
        phone.session_id
    );
    refreshing.batch_execute(&seen).await.expect("updates");
    let commit = async {
        it.database.until_blocked("WITH account AS", 1).await;
        refreshing.batch_execute("COMMIT").await.expect("commits");
    };
    let (reply, ()) = tokio::join!(sign_in(&it, device("laptop")), commit);
    let reply = reply.expect("signs in");
    let displaced = SessionEndReason::Displaced;
    assert_eq!(ended(&reply), [(phone.session_id.as_str(), displaced)]);
    assert_eq!(it.scalar::<i64>(LIVE).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_takes_two_statements_however_full_the_user_is() {
    let it = Harness::with(&["--max-sessions-per-user", "1"]).await;
    it.create_user("ana", &[]).await;
    for _ in 0..2 {
        let before = it.database.statements().await;
        it.sign_in("ana").await;
        assert_eq!(it.database.statements().await - before, 2);
    }
}

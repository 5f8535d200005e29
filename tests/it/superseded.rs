//! Where only the newest access token of a session counts.

use std::time::Duration;

use rollcall::{
    proto::v1::{self, verification_client::VerificationClient},
    store::sessions::{self, PURGE_BATCH},
};
use tonic::{Code, Status};

use crate::harness::{Harness, Process, Replica, bearer, claims, reason, request_id};

const DENY: [&str; 2] = ["--superseded-access-tokens", "deny"];
/// With an overlap that is longer than a test takes from one call to the next.
const DENY_LATER: [&str; 4] = [
    "--superseded-access-tokens",
    "deny",
    "--superseded-overlap",
    "5m",
];
/// How many sessions it is told of.
const LEFT: &str = "SELECT count(*) FROM superseded_tokens";

async fn present(it: &Replica, access_token: &str) -> Result<(), Status> {
    let request = bearer(v1::ListMySessionsRequest::default(), access_token);
    it.auth().list_my_sessions(request).await.map(drop)
}

async fn refresh(it: &Harness, refresh_token: &str) -> v1::TokenPair {
    let reply = it.refresh(refresh_token, &request_id()).await;
    reply.expect("lives").tokens.expect("tokens")
}

fn assert_superseded(answer: Result<(), Status>) {
    let refused = answer.expect_err("superseded");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(reason(&refused), "ACCESS_TOKEN_EXPIRED");
}

/// Which generation of the one session counts, as verifiers are to be told.
async fn told(it: &Harness) -> Vec<(i64, bool)> {
    let rows = it
        .sql(
            "SELECT t.generation, t.superseded_at = s.rotated_at AND t.generation = s.generation \
             FROM superseded_tokens AS t JOIN sessions AS s \
               ON s.user_id = t.user_id AND s.id = t.session_id",
        )
        .await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_token_holds_for_the_overlap_and_is_refused_after() {
    let it = Harness::with(&DENY_LATER).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    present(&it, &phone.access_token).await.expect("the newest");
    assert_eq!(told(&it).await, [], "nothing is superseded yet");
    let next = refresh(&it, &phone.refresh_token).await;
    present(&it, &phone.access_token)
        .await
        .expect("a call in flight");
    it.database.age(&phone.session_id, "5 min").await;
    assert_superseded(present(&it, &phone.access_token).await);
    present(&it, &next.access_token).await.expect("the newest");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_before_the_last_is_refused_at_once() {
    let it = Harness::with(&DENY_LATER).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let second = refresh(&it, &phone.refresh_token).await;
    let third = refresh(&it, &second.refresh_token).await;
    assert_superseded(present(&it, &phone.access_token).await);
    present(&it, &second.access_token)
        .await
        .expect("a call in flight");
    present(&it, &third.access_token).await.expect("the newest");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_overlap_ends_the_earlier_token_with_the_refresh() {
    let it = Harness::with(&[&DENY[..], &["--superseded-overlap", "0s"]].concat()).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let next = refresh(&it, &phone.refresh_token).await;
    assert_superseded(present(&it, &phone.access_token).await);
    present(&it, &next.access_token).await.expect("the newest");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_ahead_of_a_database_that_lost_a_commit_is_superseded_by_none() {
    let it = Harness::with(&DENY).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let next = refresh(&it, &phone.refresh_token).await;
    it.database.lose_commit(&phone.session_id, None).await;
    present(&it, &next.access_token).await.expect("the newest");
    present(&it, &phone.access_token).await.expect("in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_and_renewal_tell_it_in_their_one_statement() {
    let it = Harness::with(&DENY).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let mut token = phone.refresh_token.clone();
    for generation in 1..=3 {
        let before = it.database.statements().await;
        token = refresh(&it, &token).await.refresh_token;
        assert_eq!(it.database.statements().await - before, 1);
        assert_eq!(told(&it).await, [(generation, true)]);
    }
    it.sql("DELETE FROM superseded_tokens").await;
    let watch = it.sign_in_single("ana").await;
    let before = it.database.statements().await;
    it.renew(&watch.access_token).await.expect("lives");
    assert_eq!(it.database.statements().await - before, 1);
    assert_eq!(told(&it).await, [(1, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_that_is_refused_or_repeated_tells_nothing() {
    let it = Harness::with(&DENY).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    it.refresh(&phone.refresh_token, &id).await.expect("lives");
    it.sql("DELETE FROM superseded_tokens").await;
    it.refresh(&phone.refresh_token, &id).await.expect("again");
    it.refresh(&phone.refresh_token, &request_id())
        .await
        .expect_err("a fork");
    assert_eq!(told(&it).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_single_token_is_renewed_though_it_is_superseded() {
    let it = Harness::with(&DENY).await;
    it.create_user("ana", &[]).await;
    let watch = it.sign_in_single("ana").await;
    let first = it.renew(&watch.access_token).await.expect("lives");
    let again = it.renew(&watch.access_token).await.expect("in flight");
    assert_eq!(again, first);
    let token = &first.tokens.expect("tokens").access_token;
    assert_eq!(claims(token)["gen"], 1);
    present(&it, token).await.expect("the newest");
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_earlier_tokens_hold_and_nothing_is_told() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    refresh(&it, &phone.refresh_token).await;
    it.database.age(&phone.session_id, "1 h").await;
    present(&it, &phone.access_token).await.expect("holds");
    assert_eq!(told(&it).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_deletes_what_is_old_in_batches_and_skips_what_is_locked() {
    // A server that does not purge by itself.
    let it = Harness::start().await;
    it.sql(
        "INSERT INTO superseded_tokens (user_id, session_id, generation, superseded_at) \
         SELECT md5('u' || n)::uuid, md5('s' || n)::uuid, n, now() - n * interval '1 h' \
         FROM generate_series(1, 160) AS n",
    )
    .await;
    let mut conn = it.identity.pool().get().await.expect("a connection");
    let age = Duration::from_secs(10 * 3600 + 1800);
    let oldest = "SELECT * FROM superseded_tokens WHERE generation = 160";
    let lock = it.database.lock(oldest).await;
    for (purged, remaining) in [(PURGE_BATCH, 60_i64), (49, 11), (0, 11)] {
        let count = sessions::purge_superseded(&mut conn, age).await;
        assert_eq!(count.expect("purges"), purged);
        assert_eq!(it.scalar::<i64>(LEFT).await, remaining);
    }
    lock.batch_execute("COMMIT").await.expect("commits");
    let count = sessions::purge_superseded(&mut conn, age).await;
    assert_eq!(count.expect("purges"), 1);
    let kept: i64 = it
        .scalar("SELECT max(generation) FROM superseded_tokens")
        .await;
    assert_eq!(kept, 10);
}

/// Rows that tell of `count` sessions, superseded `age` ago.
async fn tell(it: &Harness, count: u32, age: &str) {
    it.sql(&format!(
        "INSERT INTO superseded_tokens (user_id, session_id, generation, superseded_at) \
         SELECT gen_random_uuid(), gen_random_uuid(), 1, now() - interval '{age}' \
         FROM generate_series(1, {count})"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_starts_purges_what_is_of_no_use_and_keeps_what_the_feed_tells() {
    let it = Harness::start().await;
    tell(&it, 250, "62 min").await;
    tell(&it, 3, "60 min 1 s").await;
    let _denying = Replica::start(&it.database, &DENY).await;
    it.database.wait_for(LEFT, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_purge_is_logged_and_stops_nothing() {
    let it = Harness::start().await;
    tell(&it, 1, "2 h").await;
    it.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'not now'; END $$",
    )
    .await;
    it.sql("CREATE TRIGGER refuse BEFORE DELETE ON superseded_tokens EXECUTE FUNCTION refuse()")
        .await;
    let denying = Process::serve(it.database.url(), &DENY).await;
    let line = denying.line_with("superseded tokens not purged").await;
    assert!(line.contains("not now"), "{line}");
    let mut client = VerificationClient::new(denying.channel().await);
    let keys = client.get_jwks(v1::GetJwksRequest {}).await;
    keys.expect("serves on");
}

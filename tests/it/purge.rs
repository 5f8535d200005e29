//! The removal of rows that are of no use any more.

use std::time::Duration;

use rollcall::{
    identity::Identity,
    store::purge::{self, Place, Table},
};

use crate::{
    harness::{Database, Harness, PASSWORD, Replica, calls, reason, request_id},
    sign_ins::{assert_refused, events},
};

/// Sessions of a user of their own each, named by their client ids. `ago` is when the
/// session expires, for those that are not ended.
const SESSIONS: &str = "
    INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at,
                          absolute_expires_at, generation, h_current, rotated_at, last_seen_at,
                          last_user_agent, idle_expires_at, revoked_at, end_reason)
      SELECT gen_random_uuid(), gen_random_uuid(), name, '', '', now() - interval '200 days',
             now() - absolute, 0, '\\x00112233445566778899aabbccddeeff', now(), now(), '',
             now() - idle, now() - ended, CASE WHEN ended IS NOT NULL THEN 'LOGGED_OUT' END
      FROM (VALUES
        ('kept: lives', interval '-1 day', interval '-1 s', NULL::interval),
        ('kept: expired lately', '-1 day', '29 days 23 h', NULL),
        ('kept: ended lately', '-1 day', '-1 day', interval '29 days 23 h'),
        ('kept: ended just now', '-1 day', '-1 day', '0'),
        ('kept: ended just now, expired before', '40 days', '40 days', '0'),
        ('due: idle for long', '-1 day', '30 days 1 s', NULL),
        ('due: at its absolute limit', '30 days 1 s', '-1 day', NULL),
        ('due: ended long ago', '-1 day', '-1 day', '30 days 1 s')
      ) AS history (name, absolute, idle, ended)";

async fn names(it: &Database) -> Vec<String> {
    let query = "SELECT client_id FROM sessions ORDER BY client_id";
    it.sql(query).await.iter().map(|row| row.get(0)).collect()
}

/// As many sessions that are due.
async fn seed_due(it: &Database, count: u32) {
    it.sql(&format!(
        "INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at, \
           absolute_expires_at, generation, h_current, rotated_at, last_seen_at, \
           last_user_agent, idle_expires_at) \
         SELECT md5('u' || n)::uuid, md5('s' || n)::uuid, 'due', '', '', \
           now() - interval '200 days', now() - interval '100 days', 0, \
           '\\x00112233445566778899aabbccddeeff', now(), now(), '', now() \
         FROM generate_series(1, {count}) AS n"
    ))
    .await;
}

const DUE: &str = "SELECT count(*) FROM sessions WHERE client_id LIKE 'due%'";

#[tokio::test(flavor = "multi_thread")]
async fn round_removes_what_is_due_in_every_window_and_nothing_else() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    seed_due(&it.database, 2_300).await;
    it.sql(SESSIONS).await;
    let _purging = it.replica().await;
    it.database.wait_for(DUE, 0).await;
    let kept = names(&it.database).await;
    assert_eq!(kept.len(), 6, "{kept:?}");
    assert!(
        kept.iter()
            .all(|name| name.starts_with("kept") || name == "test")
    );
    it.refresh(&ana.refresh_token, &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn shorter_retention_removes_sooner_and_never_what_the_feed_may_tell() {
    let it = Harness::start().await;
    it.sql(
        "INSERT INTO sessions SELECT gen_random_uuid(), gen_random_uuid(), name, NULL, '', '', \
           NULL, now(), now() + interval '1 day', 0, '\\x00112233445566778899aabbccddeeff', NULL, \
           now(), now(), '', NULL, now() + interval '1 day', now() - ended, 'LOGGED_OUT' \
         FROM (VALUES ('kept', interval '90 min'), ('due', '2 hours')) AS history (name, ended)",
    )
    .await;
    // The feed tells of the last 61 minutes, and looks back over five statement timeouts.
    let options = ["--session-retention=1h", "--statement-timeout=10m"];
    let _purging = Replica::start(&it.database, &options).await;
    it.database.wait_for(DUE, 0).await;
    assert_eq!(names(&it.database).await, ["kept"]);
}

/// A database whose server, which would purge by itself, has stopped.
async fn without_server() -> (Database, Identity) {
    let Harness { database, server } = Harness::start().await;
    let identity = server.identity.clone();
    server.stop().await.expect("stops");
    (database, identity)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_somebody_holds_are_skipped_and_removed_later() {
    let (it, identity) = without_server().await;
    seed_due(&it, 1_100).await;
    let age = Duration::from_secs(30 * 24 * 60 * 60);
    let held = "SELECT id FROM sessions ORDER BY user_id, id LIMIT 2";
    let lock = it.lock(held).await;
    let mut conn = identity.pool().get().await.expect("a connection");
    let table = Table::Sessions { age };
    let first = purge::window(&mut conn, table, Place::default()).await;
    let first = first.expect("purges");
    assert_eq!(first.count, 998);
    let next = first.next.expect("the window was full");
    let second = purge::window(&mut conn, table, next).await.expect("purges");
    assert_eq!((second.count, second.next), (100, None));
    lock.batch_execute("COMMIT").await.expect("commits");
    let again = purge::window(&mut conn, table, Place::default()).await;
    let again = again.expect("purges");
    assert_eq!((again.count, again.next), (2, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_at_once_remove_each_row_once() {
    let (it, identity) = without_server().await;
    seed_due(&it, 900).await;
    it.sql(SESSIONS).await;
    let window = async || {
        let mut conn = identity.pool().get().await.expect("a connection");
        let age = Duration::from_secs(30 * 24 * 60 * 60);
        let purged = purge::window(&mut conn, Table::Sessions { age }, Place::default()).await;
        purged.expect("purges").count
    };
    let (one, two, three) = tokio::join!(window(), window(), window());
    assert_eq!(one + two + three, 903);
    assert_eq!(names(&it).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn device_whose_session_was_purged_is_told_that_its_token_is_unknown() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    // Its own first round is over, and the next one is far.
    let ends = calls("WITH old AS%signing_keys AS published%");
    it.database.until(&format!("{ends} > 0")).await;
    it.sql("UPDATE sessions SET idle_expires_at = now() - interval '31 days'")
        .await;
    let refused = it.refresh(&ana.refresh_token, &request_id()).await;
    assert_eq!(reason(&refused.expect_err("expired")), "SESSION_ENDED");
    let _purging = it.replica().await;
    it.database
        .wait_for("SELECT count(*) FROM sessions", 0)
        .await;
    let refused = it.refresh(&ana.refresh_token, &request_id()).await;
    let refused = refused.expect_err("purged");
    assert_eq!(reason(&refused), "REFRESH_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_reset_tokens_and_what_deleted_users_left_go_too() {
    let it = Harness::start().await;
    let ana = it.create_user("ana", &[]).await;
    it.sql(&format!(
        "INSERT INTO password_reset_tokens (user_id, id, expires_at) \
         SELECT CASE n WHEN 1 THEN '{ana}' ELSE gen_random_uuid() END, gen_random_uuid(), \
           now() + interval '1 h' * (1.5 - n) FROM generate_series(1, 1200) AS n"
    ))
    .await;
    it.sql(&format!(
        "INSERT INTO user_sign_ins (user_id, attempts, failures, opened) \
         SELECT CASE n WHEN 1 THEN '{ana}' ELSE gen_random_uuid() END, 0, 0, 0 \
         FROM generate_series(1, 1200) AS n"
    ))
    .await;
    let _purging = it.replica().await;
    for table in ["password_reset_tokens", "user_sign_ins"] {
        let count = format!("SELECT count(*) FROM {table}");
        it.database.wait_for(&count, 1).await;
        let query = format!("SELECT user_id::text FROM {table}");
        assert_eq!(it.scalar::<String>(&query).await, ana.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn round_does_not_forget_when_unknown_logins_were_told() {
    let it = Harness::start().await;
    assert_refused(&it, "nobody", PASSWORD).await;
    // Of a user that does not exist any more.
    it.sql(
        "INSERT INTO user_sign_ins (user_id, attempts, failures, opened) \
         VALUES (gen_random_uuid(), 0, 0, 0)",
    )
    .await;
    let _purging = it.replica().await;
    let count = "SELECT count(*) FROM user_sign_ins";
    it.database.wait_for(count, 1).await;
    assert_refused(&it, "nobody", PASSWORD).await;
    assert_eq!(events(&it, "kind = 'SIGN_IN_FAILED'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_go_when_no_session_can_have_idled_for_as_long() {
    // Otherwise the first server purges by a shorter lifetime.
    let options = ["--session-idle-lifetime", "45days"];
    let it = Harness::with(&options).await;
    it.sql(
        "INSERT INTO signing_keys (kid, algorithm, public_key, sealed_private, state, created_at, \
           expires_at, dropped) \
         SELECT name, 'EdDSA', '', '', 'gone', now() - interval '90 days', now() - ago, dropped \
         FROM (VALUES ('kept', interval '44 days', false), ('due', '46 days', false), \
                      ('due, dropped', '46 days', true)) AS history (name, ago, dropped)",
    )
    .await;
    let gone = "SELECT count(*) FROM signing_keys WHERE state = 'gone'";
    let _purging = Replica::start(&it.database, &options).await;
    it.database.wait_for(gone, 1).await;
    let kept = "SELECT kid FROM signing_keys WHERE state = 'gone'";
    assert_eq!(it.scalar::<String>(kept).await, "kept");
}

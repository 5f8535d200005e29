//! What happens while sessions are ended by a filter.

use rollcall::proto::v1::{RevokeSessionsRequest, WatchRevocationsRequest};
use tonic::Code;

use super::sweep::{
    begin, live, multiply, of_client, order, read, refused_on_the_way, refused_on_the_way_at, sweep,
};
use crate::harness::{Harness, calls, patiently, reason};

/// With what an id begins that is made by a clock which is some seconds behind, as SQL.
fn id_begins(seconds: u32) -> String {
    let millis = format!("((extract(epoch FROM now()) - {seconds}) * 1000)::bigint");
    format!("regexp_replace(lpad(to_hex({millis}), 12, '0'), '(.{{8}})', '\\1-')")
}

#[tokio::test(flavor = "multi_thread")]
async fn session_whose_sign_in_was_under_way_ends_too() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    // The ids of half a minute ago, of more sessions than a window holds.
    multiply(&it, &admin, 1_200).await;
    let earlier = format!(
        "UPDATE sessions SET id = overlay(id::text PLACING {} FROM 1 FOR 13)::uuid \
         WHERE client_id = 'mass'",
        id_begins(30)
    );
    it.sql(&earlier).await;
    let late = it.database.connect().await;
    // Through a replica whose clock is a minute behind.
    let open = format!(
        "BEGIN; INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object( \
           'id', overlay(id::text PLACING {} FROM 1 FOR 13)::uuid, \
           'client_id', 'late', 'device_id', null, 'created_at', now()))).* \
         FROM sessions AS s WHERE s.id = '{}'",
        id_begins(60),
        admin.session_id
    );
    late.batch_execute(&open).await.expect("opens");
    // Who has signed in since calls.
    let second = it.sign_in("operator").await;
    let stream = begin(&it, &second, order(of_client("late")))
        .await
        .expect("begins");
    // The walk past 1,200 sessions is over.
    let windows = calls("WITH examined%");
    it.database.until(&format!("{windows} >= 2")).await;
    // Longer than a sweep waits before it asks whether somebody still writes.
    it.database.until_the_writers_are("2 s").await;
    late.batch_execute("COMMIT").await.expect("commits");
    let messages = read(stream).await.expect("comes to its end");
    let last = messages.last().expect("a message");
    assert_eq!(last.revoked_session_count, 1);
    assert_eq!(live(&it, "late").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_whose_refresh_is_under_way_at_its_limit_ends_and_the_expired_do_not_count() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let (ana, expired) = (it.sign_in("ana").await, it.sign_in("ana").await);
    it.sql(
        "UPDATE sessions SET idle_expires_at = now() - interval '1 s' \
         WHERE user_id = (SELECT id FROM users WHERE login = 'ana')",
    )
    .await;
    let refresh = it.database.connect().await;
    let extend = format!(
        "BEGIN; UPDATE sessions SET idle_expires_at = now() + interval '1 h' WHERE id = '{}'",
        ana.session_id
    );
    refresh.batch_execute(&extend).await.expect("extends");
    let stream = begin(&it, &admin, order(of_client("test")))
        .await
        .expect("begins");
    it.database.until_blocked("WITH examined", 1).await;
    refresh.batch_execute("COMMIT").await.expect("commits");
    let messages = read(stream).await.expect("comes to its end");
    let last = messages.last().expect("a message");
    assert_eq!(last.revoked_session_count, 1);
    assert!(it.database.standing(&ana.session_id).await.1.is_some());
    let told = "SELECT count(*) FROM audit_events WHERE kind = 'SESSION_ENDED' AND session_id = ";
    let of_expired = format!("{told}'{}'", expired.session_id);
    assert_eq!(it.scalar::<i64>(&of_expired).await, 0);
}

/// As a sign-in does that was under way during the first call, and over after it.
#[tokio::test(flavor = "multi_thread")]
async fn sweep_that_goes_on_looks_again_down_to_where_the_earlier_one_ended() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    multiply(&it, &admin, 2_500).await;
    // As old as ids that begin so are.
    it.sql("UPDATE sessions SET id = ('00' || substr(id::text, 3))::uuid WHERE client_id = 'mass'")
        .await;
    let mut stream = begin(&it, &admin, order(of_client("mass")))
        .await
        .expect("begins");
    let mut cursor = String::new();
    for _ in 0..2 {
        cursor = stream
            .message()
            .await
            .expect("goes on")
            .expect("one")
            .cursor;
    }
    read(stream).await.expect("comes to its end");
    it.sql(
        "UPDATE sessions SET revoked_at = NULL, end_reason = NULL WHERE id = (SELECT id \
         FROM sessions WHERE client_id = 'mass' ORDER BY id DESC LIMIT 1 OFFSET 1500)",
    )
    .await;
    let rest = RevokeSessionsRequest {
        cursor,
        ..order(of_client("mass"))
    };
    assert_eq!(sweep(&it, &admin, rest).await, 1);
    assert_eq!(live(&it, "mass").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_of_a_replica_that_ends_ends_no_further_batch() {
    let it = Harness::start().await;
    let mut other = it.replica().await;
    let admin = it.admin().await;
    let watch = admin.request(WatchRevocationsRequest::default());
    let watch = other.verification().watch_revocations(watch).await;
    let mut watch = watch.expect("opens").into_inner();
    let client = other.session_admin();
    let refused = refused_on_the_way_at(&it, client, &admin, async || {
        other.begin_stop();
        while let Ok(Some(_)) = patiently("the watch ends", watch.message()).await {}
    })
    .await;
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_by_a_token_of_a_dropped_key_ends_no_further_batch() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let refused = refused_on_the_way(&it, &admin, async || it.drop_signing_keys().await).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}

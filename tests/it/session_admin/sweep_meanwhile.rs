//! What happens while sessions are ended by a filter.

use tonic::Code;

use super::sweep::{begin, live, of_client, order, read, refused_on_the_way};
use crate::harness::{Harness, reason};

/// How often the first statement of a sweep was asked of this database.
const WINDOWS: &str = "(SELECT coalesce(sum(calls), 0) FROM pg_stat_statements AS s \
     JOIN pg_database AS d ON d.oid = s.dbid AND d.datname = current_database() \
     WHERE s.query LIKE 'WITH examined%')";

#[tokio::test(flavor = "multi_thread")]
async fn session_whose_sign_in_was_under_way_ends_too() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let late = it.database.connect().await;
    let open = format!(
        "BEGIN; INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object( \
           'id', (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') \
             || '70008000000000000000')::uuid, \
           'client_id', 'late', 'device_id', null, 'created_at', now()))).* \
         FROM sessions AS s WHERE s.id = '{}'",
        admin.session_id
    );
    late.batch_execute(&open).await.expect("opens");
    // Who has signed in since calls.
    let second = it.sign_in("operator").await;
    let stream = begin(&it, &second, order(of_client("late")))
        .await
        .expect("begins");
    it.database.until(&format!("{WINDOWS} >= 1")).await;
    late.batch_execute("COMMIT").await.expect("commits");
    let messages = read(stream).await.expect("comes to its end");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].revoked_session_count, 1);
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

#[tokio::test(flavor = "multi_thread")]
async fn sweep_by_a_token_of_a_dropped_key_ends_no_further_batch() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let refused = refused_on_the_way(&it, &admin, async || it.drop_signing_keys().await).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}

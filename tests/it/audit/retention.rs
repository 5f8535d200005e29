//! How events end.

use crate::harness::{Harness, Replica};

#[tokio::test(flavor = "multi_thread")]
async fn events_older_than_the_retention_are_deleted_and_no_others() {
    let it = Harness::start().await;
    let aged = |count: u32, days: u32| {
        format!(
            "INSERT INTO audit_events (user_id, id, created_at, kind, detail) \
             SELECT md5('one')::uuid, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, \
               '0') || '7' || right(md5('{days} ' || n), 19))::uuid, at, 'USER_DELETED', '{{}}' \
             FROM generate_series(1, {count}) AS n, \
               LATERAL (SELECT now() - interval '{days} days' AS at) AS t"
        )
    };
    it.sql(&aged(2_500, 8)).await;
    it.sql(&aged(10, 6)).await;
    let _purges = Replica::start(&it.database, &["--audit-retention", "7days"]).await;
    let old = "NOT EXISTS (SELECT FROM audit_events WHERE created_at < now() - interval '7 days')";
    it.database.until(old).await;
    let kept = "SELECT count(*) FROM audit_events WHERE kind = 'USER_DELETED'";
    assert_eq!(it.scalar::<i64>(kept).await, 10);
}

//! How far the looks of the feed go back.

use super::{Watch, log_out_and_be_told};
use crate::harness::{Harness, Replica, patiently};

/// Ends a session in a transaction that commits when it is so old, and asserts that it is told
/// by the next look.
async fn assert_told_when_committed(it: &Harness, replica: &Replica, old: &str) {
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await.phone.session_id;
    it.create_user("ben", &[]).await;
    let (mut watch, _) = Watch::open(replica, &service, "").await;
    let slow = it.database.connect().await;
    let begin = format!(
        "BEGIN; UPDATE sessions SET revoked_at = now(), end_reason = 'REVOKED_BY_ADMIN' \
         WHERE id = '{ana}'"
    );
    slow.batch_execute(&begin).await.expect("begins");
    // Looks go on meanwhile, and see what is later.
    until_a_logout_is_told(it, &mut watch).await;
    it.database.until_the_writers_are(old).await;
    assert!(!watch.ended.contains(&ana));
    slow.batch_execute("COMMIT").await.expect("commits");
    // The look that tells of the first may have begun before the commit, that of the second
    // has not.
    until_a_logout_is_told(it, &mut watch).await;
    until_a_logout_is_told(it, &mut watch).await;
    assert!(watch.ended.contains(&ana));
}

async fn until_a_logout_is_told(it: &Harness, watch: &mut Watch) {
    let ben = it.sign_in("ben").await;
    log_out_and_be_told(it, &ben, watch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_commits_late_is_told_when_it_has() {
    let it = Harness::start().await;
    assert_told_when_committed(&it, &it, "0 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_takes_longer_than_any_of_ours_is_told_when_it_commits() {
    let it = Harness::start().await;
    let replica = Replica::looking_back(&it.database, "300ms").await;
    // Longer than five times that, and a look before.
    assert_told_when_committed(&it, &replica, "2500 ms").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_hangs_beside_an_older_one_is_told_when_it_commits() {
    let it = Harness::start().await;
    it.create_user("older", &[]).await;
    let older = it.database.connect().await;
    let write = "BEGIN; UPDATE users SET display_name = 'Older' WHERE login = 'older'";
    older.batch_execute(write).await.expect("writes");
    let replica = Replica::looking_back(&it.database, "300ms").await;
    assert_told_when_committed(&it, &replica, "2500 ms").await;
}

/// A role sees of the transactions of others that they are, and not since when.
#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_hides_when_it_began_is_told_when_it_commits() {
    let it = Harness::start().await;
    for right in [
        "DO $$ BEGIN CREATE ROLE of_a_replica; EXCEPTION WHEN duplicate_object THEN END $$",
        "GRANT ALL ON SCHEMA public TO of_a_replica",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO of_a_replica",
    ] {
        it.sql(right).await;
    }
    let url = it.database.url_with("role", "of_a_replica");
    let replica = Replica::launch(&url, &["--no-migrate"]).await;
    replica.wait_until_serving().await;
    assert_told_when_committed(&it, &replica, "1 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_that_are_settled_are_not_read_by_every_look() {
    let it = Harness::start().await;
    it.subject("ana", &[]).await;
    it.sql("UPDATE sessions SET revoked_at = now(), end_reason = 'LOGGED_OUT'")
        .await;
    let looks = "FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid \
        WHERE d.datname = current_database() AND s.query LIKE 'WITH since%'";
    // A look reads the time, and what is not settled. One of every 40 looks at everything.
    let settled = async {
        let mut before = (0, 0);
        loop {
            let more = format!("(SELECT calls {looks}) >= {}", before.0 + 3);
            it.database.until(&more).await;
            let row = &it.sql(&format!("SELECT calls, rows {looks}")).await[0];
            let (calls, rows): (i64, i64) = (row.get(0), row.get(1));
            if calls - before.0 == rows - before.1 {
                return;
            }
            before = (calls, rows);
        }
    };
    patiently("looks that read no revocation", settled).await;
}

//! How many sessions live and who is online.

use rollcall::proto::v1::{self, GetSessionStatsRequest, GetSessionStatsResponse};
use tonic::{Code, Status};

use crate::harness::{Harness, Replica, SignedIn, calls, reason, says_when_to_retry};

async fn get(it: &Replica, admin: &SignedIn) -> Result<GetSessionStatsResponse, Status> {
    let request = admin.request(GetSessionStatsRequest {});
    let reply = it.session_admin().get_session_stats(request).await?;
    Ok(reply.into_inner())
}

/// The options of a server that counts at its start, where that is due, and not again.
const SELDOM: [&str; 2] = ["--session-stats-interval", "1h"];

/// Has the next server that looks count.
async fn make_due(it: &Harness) {
    it.database.until_counted().await;
    it.sql("UPDATE session_stats SET begun_at = '-infinity', computed_at = NULL, took = NULL")
        .await;
}

/// A history: who signed in how long ago, was last seen, and how it ended.
const HISTORY: &str = "
    INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at,
                          absolute_expires_at, generation, h_current, rotated_at, last_seen_at,
                          last_user_agent, idle_expires_at, revoked_at, end_reason)
      SELECT md5(who)::uuid, gen_random_uuid(), client, '', '', now() - opened,
             now() - opened + interval '180 days', 0, '\\x00112233445566778899aabbccddeeff',
             now() - seen, now() - seen, '', now() - seen + interval '30 days', now() - ended,
             CASE WHEN ended IS NOT NULL THEN 'LOGGED_OUT' END
      FROM (VALUES
        ('ana', 'mail', interval '0', interval '0', NULL::interval),
        ('ana', 'mail', '1 day', '9 min', NULL),
        ('ana', 'shop', '1 day', '11 min', NULL),
        ('ben', 'mail', '2 days', '1 day', NULL),
        ('ben', 'shop', '40 days', '35 days', NULL),
        ('cleo', 'mail', '3 days', '2 days', '2 days'),
        ('cleo', 'gone', '40 days', '35 days', '1 day')
      ) AS history (who, client, opened, seen, ended)";

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_those_of_a_known_history_whichever_replica_counts() {
    let it = Harness::with(&SELDOM).await;
    let admin = it.admin().await;
    make_due(&it).await;
    it.sql(HISTORY).await;
    let other = Replica::start(&it.database, &SELDOM).await;
    it.database.until_counted().await;

    let stats = get(&it, &admin).await.expect("counted");
    assert_eq!(get(&other, &admin).await.expect("counted"), stats);
    let fresh: bool = it
        .scalar("SELECT computed_at > now() - interval '1 h' FROM session_stats")
        .await;
    assert!(fresh && stats.compute_time.is_some());
    // The operator's own is one of each.
    assert_eq!(stats.live_session_count, 4 + 1);
    assert_eq!(stats.live_user_count, 2 + 1);
    assert_eq!(stats.online_user_count, 1 + 1);
    let clients: Vec<_> = stats
        .clients
        .iter()
        .map(|it| {
            let client_id = it.client_id.as_str();
            (client_id, it.live_session_count, it.online_user_count)
        })
        .collect();
    assert_eq!(clients, [("mail", 3, 1), ("shop", 1, 0), ("test", 1, 1)]);

    assert_eq!(stats.days.len(), 31);
    let today: String = it
        .scalar("SELECT to_char(computed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM session_stats")
        .await;
    assert_eq!(stats.days[0].date, today);
    let counts: Vec<_> = stats.days[..4]
        .iter()
        .map(|day| (day.opened_session_count, day.ended_session_count))
        .collect();
    // What ended after it had expired did not end before.
    assert_eq!(counts, [(2, 0), (2, 0), (1, 1), (1, 0)]);
    let sum = |of: fn(&v1::DailySessionStats) -> u64| stats.days.iter().map(of).sum::<u64>();
    assert_eq!(sum(|day| day.opened_session_count), 6);
    assert_eq!(sum(|day| day.ended_session_count), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_counts_for_all_and_none_again_before_it_is_due() {
    let it = Harness::with(&SELDOM).await;
    it.database.until_counted().await;
    let (_second, _third) = (
        Replica::start(&it.database, &SELDOM).await,
        Replica::start(&it.database, &SELDOM).await,
    );
    let claims = format!("SELECT {}", calls("INSERT INTO session_stats%"));
    let counts = format!("SELECT {}", calls("WITH seen AS%"));
    it.database.wait_for(&claims, 3).await;
    assert_eq!(it.scalar::<i64>(&counts).await, 1);
    // A count that took long is followed by a longer rest.
    it.sql("UPDATE session_stats SET begun_at = now() - interval '10 h', took = interval '1 h'")
        .await;
    let _fourth = Replica::start(&it.database, &SELDOM).await;
    it.database.wait_for(&claims, 4).await;
    assert_eq!(it.scalar::<i64>(&counts).await, 1);
    it.sql("UPDATE session_stats SET took = interval '29 min'")
        .await;
    let _fifth = Replica::start(&it.database, &SELDOM).await;
    it.database.wait_for(&counts, 2).await;
}

/// So that a count which comes to no end is not begun again and again.
#[tokio::test(flavor = "multi_thread")]
async fn count_that_fails_is_followed_by_a_rest_as_long_as_one_that_took_as_long() {
    let it = Harness::with(&SELDOM).await;
    make_due(&it).await;
    it.sql("ALTER TABLE sessions RENAME COLUMN client_id TO broken")
        .await;
    let _counting = Replica::launch(it.database.url(), &SELDOM).await;
    let took = "SELECT count(*) FROM session_stats WHERE took IS NOT NULL AND computed_at IS NULL";
    it.database.wait_for(took, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_100_largest_clients_are_told_of() {
    let it = Harness::with(&SELDOM).await;
    let admin = it.admin().await;
    make_due(&it).await;
    it.sql(
        "INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object( \
           'id', gen_random_uuid(), 'client_id', 'app' || lpad(least(n, 100)::text, 3, '0')))).* \
         FROM sessions AS s, generate_series(1, 102) AS n",
    )
    .await;
    let _counting = Replica::start(&it.database, &SELDOM).await;
    it.database.until_counted().await;
    let stats = get(&it, &admin).await.expect("counted");
    assert_eq!(stats.clients.len(), 100);
    let first = &stats.clients[0];
    assert_eq!(
        (first.client_id.as_str(), first.live_session_count),
        ("app100", 3)
    );
    assert_eq!(stats.clients[1].client_id, "app001");
    assert_eq!(stats.clients[99].client_id, "app099");
    assert_eq!(stats.live_session_count, 103);
    assert_eq!(stats.live_user_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_count_the_caller_is_told_when_to_retry() {
    let it = Harness::with(&SELDOM).await;
    let admin = it.admin().await;
    it.database.until_counted().await;
    for arrange in [
        "UPDATE session_stats SET computed_at = NULL",
        "DELETE FROM session_stats",
    ] {
        it.sql(arrange).await;
        let refused = get(&it, &admin).await.expect_err("nothing counted");
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(reason(&refused), "UNAVAILABLE");
        assert!(says_when_to_retry(&refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_read_by_one_statement() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.database.until_counted().await;
    let before = it.database.statements().await;
    get(&it, &admin).await.expect("counted");
    let sent = it.database.statements().await - before;
    assert_eq!(sent, 2, "the caller's check and the row");
}

//! What lists, sweeps and counts ask of a hundred thousand sessions.

use std::fmt::Write;

use rollcall::proto::v1::{ListSessionsRequest, SessionFilter, session_filter::User};

use super::{
    conditions::{generations, online, role},
    list,
    sweep::{WINDOW, begin, dry, of_client, order, read},
};
use crate::{
    harness::{Harness, SignedIn},
    statements::{plan, sent},
};

/// Ten sessions of each of 10,000 users, one in fifty of a client that was compromised.
const CROWD: &str = "
    INSERT INTO users (id, login, display_name, roles, password_hash, created_at, updated_at,
                       sessions_valid_after)
      SELECT md5('u' || n)::uuid, 'crowd' || n, '', CASE WHEN n % 100 = 0 THEN '{clerk}' ELSE '{}' END::text[],
             'x', now(), now(), now() FROM generate_series(1, 10000) AS n;
    INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at,
                          absolute_expires_at, generation, h_current, rotated_at, last_seen_at,
                          last_user_agent, idle_expires_at)
      SELECT md5('u' || n % 10000 + 1)::uuid, md5('s' || n)::uuid,
             CASE WHEN n % 50 = 0 THEN 'compromised' ELSE 'crowd' END, '', 'Crowd/' || n, now(),
             now() + interval '1 day', n % 10, '\\x00112233445566778899aabbccddeeff', now(), now(),
             '', now() + interval '1 day' FROM generate_series(1, 100000) AS n;
    ANALYZE users, sessions";

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_and_lists_of_100_000_sessions_look_at_few_rows_a_statement() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let client = it.database.connect().await;
    client.batch_execute(CROWD).await.expect("inserts");
    let windows = 100_001_u64.div_ceil(WINDOW);

    let nobody = SessionFilter {
        client_id: "crowd".to_owned(),
        ..generations(Some(77), None)
    };
    for (order, met) in [(dry(nobody), 0), (order(of_client("compromised")), 2_000)] {
        let before = it.database.statements().await;
        let ends = !order.validate_only;
        let stream = begin(&it, &admin, order).await.expect("begins");
        let messages = read(stream).await.expect("comes to its end");
        assert_eq!(messages.len() as u64, windows);
        for (told, batch) in messages.iter().zip(1..) {
            let examined = (batch * WINDOW).min(100_001);
            assert_eq!(told.examined_session_count, examined, "no batch is larger");
        }
        assert_eq!(messages[messages.len() - 1].revoked_session_count, met);
        // The caller's check before the reply and each further batch, and the batch.
        let expected = 2 * windows;
        let sent = (it.database.statements().await - before).unsigned_abs();
        // What ends sessions tells of it, and looks again at as many at most.
        let most = if ends { 2 * expected + 10 } else { expected };
        assert!((expected..=most).contains(&sent), "{sent}");
    }
    // Those of one user are found without a walk past all others.
    let user = it
        .scalar::<String>("SELECT id::text FROM users WHERE login = 'crowd7'")
        .await;
    let filter = SessionFilter {
        user: Some(User::UserId(user)),
        ..SessionFilter::default()
    };
    let stream = begin(&it, &admin, order(filter)).await.expect("begins");
    let messages = read(stream).await.expect("comes to its end");
    let [all] = &messages[..] else {
        panic!("more than one batch: {messages:?}")
    };
    assert_eq!(all.examined_session_count, 10);
    list_by_each_condition(&it, &admin).await;

    let settings = "SET plan_cache_mode = force_generic_plan";
    client.batch_execute(settings).await.expect("sets");
    let mut plans = String::new();
    for (condition, least) in [
        ("query LIKE 'WITH examined%'", 2),
        ("query LIKE '%FROM sessions AS s WHERE s.id <%'", 5),
    ] {
        let statements = sent(&client, &format!("{OWN} AND {condition}")).await;
        assert!(statements.len() >= least, "{statements:?}");
        for query in statements {
            // What it tells is of no interest here, and as it is kept no statement.
            let query = match query.split_once(", told AS (") {
                Some((sweep, _)) => renumbered(&format!("{sweep} SELECT count(*) FROM ended")),
                None => query,
            };
            let plan = plan(&client, &query).await;
            write!(plans, "{query}\n{plan}\n").expect("a String grows");
        }
    }
    assert!(!plans.contains("Seq Scan on sessions"), "{plans}");
}

const OWN: &str = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The text of a list differs with its conditions: the most usual ones.
async fn list_by_each_condition(it: &Harness, admin: &SignedIn) {
    for (filter, found) in [
        (SessionFilter::default(), 50),
        (of_client("compromised"), 0),
        (online(), 50),
        (role("clerk"), 50),
        (generations(Some(7), Some(8)), 50),
    ] {
        let what = format!("{filter:?}");
        let request = ListSessionsRequest {
            filter: Some(filter),
            ..ListSessionsRequest::default()
        };
        let before = it.database.statements().await;
        let listed = list(it, admin, request).await.expect("lists");
        assert_eq!(listed.sessions.len(), found, "{what}");
        assert_eq!(it.database.statements().await - before, 2, "{what}");
    }
}

/// The same with its parameters counted from the first: a part of a statement lacks some.
fn renumbered(query: &str) -> String {
    let mut parts = query.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (number, part) in (1..).zip(parts) {
        let after = part.trim_start_matches(|c: char| c.is_ascii_digit());
        write!(text, "${number}{after}").expect("a String grows");
    }
    text
}

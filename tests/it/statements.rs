//! What the service asks of Postgres: how many statements, which, and by which plans.

mod one_of_many;

use std::fmt::Write;

use rollcall::proto::v1::{self, BindingReaction};
use tokio_postgres::Client;

use crate::harness::{
    Harness, NEXT_PASSWORD, Replica, SignedIn, bound, calls, good_request, patiently, request_id,
    rpcs,
};

/// The feed's looks at revocations.
const LOOKS: &str = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND query LIKE 'WITH since AS%'";

/// Not the server's pings and looks at revocations, what sets up a connection, and what is
/// asked once at the start: the keys, which are a handful.
const OF_CALLS: &str = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND query !~ '^(SET |SELECT current_setting|WITH (since|seen) AS|LISTEN|NOTIFY)' \
     AND query !~ 'session_stats AS kept|computed_at IS NOT NULL|pg_stat_activity|pg_index|pg_stat_statements|pg_type|_diesel_schema|CREATE |advisory_lock|to_regclass|signing_keys'";

/// The major version of Postgres whose plans the snapshot has.
const PLANNED_BY: i32 = 15;

/// Calls every RPC once as an operator, each about a user of its own, and answers how
/// many statements each took.
async fn call_all(it: &Harness) -> Vec<(String, i64)> {
    let admin = it.admin().await;
    it.database.until_counted().await;
    let mut counts = Vec::new();
    let mut rpcs = rpcs();
    // Last, since it looks again while it is open, which may be for longer than its call.
    rpcs.sort_by_key(|(rpc, _)| rpc == "Audit/WatchEvents");
    for (number, (rpc, _)) in rpcs.into_iter().enumerate() {
        let subject = it.subject_with_watch(&format!("user{number}"), &[]).await;
        let message = good_request(&rpc, &subject);
        // So that there is a key to rotate to.
        it.database.age_keys("next", "1 hour").await;
        // What a user does for herself is done as her.
        let caller: &SignedIn = match rpc.split_once('/') {
            Some(("Auth", _)) => &subject.laptop,
            _ => &admin,
        };
        let before = it.database.statements().await;
        let reply = it.call(&rpc, message, Some(&caller.access_token)).await;
        reply.unwrap_or_else(|status| panic!("{rpc}: {status:?}"));
        counts.push((rpc, it.database.statements().await - before));
    }
    counts
}

/// Brings about the statements that no good request does: of a server that denies earlier
/// tokens and deletes what tells of them, and of bindings that break.
async fn call_rarely(it: &Harness) {
    let denying = ["--superseded-access-tokens", "deny"];
    let denying = Replica::start(&it.database, &denying).await;
    denying.create_user("bound", &[]).await;
    let refuse = denying.sign_in_as(bound("bound")).await;
    let refused = denying.refresh(&refuse.refresh_token, &request_id()).await;
    refused.expect_err("from elsewhere");
    let mut end = bound("bound");
    let binding = end.binding.as_mut().expect("a binding");
    binding.set_reaction(BindingReaction::End);
    let end = denying.sign_in_as(end).await;
    let ended = denying.refresh(&end.refresh_token, &request_id()).await;
    ended.expect_err("from elsewhere");
    let free = denying.sign_in("bound").await;
    let refreshed = denying.refresh(&free.refresh_token, &request_id()).await;
    refreshed.expect("lives");
    let operator = denying.sign_in("operator").await;
    let watch = operator.request(v1::WatchEventsRequest::default());
    let watch = denying.audit().watch_events(watch).await;
    let mut events = watch.expect("watches").into_inner();
    let replaced = denying.reset_token(&free.user_id).await;
    denying.reset_token(&free.user_id).await;
    let reset = v1::ResetPasswordRequest {
        reset_token: replaced,
        new_password: NEXT_PASSWORD.to_owned(),
    };
    let refused = denying.auth().reset_password(reset).await;
    refused.expect_err("replaced");
    let told = async {
        while let Some(message) = events.message().await.expect("goes on") {
            if !message.events.is_empty() {
                return;
            }
        }
    };
    patiently("an event", told).await;
    let purges = calls("WITH old AS%superseded_tokens%");
    it.database.until(&format!("{purges} > 0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rpc_takes_its_number_of_statements() {
    let it = Harness::with(&["--registration"]).await;
    let mut table = String::new();
    for (rpc, count) in call_all(&it).await {
        writeln!(table, "{count} {rpc}").expect("a String grows");
    }
    insta::assert_snapshot!(table);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_with_a_login_takes_one_statement_more() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let mut sent = Vec::new();
    for user in [None, Some("operator")] {
        let filter = rollcall::proto::v1::SessionFilter {
            user: user
                .map(|login| rollcall::proto::v1::session_filter::User::Login(login.to_owned())),
            ..Default::default()
        };
        let request = rollcall::proto::v1::ListSessionsRequest {
            filter: Some(filter),
            ..Default::default()
        };
        let before = it.database.statements().await;
        let listed = it
            .session_admin()
            .list_sessions(admin.request(request))
            .await;
        assert_eq!(listed.expect("lists").into_inner().sessions.len(), 1);
        sent.push(it.database.statements().await - before);
    }
    assert_eq!(
        sent,
        [2, 3],
        "the caller's check and the page; and the login"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_scans_a_table() {
    let it = Harness::with(&["--registration"]).await;
    call_all(&it).await;
    call_rarely(&it).await;
    let client = it.database.connect().await;
    // Without it, tables as small as these are always scanned.
    let settings = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
    client.batch_execute(settings).await.expect("sets");
    let mut plans = String::new();
    for query in statements(&client).await {
        let plan = plan(&client, &query).await;
        assert!(!plan.contains("Seq Scan"), "{query}\n{plan}");
        write!(plans, "{query}\n{plan}\n").expect("a String grows");
    }
    // Another version of Postgres writes its plans in other words.
    let version = "SELECT current_setting('server_version_num')::int / 10000";
    if it.scalar::<i32>(version).await == PLANNED_BY {
        insta::assert_snapshot!(plans);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_of_the_hot_path_scans_thousands_of_sessions() {
    let it = Harness::with(&["--registration"]).await;
    call_all(&it).await;
    call_rarely(&it).await;
    let client = it.database.connect().await;
    let statements = statements(&client).await;
    client.batch_execute(CROWD).await.expect("inserts");
    let settings = "SET plan_cache_mode = force_generic_plan";
    client.batch_execute(settings).await.expect("sets");
    for query in statements {
        // What purges or imports is on nobody's path: it may read a table that is small.
        if query.starts_with("WITH old AS")
            || query.starts_with("WITH account AS (SELECT * FROM unnest")
        {
            continue;
        }
        let plan = plan(&client, &query).await;
        // The catalogue's tables are small.
        let plan = plan.replace("Seq Scan on pg_", "");
        assert!(!plan.contains("Seq Scan"), "{query}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_revocations_among_thousands_of_sessions_uses_the_indexes() {
    let it = Harness::start().await;
    let client = it.database.connect().await;
    client.batch_execute(CROWD).await.expect("inserts");
    let settings = "SET plan_cache_mode = force_generic_plan";
    client.batch_execute(settings).await.expect("sets");
    let looks = sent(&client, LOOKS).await;
    let [look] = &looks[..] else {
        panic!("not one look: {looks:?}")
    };
    let plan = plan(&client, look).await;
    for table in ["sessions", "users", "superseded_tokens"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
    }
    for index in [
        "sessions_revoked_at",
        "users_roles_changed_at",
        "superseded_tokens_superseded_at",
    ] {
        assert!(plan.contains(index), "{plan}");
    }
}

/// Not by the plan for any prefix at all: that of the statement as it was sent goes by what
/// the prefix is.
#[tokio::test(flavor = "multi_thread")]
async fn search_by_how_a_login_begins_among_100_000_users_uses_the_index() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let client = it.database.connect().await;
    client.batch_execute(USERS).await.expect("inserts");
    let filter = rollcall::proto::v1::UserFilter {
        login_prefix: "crowd1234".to_owned(),
        ..Default::default()
    };
    let request = rollcall::proto::v1::ListUsersRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let listed = it.user_admin().list_users(admin.request(request)).await;
    assert_eq!(listed.expect("lists").into_inner().users.len(), 11);
    let scans = "SELECT least(idx_scan, 1) FROM pg_stat_user_indexes \
         WHERE indexrelname = 'user_logins_prefix'";
    it.database.wait_for(scans, 1).await;
}

/// 100,000 users.
const USERS: &str = "
    INSERT INTO users (id, login, display_name, roles, password_hash, created_at, updated_at,
                       sessions_valid_after)
      SELECT md5('u' || n)::uuid, 'crowd' || n, '', '{}', 'x', now(), now(), now()
      FROM generate_series(1, 100000) AS n;
    INSERT INTO user_logins (login, user_id)
      SELECT 'crowd' || n, md5('u' || n)::uuid FROM generate_series(1, 100000) AS n;
    ANALYZE users, user_logins";

/// 2,000 users with ten sessions each, most of them live.
const CROWD: &str = "
    INSERT INTO users (id, login, display_name, roles, password_hash, created_at, updated_at,
                       sessions_valid_after)
      SELECT md5('u' || n)::uuid, 'crowd' || n, '', '{}', 'x', now(), now(), now()
      FROM generate_series(1, 2000) AS n;
    INSERT INTO user_logins (login, user_id)
      SELECT 'crowd' || n, md5('u' || n)::uuid FROM generate_series(1, 2000) AS n;
    INSERT INTO sessions (user_id, id, client_id, device_id, display_name, user_agent, created_at,
                          absolute_expires_at, generation, h_current, rotated_at, last_seen_at,
                          last_user_agent, idle_expires_at, revoked_at, end_reason)
      SELECT md5('u' || n % 2000 + 1)::uuid, md5('s' || n)::uuid, 'crowd', 'd' || n, '', '', now(),
             now() + interval '1 day', 0, '\\x00112233445566778899aabbccddeeff', now(), now(),
             '', now() + interval '1 day', CASE WHEN n % 5 = 0 THEN now() END,
             CASE WHEN n % 5 = 0 THEN 'LOGGED_OUT' END
      FROM generate_series(1, 20000) AS n;
    INSERT INTO superseded_tokens (user_id, session_id, generation, superseded_at)
      SELECT user_id, id, 1, now() FROM sessions ON CONFLICT DO NOTHING;
    ANALYZE users, user_logins, sessions, superseded_tokens";

/// Every statement that calls have sent, in the order of their texts.
async fn statements(client: &Client) -> Vec<String> {
    let mut statements = sent(client, OF_CALLS).await;
    statements.retain(|query| !matches!(query.as_str(), "BEGIN" | "COMMIT" | "ROLLBACK"));
    assert!(statements.len() > 10, "the RPCs have sent statements");
    statements
}

/// The statements sent that meet a condition, in the order of their texts.
pub async fn sent(client: &Client, condition: &str) -> Vec<String> {
    let query = format!("SELECT query FROM pg_stat_statements WHERE {condition} ORDER BY query");
    let rows = client.query(&query, &[]).await.expect("statements");
    rows.iter().map(|row| row.get(0)).collect()
}

pub async fn plan(client: &Client, query: &str) -> String {
    prepare(client, query).await;
    let parameters = "SELECT cardinality(parameter_types) FROM pg_prepared_statements \
         WHERE name = 'it'";
    let row = client.query_one(parameters, &[]).await.expect("one row");
    let nulls = vec!["NULL"; usize::try_from(row.get::<_, i32>(0)).expect("a number")];
    let arguments = match nulls.len() {
        0 => String::new(),
        _ => format!("({})", nulls.join(", ")),
    };
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE it{arguments}");
    let rows = client.query(&explain, &[]).await.expect("a plan");
    client
        .batch_execute("DEALLOCATE it")
        .await
        .expect("forgets");
    let lines: Vec<String> = rows
        .iter()
        .map(|row| format!("    {}", row.get::<_, &str>(0)))
        .collect();
    lines.join("\n") + "\n"
}

/// Prepares a statement of pg_stat_statements, which has parameters in the places of
/// constants too: of a field in `extract`, where none can stand, and where nothing tells
/// that they were texts.
async fn prepare(client: &Client, query: &str) {
    let mut query = query.to_owned();
    while let Some((before, after)) = query.split_once("extract($") {
        let (field, rest) = after.split_once(" FROM ").expect("a field");
        query = format!("{before}pg_catalog.\"extract\"(${field}, {rest}");
    }
    loop {
        let prepared = client
            .batch_execute(&format!("PREPARE it AS {query}"))
            .await;
        let Err(error) = prepared else { return };
        let message = error.as_db_error().map_or("", |error| error.message());
        let untyped = message.strip_prefix("could not determine data type of parameter ");
        let untyped = untyped.unwrap_or_else(|| panic!("{query}: {error:?}"));
        let typed = with_type(&query, untyped);
        assert_ne!(typed, query, "{error:?}");
        query = typed;
    }
}

/// `query` with the parameter, `$4`, as a text.
fn with_type(query: &str, parameter: &str) -> String {
    let mut parts = query.split(parameter);
    let mut typed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let whole = !part.starts_with(|c: char| c.is_ascii_digit());
        typed.push_str(parameter);
        typed.push_str(if whole { "::text" } else { "" });
        typed.push_str(part);
    }
    typed
}

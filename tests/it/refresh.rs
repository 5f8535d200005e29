//! Honest clients survive their own refreshes: at once, repeated, with lost replies.

use rollcall::proto::v1;
use tonic::{Code, Status};

use crate::harness::{
    Harness, LONG_WINDOWS, Replica, claims, reason, refresh_at_once, refresh_in_a_race, request_id,
    successor, violated_fields,
};

/// Refreshes a token 64 times at once under one name, and sees the same answer, byte
/// for byte, and one new generation.
async fn assert_one_successor(it: &Harness, replicas: &[&Replica], request_id: &str) {
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let ids = vec![request_id.to_owned(); 64];
    let answers = refresh_in_a_race(&it.database, replicas, &phone, &ids).await;
    let replies: Result<Vec<_>, Status> = answers.into_iter().collect();
    let replies = replies.expect("nobody is refused");
    for reply in &replies {
        assert_eq!(reply, &replies[0]);
    }
    assert_ne!(successor(&replies[0]), phone.refresh_token);
    assert_eq!(it.database.standing(&phone.session_id).await, (1, None));
    it.refresh(successor(&replies[0]), &self::request_id())
        .await
        .expect("the successor is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_64_times_at_once_with_one_request_id_makes_one_successor() {
    let it = Harness::start().await;
    assert_one_successor(&it, &[&it], &request_id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_64_times_at_once_without_request_id_makes_one_successor() {
    let it = Harness::with(&LONG_WINDOWS).await;
    assert_one_successor(&it, &[&it], "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_64_times_at_once_on_two_replicas_makes_one_successor() {
    let it = Harness::start().await;
    let other = it.replica().await;
    assert_one_successor(&it, &[&it, &other], &request_id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_64_times_at_once_without_request_id_on_two_replicas_makes_one_successor() {
    let it = Harness::with(&LONG_WINDOWS).await;
    let other = Replica::start(&it.database, &LONG_WINDOWS).await;
    assert_one_successor(&it, &[&it, &other], "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_lost_a_thousand_times_never_logs_out() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let mut token = phone.refresh_token.clone();
    for round in 0..1_000 {
        let id = request_id();
        let attempts = vec![id.clone(); 1 + round % 2];
        let mut replies = refresh_at_once(&[&it], &token, &attempts).await;
        replies.extend(refresh_at_once(&[&it], &token, &attempts).await);
        // Any of the answers may be the one that arrives.
        let arrived = replies.swap_remove(round % replies.len());
        token = successor(&arrived.expect("lives")).to_owned();
    }
    assert_eq!(it.database.standing(&phone.session_id).await, (1_000, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_from_another_place_changes_nothing_in_the_row() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let from = |user_agent: &str, ip_address: &str| v1::RefreshRequest {
        refresh_token: phone.refresh_token.clone(),
        request_id: "one-name-for-all-attempts".to_owned(),
        user_agent: user_agent.to_owned(),
        ip_address: ip_address.to_owned(),
    };
    let first = it.auth().refresh(from("train", "192.0.2.1")).await;
    let first = first.expect("lives").into_inner();
    let before = it.database.session(&phone.session_id).await;

    let replay = it.auth().refresh(from("station", "2001:db8::1")).await;
    assert_eq!(replay.expect("the same request").into_inner(), first);
    assert_eq!(it.database.session(&phone.session_id).await, before);
    let seen = first.session.expect("a session");
    assert_eq!(
        (seen.last_user_agent, seen.last_ip_address),
        ("train".to_owned(), "192.0.2.1".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_late_in_the_window_moves_no_expiry() {
    let it = Harness::with(&LONG_WINDOWS).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    it.refresh(&phone.refresh_token, &id).await.expect("lives");
    it.database.age(&phone.session_id, "100 min").await;
    it.sql("UPDATE sessions SET idle_expires_at = idle_expires_at - interval '100 min'")
        .await;
    let before = it.database.session(&phone.session_id).await;

    let replay = it.refresh(&phone.refresh_token, &id).await.expect("retry");
    assert_eq!(it.database.session(&phone.session_id).await, before);
    let claims = claims(&replay.tokens.expect("tokens").access_token);
    let rotated: i64 = it
        .scalar("SELECT floor(extract(epoch FROM rotated_at))::bigint FROM sessions")
        .await;
    assert_eq!(claims["iat"], rotated);
    assert_eq!(claims["exp"], rotated + 10_800);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_never_rearms_the_window() {
    let it = Harness::with(&LONG_WINDOWS).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    let first = it.refresh(&phone.refresh_token, &id).await.expect("lives");
    it.database.age(&phone.session_id, "100 min").await;
    let replay = it.refresh(&phone.refresh_token, &id).await.expect("retry");
    assert_eq!(successor(&replay), successor(&first));
    it.database.age(&phone.session_id, "21 min").await;
    let late = it
        .refresh(&phone.refresh_token, &id)
        .await
        .expect_err("late");
    assert_eq!(reason(&late), "REFRESH_TOKEN_REUSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_without_request_id_inside_the_leeway_is_a_retry() {
    let it = Harness::with(&LONG_WINDOWS).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let first = it.refresh(&phone.refresh_token, "").await.expect("lives");
    it.database.age(&phone.session_id, "30 min").await;
    let replay = it.refresh(&phone.refresh_token, "").await.expect("retry");
    assert_eq!(successor(&replay), successor(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn request_id_that_made_the_token_is_refused_and_the_session_lives() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    let next = it.refresh(&phone.refresh_token, &id).await.expect("lives");
    let before = it.database.contents().await;

    let refused = it
        .refresh(successor(&next), &id)
        .await
        .expect_err("not new");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    assert_eq!(violated_fields(&refused), ["request_id"]);
    assert_eq!(it.database.contents().await, before);
    it.refresh(successor(&next), &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_reads_roles_afresh() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.create_user("ana", &[]).await;
    let mut token = it.sign_in("ana").await.refresh_token;
    for roles in [vec!["admin".to_owned(), "auditor".to_owned()], vec![]] {
        let change = v1::UpdateUserRequest {
            user: Some(v1::User {
                user_id: ana.to_string(),
                roles: roles.clone(),
                ..v1::User::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["roles".to_owned()],
            }),
        };
        let changed = it.user_admin().update_user(admin.request(change)).await;
        changed.expect("changes");
        let next = it.refresh(&token, &request_id()).await.expect("lives");
        let tokens = next.tokens.expect("tokens");
        assert_eq!(next.roles, roles);
        assert_eq!(
            claims(&tokens.access_token)["roles"],
            serde_json::json!(roles)
        );
        token = tokens.refresh_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_sends_one_statement_and_a_replay_two() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    let mut sent = vec![it.database.statements().await];
    for _ in 0..2 {
        it.refresh(&phone.refresh_token, &id).await.expect("lives");
        sent.push(it.database.statements().await);
    }
    assert_eq!((sent[1] - sent[0], sent[2] - sent[1]), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_leave_one_row_and_are_heap_only_updates() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let mut token = it.sign_in("ana").await.refresh_token;
    let events = "SELECT count(*) FROM audit_events";
    let before: i64 = it.scalar(events).await;
    for _ in 0..300 {
        let next = it.refresh(&token, &request_id()).await.expect("lives");
        token = successor(&next).to_owned();
    }
    let rows = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM audit_events), \
                (SELECT count(*) FROM users)";
    let rows = it.sql(rows).await;
    let counts: [i64; 3] = [0, 1, 2].map(|at| rows[0].get(at));
    assert_eq!(counts, [1, before, 1]);

    // A connection that ends tells the statistics what it did.
    let Harness { database, server } = it;
    server.stop().await.expect("stops");
    let alone = "NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND pid <> pg_backend_pid())";
    database.until(alone).await;
    let updates = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables \
                   WHERE relname = 'sessions'";
    let updates = database.sql(updates).await;
    let (all, heap_only): (i64, i64) = (updates[0].get(0), updates[0].get(1));
    // A page that is full moves the row to another one, which while other tests keep
    // its dead versions alive happens once in about twenty updates. An index on what a
    // refresh changes would leave none.
    assert_eq!(all, 300);
    assert!(heap_only >= 240, "{heap_only} of {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_without_a_user_agent_keeps_the_one_before() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let mut token = it.sign_in("ana").await.refresh_token;
    for (given, expected) in [("one", "one"), ("", "one"), ("two", "two")] {
        let request = v1::RefreshRequest {
            refresh_token: token,
            request_id: request_id(),
            user_agent: given.to_owned(),
            ..v1::RefreshRequest::default()
        };
        let reply = it
            .auth()
            .refresh(request)
            .await
            .expect("lives")
            .into_inner();
        token = successor(&reply).to_owned();
        assert_eq!(reply.session.expect("a session").last_user_agent, expected);
    }
}

//! What becomes of those who watch: the slow, the many, and those who may no longer.

use rollcall::proto::v1::{self, WatchRevocationsRequest};
use tonic::Code;

use super::Watch;
use crate::harness::{Harness, OwnCluster, Replica, Subject, mask, patiently, pause, reason};

/// So many sessions of a user, made in one transaction, with an end or without.
fn crowd(count: usize, end: &str) -> String {
    format!(
        "WITH u AS (SELECT id FROM users WHERE login = 'crowd')
         INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at,
                               absolute_expires_at, generation, h_current, rotated_at,
                               last_seen_at, last_user_agent, idle_expires_at, revoked_at,
                               end_reason)
         SELECT u.id, gen_random_uuid(), 'c', '', '', now(), now() + interval '1 day', 0,
                '\\x00112233445566778899aabbccddeeff', now(), now(), '',
                now() + interval '1 day', {end}
         FROM u, generate_series(1, {count}) RETURNING id::text"
    )
}

const ENDED: &str = "now(), 'LOGGED_OUT'";
const LIVE: &str = "NULL, NULL";

#[tokio::test(flavor = "multi_thread")]
async fn mass_of_revocations_is_told_whole() {
    let it = Harness::start().await;
    let service = it.service().await;
    it.create_user("crowd", &[]).await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    it.sql(&crowd(40_000, ENDED)).await;
    while watch.ended.len() < 40_000 {
        watch.read().await.expect("the stream goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_that_does_not_read_is_cut_off_and_misses_nothing() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("crowd", &[]).await;
    let live = it.sql(&crowd(300, LIVE)).await;
    let narrow = it.connect_with_window(65_535).await;
    let (mut slow, _) = Watch::open_over(narrow, &admin, "").await;
    let (mut quick, _) = Watch::open(&it, &admin, "").await;
    let cursor = slow.cursor.clone();
    // More than the window and the buffers of a stream hold, and then more looks than the
    // backlog.
    it.sql(&crowd(12_000, ENDED)).await;
    for row in live {
        let session_id: String = row.get(0);
        let revoke = v1::RevokeSessionRequest {
            session_id: session_id.clone(),
        };
        let revoke = admin.request(revoke);
        let revoked = it.session_admin().revoke_session(revoke).await;
        revoked.expect("revokes");
        quick.until_ended(&session_id).await;
    }
    let cut = loop {
        if let Err(status) = slow.read().await {
            break status;
        }
    };
    assert_eq!(cut.code(), Code::Aborted);
    assert_eq!(reason(&cut), "WATCH_LAGGED");
    assert!(slow.ended.len() < quick.ended.len());
    let (resumed, _) = Watch::open(&it, &admin, &cursor).await;
    assert_eq!(resumed.ended, quick.ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_over_the_limit_are_told_when_to_retry() {
    let it = Harness::with(&["--max-watchers", "1"]).await;
    let service = it.service().await;
    let (watch, _) = Watch::open(&it, &service, "").await;
    let request = || service.request(WatchRevocationsRequest::default());
    let refused = it.verification().watch_revocations(request()).await;
    let refused = refused.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused), "TOO_MANY_WATCHERS");
    drop(watch);
    // The place is free once the server has seen the end of the stream.
    let freed = async {
        while it
            .verification()
            .watch_revocations(request())
            .await
            .is_err()
        {
            pause().await;
        }
    };
    patiently("a free place", freed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_the_streams_at_once_with_unavailable() {
    let mut it = Harness::with(&["--drain-pause", "1h"]).await;
    let service = it.service().await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    it.server.begin_stop();
    let ended = loop {
        if let Err(status) = watch.read().await {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_goes_on_after_its_connection_was_cut_and_postgres_was_away() {
    let mut cluster = OwnCluster::start(&[]).await;
    let replica = Replica::launch(cluster.url(), &[]).await;
    replica.wait_until_serving().await;
    let service = replica.service().await;
    let ana = replica.subject("ana", &[]).await;
    let ben = replica.subject("ben", &[]).await;
    let (mut watch, _) = Watch::open(&replica, &service, "").await;
    cluster.stop().await;
    cluster.start_again().await;
    let logout = |subject: &Subject| v1::LogoutRequest {
        refresh_token: subject.phone.refresh_token.clone(),
    };
    let again = async {
        while replica.auth().logout(logout(&ana)).await.is_err() {
            pause().await;
        }
    };
    patiently("Postgres is back", again).await;
    watch.until_ended(&ana.phone.session_id).await;
    replica.auth().logout(logout(&ben)).await.expect("logs out");
    watch.until_ended(&ben.phone.session_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_whose_own_session_ends_is_told_nothing_more() {
    let it = Harness::start().await;
    it.create_user("orders", &["service"]).await;
    let (service, other) = (it.sign_in("orders").await, it.sign_in("orders").await);
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    let (mut goes_on, _) = Watch::open(&it, &other, "").await;
    let refresh_token = service.refresh_token.clone();
    let logout = it.auth().logout(v1::LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    goes_on.until_ended(&service.session_id).await;
    let refused = loop {
        if let Err(status) = watch.read().await {
            break status;
        }
    };
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_that_loses_its_role_is_told_nothing_more() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let service = it.service().await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    let demote = admin.request(v1::UpdateUserRequest {
        user: Some(v1::User {
            user_id: service.user_id.clone(),
            ..v1::User::default()
        }),
        update_mask: Some(mask(&["roles"])),
    });
    it.user_admin().update_user(demote).await.expect("demotes");
    let refused = loop {
        if let Err(status) = watch.read().await {
            break status;
        }
    };
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "ROLE_REQUIRED");
}

//! What ends in numbers, who watches, and what is purged.

use rollcall::proto::v1::{
    IssuePasswordResetTokenRequest, ResetPasswordRequest, RevokeSessionsRequest, SessionFilter,
    WatchEventsRequest, session_filter::User,
};

use super::scrape::{PORT, Scrape, scrape, start};
use crate::harness::{NEXT_PASSWORD, Replica, patiently, pause};

#[tokio::test(flavor = "multi_thread")]
async fn sessions_ended_by_a_filter_and_by_a_reset_are_counted() {
    let it = start(&[]).await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let user_id = it.sign_in("ana").await.user_id;
    it.sign_in("ana").await;
    let request = admin.request(RevokeSessionsRequest {
        filter: Some(SessionFilter {
            user: Some(User::UserId(user_id.clone())),
            ..SessionFilter::default()
        }),
        ..RevokeSessionsRequest::default()
    });
    let swept = it.session_admin().revoke_sessions(request).await;
    let mut swept = swept.expect("begins").into_inner();
    while swept.message().await.expect("goes on").is_some() {}
    it.sign_in("ana").await;
    let request = admin.request(IssuePasswordResetTokenRequest {
        user_id,
        lifetime_seconds: 0,
    });
    let issued = it.user_admin().issue_password_reset_token(request).await;
    let request = ResetPasswordRequest {
        reset_token: issued.expect("issues").into_inner().reset_token,
        new_password: NEXT_PASSWORD.to_owned(),
    };
    it.auth().reset_password(request).await.expect("resets");
    let scraped = scrape(&it).await;
    for (reason, number) in [("REVOKED_BY_ADMIN", 2.0), ("PASSWORD_CHANGED", 1.0)] {
        let series = format!("rollcall_sessions_ended_total{{reason=\"{reason}\"}}");
        assert_eq!(scraped.value(&series), number, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_of_events_are_seen() {
    let it = start(&[]).await;
    let admin = it.admin().await;
    let request = admin.request(WatchEventsRequest::default());
    let watching = it.audit().watch_events(request).await.expect("watches");
    let watchers = "rollcall_watchers{stream=\"audit_events\"}";
    assert_eq!(scrape(&it).await.value(watchers), 1.0);
    drop(watching);
    patiently("the watcher is gone", async {
        while scrape(&it).await.value(watchers) != 0.0 {
            pause().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_that_go_are_counted() {
    let it = start(&[]).await;
    it.sql(
        "INSERT INTO audit_events (user_id, id, created_at, kind, detail) VALUES \
         (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', \
          now() - interval '9 years', 'USER_DELETED', '{}')",
    )
    .await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    it.sql("UPDATE sessions SET idle_expires_at = now() - interval '9 years'")
        .await;
    // A server purges as it starts: the first may still be about it.
    let other = Replica::start(&it.database, &PORT).await;
    for table in ["audit_events", "sessions"] {
        let label = format!("{{table=\"{table}\"}}");
        let removed = format!("rollcall_purged_rows_total{label}");
        let done = format!("rollcall_purge_last_success_timestamp_seconds{label}");
        patiently("the row is purged, and counted once", async {
            while scrape(&it).await.value(&removed) + scrape(&other).await.value(&removed) != 1.0 {
                pause().await;
            }
            let nothing = Scrape::parse("# EOF\n");
            while scrape(&other).await.since(&nothing, &[&done]).is_empty() {
                pause().await;
            }
        })
        .await;
    }
}

//! The stream of events.

use std::collections::VecDeque;

use rollcall::proto::v1::{self, EventKind, WatchEventsRequest, WatchEventsResponse};
use tonic::{Code, Status, Streaming};

use super::{of_kinds, revoke};
use crate::harness::{Harness, Replica, SignedIn, calls, mask, patiently, pause, reason};

/// A stream of events, as an operator reads it.
struct Watch {
    stream: Streaming<WatchEventsResponse>,
    read: VecDeque<v1::Event>,
    cursor: String,
}

impl Watch {
    async fn try_open(replica: &Replica, admin: &SignedIn, cursor: &str) -> Result<Self, Status> {
        let request = admin.request(WatchEventsRequest {
            filter: Some(of_kinds(&[EventKind::SessionEnded])),
            cursor: cursor.to_owned(),
        });
        let stream = replica.audit().watch_events(request).await?;
        let mut watch = Self {
            stream: stream.into_inner(),
            read: VecDeque::new(),
            cursor: String::new(),
        };
        watch.message().await?;
        assert!(watch.read.is_empty(), "the first message has only a cursor");
        Ok(watch)
    }

    /// Opens a stream of the ends of sessions, and reads its first message.
    async fn open(replica: &Replica, admin: &SignedIn, cursor: &str) -> Self {
        let opened = Self::try_open(replica, admin, cursor).await;
        opened.expect("opens")
    }

    async fn message(&mut self) -> Result<usize, Status> {
        let next = patiently("a message", self.stream.message()).await?;
        let message = next.expect("the stream goes on");
        assert!((1..=128).contains(&message.cursor.len()));
        self.cursor = message.cursor;
        let count = message.events.len();
        self.read.extend(message.events);
        Ok(count)
    }

    /// The session of the next event.
    async fn next(&mut self) -> String {
        let told = async {
            loop {
                if let Some(event) = self.read.pop_front() {
                    assert_eq!(event.kind(), EventKind::SessionEnded);
                    return event.session_id;
                }
                self.message().await.expect("the stream goes on");
            }
        };
        patiently("an event", told).await
    }

    /// What ends the stream.
    async fn end(mut self) -> Status {
        let ended = async {
            loop {
                if let Err(status) = self.message().await {
                    return status;
                }
            }
        };
        patiently("the end of the stream", ended).await
    }
}

/// As many sessions, to be ended.
async fn sessions(it: &Harness, count: usize) -> Vec<SignedIn> {
    it.create_user("ana", &[]).await;
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(it.sign_in("ana").await);
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_through_another_replica_and_each_once_over_a_change_of_replicas() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    let ana = sessions(&it, 5).await;
    revoke(&it, &admin, &ana[0]).await;
    let mut watch = Watch::open(&other, &admin, "").await;
    revoke(&it, &admin, &ana[1]).await;
    assert_eq!(watch.next().await, ana[1].session_id, "none from before");
    revoke(&it, &admin, &ana[2]).await;
    assert_eq!(watch.next().await, ana[2].session_id);
    let cursor = watch.cursor.clone();
    drop(watch);
    revoke(&other, &admin, &ana[3]).await;
    let mut again = Watch::open(&it, &admin, &cursor).await;
    assert_eq!(again.next().await, ana[3].session_id);
    revoke(&other, &admin, &ana[4]).await;
    assert_eq!(again.next().await, ana[4].session_id);
    // What no event followed is told as a message without any.
    assert_eq!(again.message().await.expect("goes on"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_commits_late_holds_back_what_came_after_it_and_is_told() {
    let it = Harness::start().await;
    let hurried = Replica::looking_back(&it.database, "400ms").await;
    let admin = it.admin().await;
    let ana = sessions(&it, 2).await;
    let mut watch = Watch::open(&hurried, &admin, "").await;
    // What only reads, a dump say, holds back no longer than the overlap.
    let dump = it.database.connect().await;
    let read = "BEGIN; SELECT count(*) FROM audit_events";
    dump.batch_execute(read).await.expect("reads");
    let late = it.database.connect().await;
    let write = format!(
        "BEGIN; INSERT INTO audit_events (user_id, id, session_id, created_at, kind, detail) \
         SELECT '{}', (lpad(to_hex((extract(epoch FROM date_trunc('milliseconds', now())) * 1000)\
           ::bigint), 12, '0') || '70000000000000000000')::uuid, '{}', now(), 'SESSION_ENDED', '{{}}'",
        ana[0].user_id, ana[0].session_id
    );
    late.batch_execute(&write).await.expect("writes");
    revoke(&it, &admin, &ana[1]).await;
    let overlap = "now() > (SELECT min(xact_start) FROM pg_stat_activity \
         WHERE datname = current_database() AND state = 'idle in transaction') + interval '2.1 s'";
    it.database.until(overlap).await;
    // Looks that see the second event committed, and the first not.
    let looks = calls("SELECT \"audit_events\".%");
    let seen: i64 = it.scalar(&format!("SELECT {looks}")).await;
    it.database.until(&format!("{looks} >= {}", seen + 3)).await;
    late.batch_execute("COMMIT").await.expect("commits");
    assert_eq!(watch.next().await, ana[0].session_id, "the late one");
    assert_eq!(watch.next().await, ana[1].session_id);
    dump.batch_execute("COMMIT").await.expect("was there still");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_a_message_has_are_told_in_order_without_a_gap() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let mut watch = Watch::open(&it, &admin, "").await;
    it.sql(
        "INSERT INTO audit_events (user_id, id, session_id, created_at, kind, detail) \
         SELECT gen_random_uuid(), (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + 1), \
           12, '0') || '7' || lpad(to_hex(n), 19, '0'))::uuid, \
           lpad(to_hex(n), 32, '0')::uuid, now(), 'SESSION_ENDED', '{}' \
         FROM generate_series(1, 1200) AS n",
    )
    .await;
    for n in 1..=1200_u32 {
        let expected = uuid::Uuid::from_u128(n.into()).to_string();
        assert_eq!(watch.next().await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_ends_with_the_session_the_role_and_the_replica() {
    let mut it = Harness::with(&["--drain-pause", "1h"]).await;
    let admin = it.admin().await;
    it.create_user("second", &["admin"]).await;
    it.create_user("third", &["admin"]).await;
    let (second, third) = (it.sign_in("second").await, it.sign_in("third").await);
    let watch = Watch::open(&it, &second, "").await;
    revoke(&it, &admin, &second).await;
    let ended = watch.end().await;
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert_eq!(reason(&ended), "SESSION_ENDED");

    let watch = Watch::open(&it, &third, "").await;
    let demote = admin.request(v1::UpdateUserRequest {
        user: Some(v1::User {
            user_id: third.user_id.clone(),
            ..v1::User::default()
        }),
        update_mask: Some(mask(&["roles"])),
    });
    it.user_admin().update_user(demote).await.expect("demotes");
    let ended = watch.end().await;
    assert_eq!(ended.code(), Code::PermissionDenied);
    assert_eq!(reason(&ended), "ADMIN_REQUIRED");

    let watch = Watch::open(&it, &admin, "").await;
    it.server.begin_stop();
    let ended = watch.end().await;
    assert_eq!(ended.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_by_a_token_of_a_dropped_key_ends() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let watch = Watch::open(&it, &admin, "").await;
    let request = admin.request(v1::RotateSigningKeyRequest { emergency: true });
    let rotated = it.key_admin().rotate_signing_key(request).await;
    rotated.expect("rotates");
    let ended = watch.end().await;
    assert_eq!(reason(&ended), "ACCESS_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_watcher_more_than_a_replica_takes_is_told_when_to_retry() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let mut watches = Vec::new();
    for _ in 0..32 {
        watches.push(Watch::open(&it, &admin, "").await);
    }
    let refused = Watch::try_open(&it, &admin, "").await;
    let refused = refused.err().expect("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused), "TOO_MANY_WATCHERS");
    watches.pop();
    let freed = async {
        while Watch::try_open(&it, &admin, "").await.is_err() {
            pause().await;
        }
    };
    patiently("a free place", freed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_of_elsewhere_is_refused() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let request = admin.request(v1::ListEventsRequest {
        page_size: 1,
        ..v1::ListEventsRequest::default()
    });
    it.create_user("ana", &[]).await;
    let listed = it.audit().list_events(request).await.expect("lists");
    let cursor = Watch::open(&it, &admin, "").await.cursor;
    let mut changed = cursor.into_bytes();
    changed[3] ^= 1;
    let changed = String::from_utf8(changed).expect("ASCII");
    for foreign in [listed.into_inner().next_page_token, changed] {
        assert!(!foreign.is_empty());
        let refused = Watch::try_open(&it, &admin, &foreign).await;
        let refused = refused.err().expect("not of this stream");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

//! The stream of revocations.

use std::collections::HashSet;

use rollcall::proto::v1::{
    self, WatchRevocationsRequest, WatchRevocationsResponse, revocation::Kind,
    watch_revocations_response::Message,
};
use tonic::{Code, Status, Streaming};

use crate::harness::{
    Harness, OwnCluster, Replica, SignedIn, Subject, device, good_request, mask, patiently, reason,
    request_id,
};

/// A stream of revocations, as a verifier reads it.
struct Watch {
    stream: Streaming<WatchRevocationsResponse>,
    ended: HashSet<String>,
    roles: Vec<(String, Vec<String>)>,
    cursor: String,
}

impl Watch {
    /// Opens a stream and reads the snapshot.
    async fn open(replica: &Replica, service: &SignedIn, cursor: &str) -> (Self, bool) {
        let request = service.request(WatchRevocationsRequest {
            cursor: cursor.to_owned(),
        });
        let stream = replica.verification().watch_revocations(request).await;
        let mut watch = Self {
            stream: stream.expect("opens").into_inner(),
            ended: HashSet::new(),
            roles: Vec::new(),
            cursor: String::new(),
        };
        loop {
            if let Some(Message::SnapshotComplete(complete)) = watch.read().await.expect("reads") {
                return (watch, complete.whole);
            }
        }
    }

    /// Reads one message, and takes note of what it tells.
    async fn read(&mut self) -> Result<Option<Message>, Status> {
        let next = patiently("a message", self.stream.message()).await?;
        let response = next.expect("the stream goes on");
        assert_eq!(response.cursor.is_empty(), response.time.is_none());
        if !response.cursor.is_empty() {
            self.cursor = response.cursor;
        }
        if let Some(Message::Revocations(told)) = &response.message {
            for revocation in &told.revocations {
                assert!(revocation.time.is_some());
                match revocation.kind.clone().expect("a kind") {
                    Kind::SessionEnded(it) => {
                        self.ended.insert(it.session_id);
                    }
                    Kind::RolesChanged(it) => self.roles.push((it.user_id, it.roles)),
                    other => panic!("unexpected: {other:?}"),
                }
            }
        }
        Ok(response.message)
    }

    /// Reads until a session's end was told.
    async fn until_ended(&mut self, session_id: &str) {
        while !self.ended.contains(session_id) {
            self.read().await.expect("the stream goes on");
        }
    }
}

/// What ends the phone's session of a subject.
type End = (&'static str, &'static [&'static str]);

const ENDS: [End; 9] = [
    ("Auth/Logout", &["phone"]),
    ("Auth/RevokeMySession", &["phone"]),
    ("Auth/ChangePassword", &["phone"]),
    ("SessionAdmin/RevokeSession", &["phone"]),
    ("SessionAdmin/RevokeUserSessions", &["phone", "laptop"]),
    ("UserAdmin/SetPassword", &["phone", "laptop"]),
    ("UserAdmin/DeleteUser", &["phone", "laptop"]),
    ("disable", &["phone", "laptop"]),
    ("replace", &["phone"]),
];

async fn end(it: &Harness, admin: &SignedIn, subject: &Subject, how: &str) {
    match how {
        "disable" => {
            let user = v1::User {
                user_id: subject.phone.user_id.clone(),
                disabled: true,
                ..v1::User::default()
            };
            let request = admin.request(v1::UpdateUserRequest {
                user: Some(user),
                update_mask: Some(mask(&["disabled"])),
            });
            it.user_admin()
                .update_user(request)
                .await
                .expect("disables");
        }
        "replace" => {
            it.sign_in_on(&subject.login, device("phone")).await;
        }
        rpc => {
            let caller = match rpc.split_once('/') {
                Some(("Auth", _)) => &subject.laptop,
                _ => admin,
            };
            let message = good_request(rpc, subject);
            let done = it.call(rpc, message, Some(&caller.access_token)).await;
            done.expect(rpc);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_that_ends_a_session_is_told() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let (mut watch, whole) = Watch::open(&it, &admin, "").await;
    assert!(whole && watch.ended.is_empty());
    for (number, (how, devices)) in ENDS.into_iter().enumerate() {
        let subject = it.subject(&format!("user{number}"), &[]).await;
        end(&it, &admin, &subject, how).await;
        for device in devices {
            let session = match *device {
                "phone" => &subject.phone,
                _ => &subject.laptop,
            };
            watch.until_ended(&session.session_id).await;
        }
        if devices.len() == 1 {
            assert!(!watch.ended.contains(&subject.laptop.session_id), "{how}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn theft_is_told() {
    let it = Harness::start().await;
    let service = it.service().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    it.refresh(&ana.refresh_token, &request_id())
        .await
        .expect("refreshes");
    let thief = it.refresh(&ana.refresh_token, &request_id()).await;
    assert_eq!(reason(&thief.expect_err("theft")), "REFRESH_TOKEN_REUSED");
    watch.until_ended(&ana.session_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_roles_are_told_and_other_changes_of_a_user_are_not() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &["support"]).await;
    let (mut watch, _) = Watch::open(&it, &admin, "").await;
    let update = |roles: &[&str], paths: &[&str]| {
        admin.request(v1::UpdateUserRequest {
            user: Some(v1::User {
                user_id: ana.phone.user_id.clone(),
                roles: roles.iter().map(ToString::to_string).collect(),
                display_name: "Ana".to_owned(),
                ..v1::User::default()
            }),
            update_mask: Some(mask(paths)),
        })
    };
    // Neither another name nor the same roles are a change of roles.
    for request in [
        update(&[], &["display_name"]),
        update(&["support"], &["roles"]),
        update(&["billing", "audit"], &["roles"]),
    ] {
        it.user_admin().update_user(request).await.expect("updates");
    }
    while watch.roles.is_empty() {
        watch.read().await.expect("the stream goes on");
    }
    let told = (
        ana.phone.user_id.clone(),
        vec!["audit".to_owned(), "billing".to_owned()],
    );
    assert_eq!(watch.roles, [told]);
    assert!(watch.ended.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_on_one_replica_is_told_by_the_other() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    let (mut watch, _) = Watch::open(&other, &service, "").await;
    let refresh_token = ana.phone.refresh_token.clone();
    let logout = it.auth().logout(v1::LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    watch.until_ended(&ana.phone.session_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_watcher_gets_what_happened_before_in_the_snapshot() {
    let it = Harness::start().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    let (mut early, _) = Watch::open(&it, &service, "").await;
    let refresh_token = ana.phone.refresh_token.clone();
    let logout = it.auth().logout(v1::LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    early.until_ended(&ana.phone.session_id).await;
    let (late, whole) = Watch::open(&it, &service, "").await;
    assert!(whole && late.ended.contains(&ana.phone.session_id));
    // A replica that starts later finds it in the database.
    let other = it.replica().await;
    let (later, _) = Watch::open(&other, &service, "").await;
    assert!(later.ended.contains(&ana.phone.session_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_that_no_token_outlives_is_forgotten() {
    let it = Harness::start().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    let old = format!(
        "UPDATE sessions SET revoked_at = now() - interval '2 hours', \
         end_reason = 'LOGGED_OUT' WHERE id = '{}'",
        ana.phone.session_id
    );
    it.sql(&old).await;
    let other = it.replica().await;
    let (watch, _) = Watch::open(&other, &service, "").await;
    assert!(watch.ended.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_resumes_on_another_replica_that_has_looked_for_as_long() {
    let options = ["--statement-timeout", "300ms"];
    // One that has the time for sign-ins, and two to watch.
    let it = Harness::start().await;
    let one = Replica::start(&it.database, &options).await;
    let other = Replica::start(&it.database, &options).await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    // Longer than the overlap, which is five times that.
    let later = "now() > (SELECT min(created_at) FROM users) + interval '1600 ms'";
    it.database.until(later).await;
    let (mut watch, _) = Watch::open(&one, &service, "").await;
    let refresh_token = ana.phone.refresh_token.clone();
    let logout = it.auth().logout(v1::LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    watch.until_ended(&ana.phone.session_id).await;

    let (mut resumed, whole) = Watch::open(&other, &service, &watch.cursor).await;
    assert!(!whole);
    // It may have been told before the cursor there, and is told again.
    resumed.until_ended(&ana.phone.session_id).await;
    // One that has begun to look since cannot know what was told.
    let new = Replica::start(&it.database, &options).await;
    let (told, whole) = Watch::open(&new, &service, &watch.cursor).await;
    assert!(whole && told.ended.contains(&ana.phone.session_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_older_than_what_is_kept_gets_the_whole() {
    let it = Harness::start().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    let refresh_token = ana.phone.refresh_token.clone();
    let logout = it.auth().logout(v1::LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    // Version 1, and the first microsecond of 1970.
    let (mut watch, whole) = Watch::open(&it, &service, "AQAAAAAAAAAB").await;
    assert!(whole);
    watch.until_ended(&ana.phone.session_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_commits_late_is_told() {
    let it = Harness::start().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    let ben = it.subject("ben", &[]).await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    let slow = it.database.connect().await;
    let begin = format!(
        "BEGIN; UPDATE sessions SET revoked_at = now(), end_reason = 'REVOKED_BY_ADMIN' \
         WHERE id = '{}'",
        ana.phone.session_id
    );
    slow.batch_execute(&begin).await.expect("begins");
    // Looks go on meanwhile, and see what is later.
    let refresh_token = ben.phone.refresh_token.clone();
    let logout = it.auth().logout(v1::LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    watch.until_ended(&ben.phone.session_id).await;
    assert!(!watch.ended.contains(&ana.phone.session_id));
    slow.batch_execute("COMMIT").await.expect("commits");
    watch.until_ended(&ana.phone.session_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_broken_by_heartbeats_with_cursors() {
    let it = Harness::start().await;
    let service = it.service().await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    let before = watch.cursor.clone();
    let message = watch.read().await.expect("reads");
    assert!(matches!(message, Some(Message::Heartbeat(_))));
    assert_ne!(watch.cursor, before);
}

/// Many sessions of a user that end in one transaction.
const CROWD: &str = "
    WITH u AS (SELECT id FROM users WHERE login = 'crowd')
    INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at,
                          absolute_expires_at, generation, h_current, rotated_at, last_seen_at,
                          last_user_agent, idle_expires_at, revoked_at, end_reason)
    SELECT u.id, gen_random_uuid(), 'c', '', '', now(), now() + interval '1 day', 0,
           '\\x00112233445566778899aabbccddeeff', now(), now(), '', now() + interval '1 day',
           now(), 'LOGGED_OUT' FROM u, generate_series(1, 40000)";

#[tokio::test(flavor = "multi_thread")]
async fn mass_of_revocations_is_told_whole() {
    let it = Harness::start().await;
    let service = it.service().await;
    it.create_user("crowd", &[]).await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    it.sql(CROWD).await;
    while watch.ended.len() < 40_000 {
        watch.read().await.expect("the stream goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_that_does_not_read_is_cut_off_and_misses_nothing() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("crowd", &[]).await;
    let (mut slow, _) = Watch::open(&it, &admin, "").await;
    let (mut quick, _) = Watch::open(&it, &admin, "").await;
    let cursor = slow.cursor.clone();
    // More than the windows of a stream hold, and then more looks than the backlog.
    it.sql(CROWD).await;
    let live = "UPDATE sessions SET revoked_at = NULL, end_reason = NULL WHERE (user_id, id) IN \
         (SELECT user_id, id FROM sessions WHERE client_id = 'c' LIMIT 300) RETURNING id::text";
    for row in it.sql(live).await {
        let session_id: String = row.get(0);
        quick.ended.remove(&session_id);
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
            tokio::task::yield_now().await;
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
            tokio::task::yield_now().await;
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

//! The stream of revocations.

mod late;
mod watchers;

use std::collections::HashSet;

use rollcall::proto::v1::{
    self, WatchRevocationsRequest, WatchRevocationsResponse, revocation::Kind,
    verification_client::VerificationClient, watch_revocations_response::Message,
};
use tonic::{Status, Streaming, transport::Channel};

use crate::harness::{
    Harness, Replica, SignedIn, Subject, device, good_request, mask, patiently, reason, request_id,
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
        Self::open_over(replica.channel.clone(), service, cursor).await
    }

    /// The same over a connection of its own.
    async fn open_over(channel: Channel, service: &SignedIn, cursor: &str) -> (Self, bool) {
        let request = service.request(WatchRevocationsRequest {
            cursor: cursor.to_owned(),
        });
        let mut client = VerificationClient::new(channel);
        let stream = client.watch_revocations(request).await;
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

/// Logs a device out, and waits until a watcher is told.
async fn log_out_and_be_told(it: &Harness, device: &SignedIn, watch: &mut Watch) {
    let refresh_token = device.refresh_token.clone();
    let logout = it.auth().logout(v1::LogoutRequest { refresh_token }).await;
    logout.expect("logs out");
    watch.until_ended(&device.session_id).await;
}

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
    log_out_and_be_told(&it, &ana.phone, &mut watch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_watcher_gets_what_happened_before_in_the_snapshot() {
    let it = Harness::start().await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    let (mut early, _) = Watch::open(&it, &service, "").await;
    log_out_and_be_told(&it, &ana.phone, &mut early).await;
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
    // One for the calls, and two to watch.
    let it = Harness::start().await;
    let one = Replica::looking_back(&it.database, "300ms").await;
    let other = Replica::looking_back(&it.database, "300ms").await;
    let service = it.service().await;
    let ana = it.subject("ana", &[]).await;
    // Longer than the overlap, which is five times that.
    let later = "now() > (SELECT min(created_at) FROM users) + interval '1600 ms'";
    it.database.until(later).await;
    let (mut watch, _) = Watch::open(&one, &service, "").await;
    // A look from then on.
    log_out_and_be_told(&it, &ana.laptop, &mut watch).await;
    let earlier = watch.cursor.clone();
    let (mut beside, _) = Watch::open(&other, &service, "").await;
    log_out_and_be_told(&it, &ana.phone, &mut watch).await;
    // To one whose last look is before the cursor, that is a time to come.
    beside.until_ended(&ana.phone.session_id).await;

    let (mut resumed, whole) = Watch::open(&other, &service, &earlier).await;
    assert!(!whole);
    resumed.until_ended(&ana.phone.session_id).await;
    // One that has begun to look since cannot know what was told.
    let new = Replica::looking_back(&it.database, "300ms").await;
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
async fn silence_is_broken_by_heartbeats_with_cursors() {
    let it = Harness::start().await;
    let service = it.service().await;
    let (mut watch, _) = Watch::open(&it, &service, "").await;
    let before = watch.cursor.clone();
    let message = watch.read().await.expect("reads");
    assert!(matches!(message, Some(Message::Heartbeat(_))));
    assert_ne!(watch.cursor, before);
}

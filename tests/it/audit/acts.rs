//! What each act leaves.

use prost::Message;
use rollcall::{
    identity::MasterKey,
    proto::v1::{self, event::Detail},
};

use super::{list, of_kinds};
use crate::harness::{
    Database, Harness, NEXT_PASSWORD, Replica, SignedIn, Subject, device, good_request, mask,
    reason, request_id, rpcs, successor,
};

/// An act, who does it ("admin", or one of the devices of the user whom it is about), and the
/// events that it leaves.
type Row = (&'static str, &'static str, &'static [&'static str]);

const ACTS: &[Row] = &[
    (
        "Auth/Logout",
        "laptop",
        &["SESSION_ENDED of subject's phone: LOGGED_OUT"],
    ),
    (
        "Auth/RevokeMySession",
        "laptop",
        &["SESSION_ENDED of subject's phone: REVOKED_BY_USER"],
    ),
    (
        "Auth/ChangePassword",
        "laptop",
        &[
            "PASSWORD_CHANGED of subject",
            "SESSION_ENDED of subject's phone: PASSWORD_CHANGED",
        ],
    ),
    ("Auth/Refresh", "laptop", &[]),
    (
        "SessionAdmin/RevokeSession",
        "admin",
        &["SESSION_ENDED of subject's phone by admin: REVOKED_BY_ADMIN"],
    ),
    ("again", "admin", &[]),
    (
        "SessionAdmin/RevokeUserSessions",
        "admin",
        &[
            "SESSION_ENDED of subject's laptop by admin: REVOKED_BY_ADMIN",
            "SESSION_ENDED of subject's phone by admin: REVOKED_BY_ADMIN",
        ],
    ),
    (
        "UserAdmin/UpdateUser",
        "admin",
        &["USER_UPDATED of subject by admin: [] was [] changed [\"display_name\"]"],
    ),
    ("nothing", "admin", &[]),
    (
        "roles",
        "admin",
        &["USER_UPDATED of subject by admin: [\"billing\"] was [] changed [\"roles\"]"],
    ),
    (
        "disable",
        "admin",
        &[
            "SESSION_ENDED of subject's laptop by admin: USER_DISABLED",
            "SESSION_ENDED of subject's phone by admin: USER_DISABLED",
            "USER_UPDATED of subject by admin: [] was [] changed [\"disabled\"]",
        ],
    ),
    (
        "UserAdmin/SetPassword",
        "admin",
        &[
            "PASSWORD_SET of subject by admin",
            "SESSION_ENDED of subject's laptop by admin: PASSWORD_CHANGED",
            "SESSION_ENDED of subject's phone by admin: PASSWORD_CHANGED",
        ],
    ),
    (
        "UserAdmin/DeleteUser",
        "admin",
        &[
            "SESSION_ENDED of subject's laptop by admin: USER_DELETED",
            "SESSION_ENDED of subject's phone by admin: USER_DELETED",
            "USER_DELETED of subject by admin: [] was [] changed []",
        ],
    ),
    (
        "UserAdmin/CreateUser",
        "admin",
        &["USER_CREATED of another by admin: [] was [] changed []"],
    ),
    (
        "Auth/Register",
        "laptop",
        &["USER_CREATED of another: [] was [] changed []"],
    ),
    (
        "KeyAdmin/RotateSigningKey",
        "admin",
        &["SIGNING_KEY_ROTATED of nobody by admin: emergency false"],
    ),
];

/// What leaves events that other tests hold.
const ELSEWHERE: &[&str] = &[
    "Auth/Authenticate",
    "Auth/ResetPassword",
    "KeyAdmin/ResealSigningKeys",
    "SessionAdmin/RevokeSessions",
    "UserAdmin/AddLogin",
    "UserAdmin/ImportUsers",
    "UserAdmin/IssuePasswordResetToken",
    "UserAdmin/RemoveLogin",
    "UserAdmin/UnlockUser",
];

/// What changes nothing of its own: of a renewal, as of a refresh, the session tells.
const EVENTLESS: &[&str] = &["Auth/Renew", "Verification/Introspect"];

/// The request of an act, and the RPC that it is one of.
fn request(act: &'static str, subject: &Subject) -> (&'static str, Vec<u8>) {
    let user = v1::User {
        user_id: subject.phone.user_id.clone(),
        ..v1::User::default()
    };
    let (user, path) = match act {
        "again" => {
            let rpc = "SessionAdmin/RevokeSession";
            return (rpc, good_request(rpc, subject));
        }
        "nothing" => (user, "display_name"),
        "roles" => {
            let roles = vec!["billing".to_owned()];
            (v1::User { roles, ..user }, "roles")
        }
        "disable" => {
            let disabled = true;
            (v1::User { disabled, ..user }, "disabled")
        }
        rpc => return (rpc, good_request(rpc, subject)),
    };
    let update = v1::UpdateUserRequest {
        user: Some(user),
        update_mask: Some(mask(&[path])),
    };
    ("UserAdmin/UpdateUser", update.encode_to_vec())
}

/// An event in one line, with names instead of ids.
fn line(event: &v1::Event, admin: &SignedIn, subject: &Subject) -> String {
    let mut line = event.kind().as_str_name().replace("EVENT_KIND_", "");
    line += match event.user_id.as_str() {
        "" => " of nobody",
        id if id == subject.phone.user_id => " of subject",
        _ => " of another",
    };
    line += match event.session_id.as_str() {
        "" => "",
        id if id == subject.phone.session_id => "'s phone",
        id if id == subject.laptop.session_id => "'s laptop",
        _ => "'s other",
    };
    if let Some(actor) = &event.actor {
        assert_eq!(actor.user_id, admin.user_id);
        assert_eq!(actor.session_id, admin.session_id);
        line += " by admin";
    }
    line += &match &event.detail {
        None => String::new(),
        Some(Detail::SessionEnd(end)) => {
            let name = end.reason().as_str_name();
            format!(": {}", name.replace("SESSION_END_REASON_", ""))
        }
        Some(Detail::UserChange(change)) => {
            let user = change.user.as_ref().expect("a user");
            assert_eq!(user.user_id, event.user_id);
            assert!(!user.login.is_empty() && user.create_time.is_some());
            let (now, before) = (&user.roles, &change.earlier_roles);
            format!(
                ": {now:?} was {before:?} changed {:?}",
                change.changed_fields
            )
        }
        Some(Detail::SigningKeyRotation(it)) => format!(": emergency {}", it.emergency),
        Some(other) => format!(": {other:?}"),
    };
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_leaves_its_events_with_who_did_it_and_by_which_call() {
    let it = Harness::with(&["--registration"]).await;
    let admin = it.admin().await;
    it.database.age_keys("next", "1 hour").await;
    let mut subject = it.subject("user0", &[]).await;
    for (number, (act, caller, expected)) in ACTS.iter().enumerate() {
        if *act != "again" {
            subject = it.subject(&format!("user{}", number + 1), &[]).await;
        }
        let caller = match *caller {
            "admin" => &admin,
            _ => &subject.laptop,
        };
        let id = format!("act-{number}");
        let (rpc, message) = request(act, &subject);
        let token = Some(caller.access_token.as_str());
        it.call_named(rpc, message, token, &id).await.expect(act);
        let events = list(&it, &admin, v1::EventFilter::default()).await;
        let events = events.expect("lists");
        let of_act = events.iter().filter(|event| event.request_id == id);
        let mut told: Vec<String> = of_act
            .map(|event| {
                assert_eq!(event.ip_address, "127.0.0.1", "{act}");
                line(event, &admin, &subject)
            })
            .collect();
        told.sort();
        assert_eq!(told, *expected, "{act}");
    }
}

#[test]
fn every_rpc_that_changes_something_is_looked_at_by_its_events() {
    const READ: [&str; 4] = ["List", "Get", "Watch", "Export"];
    for (rpc, _) in rpcs() {
        let (_, method) = rpc.split_once('/').expect("a service");
        let reads = READ.iter().any(|verb| method.starts_with(verb));
        let told = ACTS.iter().any(|row| row.0 == rpc);
        let listed = [ELSEWHERE, EVENTLESS].concat().contains(&rpc.as_str());
        let places = [reads, told, listed].into_iter().filter(|is| *is).count();
        assert_eq!(places, 1, "{rpc}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reseal_is_told_once_where_a_key_was_sealed_anew() {
    let database = Database::create().await;
    let key = || MasterKey::generate().expect("random bytes");
    let [old, new] = [(); 2].map(|()| key().expose().to_string());
    drop(Replica::start(&database, &["--master-key", &old]).await);
    let both = format!("{new},{old}");
    let it = Replica::start(&database, &["--master-key", &both]).await;
    let admin = it.admin().await;
    for _ in 0..2 {
        let request = admin.request(v1::ResealSigningKeysRequest {});
        let resealed = it.key_admin().reseal_signing_keys(request).await;
        resealed.expect("reseals");
        let resealed = of_kinds(&[v1::EventKind::SigningKeysResealed]);
        let events = list(&it, &admin, resealed).await.expect("lists");
        assert_eq!(events.len(), 1);
        let actor = events[0].actor.as_ref().expect("an actor");
        assert_eq!(actor.user_id, admin.user_id);
        assert!(!events[0].request_id.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_and_what_rollcall_does_by_itself_are_told_apart() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let request = admin.request(v1::RotateSigningKeyRequest { emergency: true });
    it.key_admin()
        .rotate_signing_key(request)
        .await
        .expect("rotates");
    it.sql(
        "UPDATE signing_keys SET activated_at = activated_at - interval '1000 days', \
            created_at = created_at - interval '1000 days'",
    )
    .await;
    it.identity.load_signing_keys().await.expect("tends");
    let admin = it.sign_in("operator").await;
    let rotations = of_kinds(&[v1::EventKind::SigningKeyRotated]);
    let events = list(&it, &admin, rotations).await.expect("lists");
    let told: Vec<(bool, bool, bool)> = events
        .iter()
        .map(|event| match &event.detail {
            Some(Detail::SigningKeyRotation(it)) => (
                it.emergency,
                event.actor.is_some(),
                event.request_id.is_empty() && event.ip_address.is_empty(),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(false, false, true), (true, true, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_its_event_was_written_leaves_none() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    let events = "SELECT count(*) FROM audit_events";
    let before: i64 = it.scalar(events).await;
    it.sql("ALTER TABLE sessions ADD CHECK (end_reason <> 'PASSWORD_CHANGED')")
        .await;
    let request = admin.request(v1::SetPasswordRequest {
        user_id: ana.phone.user_id.clone(),
        new_password: NEXT_PASSWORD.to_owned(),
    });
    let failed = it.user_admin().set_password(request).await;
    assert_eq!(reason(&failed.expect_err("broken")), "INTERNAL");
    assert_eq!(it.scalar::<i64>(events).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn theft_tells_the_whole_story() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let from = |token: &str, user_agent: &str, ip_address: &str| v1::RefreshRequest {
        refresh_token: token.to_owned(),
        request_id: request_id(),
        user_agent: user_agent.to_owned(),
        ip_address: ip_address.to_owned(),
    };
    let owner = from(&phone.refresh_token, "owner", "192.0.2.1");
    let next = it.auth().refresh(owner).await.expect("lives");
    it.database.age(&phone.session_id, "7 s").await;
    let thief = from(&phone.refresh_token, "thief\u{1b}[31m\n", "2001:db8::bad");
    it.auth().refresh(thief).await.expect_err("reused");
    it.refresh(successor(next.get_ref()), &request_id())
        .await
        .expect_err("ended");

    let of_phone = v1::EventFilter {
        session_id: phone.session_id.clone(),
        ..of_kinds(&[
            v1::EventKind::RefreshTokenReused,
            v1::EventKind::SessionEnded,
        ])
    };
    let mut events = list(&it, &admin, of_phone).await.expect("lists");
    assert_eq!(events.len(), 2);
    events.sort_by_key(v1::Event::kind);
    let (ended, reused) = (&events[0], &events[1]);
    assert_eq!(ended.request_id, reused.request_id);
    assert!(!reused.request_id.is_empty());
    assert_eq!((&ended.actor, &reused.actor), (&None, &None));
    assert_eq!(reused.ip_address, "2001:db8::bad");
    assert_eq!(reused.user_id, phone.user_id);
    let Some(Detail::SessionEnd(end)) = &ended.detail else {
        panic!("{ended:?}")
    };
    assert_eq!(end.reason(), v1::SessionEndReason::TokenReused);
    let Some(Detail::RefreshTokenReuse(theft)) = &reused.detail else {
        panic!("{reused:?}")
    };
    let (replayed, last) = (theft.replayed.as_ref(), theft.last_good.as_ref());
    let (replayed, last) = (replayed.expect("replayed"), last.expect("last good"));
    assert_eq!(theft.reuse(), v1::RefreshTokenReuseKind::Fork);
    assert_eq!((replayed.generation, replayed.age_seconds), (0, 0));
    assert_eq!(replayed.ip_address, "2001:db8::bad");
    assert_eq!(replayed.user_agent, "thief\\u{1b}[31m\\u{a}");
    assert_eq!((last.generation, &*last.user_agent), (1, "owner"));
    assert_eq!(last.ip_address, "192.0.2.1");
    assert!(last.age_seconds >= 7);
}

//! Whatever a caller sends, the answer is INVALID_ARGUMENT with every violation named,
//! and neither the database nor its contents have noticed.

mod anything;
mod frames;
mod limits;
mod page_tokens;

use std::collections::BTreeSet;

use tonic::{Code, Status};

use crate::harness::{
    Harness, SignedIn, Subject, Value, fields, good_request, reason, rpcs, set, violated_fields,
};
use limits::LIMITS;

/// Fields that nothing can be wrong with, and why.
const WITHOUT_LIMITS: &[(&str, &str)] = &[
    // The range that they are of cannot be given.
    ("Audit/WatchEvents", "filter.create_time.start_time"),
    ("Audit/WatchEvents", "filter.create_time.end_time"),
    ("Auth/Authenticate", "binding.user_agent"),
    ("SessionAdmin/ListSessions", "filter.include_ended"),
    ("SessionAdmin/ListSessions", "filter.online"),
    // Any number is one; which comes first is looked at of the range.
    ("SessionAdmin/ListSessions", "filter.generation.first"),
    ("SessionAdmin/ListSessions", "filter.generation.last"),
    ("SessionAdmin/RevokeSessions", "filter.online"),
    ("SessionAdmin/RevokeSessions", "filter.generation.first"),
    ("SessionAdmin/RevokeSessions", "filter.generation.last"),
    ("SessionAdmin/RevokeSessions", "validate_only"),
    ("KeyAdmin/RotateSigningKey", "emergency"),
    ("UserAdmin/UpdateUser", "user.disabled"),
    ("UserAdmin/ListUsers", "filter.disabled"),
    ("UserAdmin/ListUsers", "filter.locked"),
    ("UserAdmin/ListUsers", "filter.online"),
    ("UserAdmin/ExportUsers", "filter.disabled"),
    ("UserAdmin/ExportUsers", "filter.locked"),
    ("UserAdmin/ExportUsers", "filter.online"),
    // What no mask can name is never looked at.
    ("UserAdmin/UpdateUser", "user.login"),
    ("UserAdmin/UpdateUser", "user.create_time"),
    ("UserAdmin/UpdateUser", "user.update_time"),
    ("UserAdmin/UpdateUser", "user.locked"),
    ("UserAdmin/UpdateUser", "user.logins.login"),
    ("UserAdmin/UpdateUser", "user.logins.kind"),
    ("UserAdmin/UpdateUser", "user.logins.create_time"),
];

/// A server that takes registrations, an operator, and a user to ask about.
struct World {
    it: Harness,
    admin: SignedIn,
    subject: Subject,
}

impl World {
    async fn new() -> Self {
        let it = Harness::with(&["--registration"]).await;
        let admin = it.admin().await;
        let subject = it.subject_with_watch("ana", &[]).await;
        Self { it, admin, subject }
    }

    /// A request that is good but for what `changes` make of it.
    fn request(&self, rpc: &str, changes: &[(&str, &Value)]) -> Vec<u8> {
        let mut message = good_request(rpc, &self.subject);
        // So that limits of roles are looked at as well.
        if rpc == "UserAdmin/UpdateUser" {
            message.extend(set(rpc, "update_mask.paths", &"roles".into()));
        }
        for (path, value) in changes {
            message.extend(set(rpc, path, value));
        }
        message
    }

    async fn refused(&self, rpc: &str, message: Vec<u8>) -> Status {
        let result = self
            .it
            .call(rpc, message, Some(&self.admin.access_token))
            .await;
        let status = result.expect_err(rpc);
        assert_eq!(status.code(), Code::InvalidArgument, "{rpc}: {status:?}");
        assert_eq!(reason(&status), "INVALID_ARGUMENT");
        status
    }
}

#[test]
fn every_field_of_every_request_has_limits() {
    let mut known = BTreeSet::new();
    for (rpc, _) in rpcs() {
        known.extend(
            fields(&rpc)
                .into_iter()
                .map(|field| (rpc.clone(), field.path)),
        );
    }
    // Of a stream of users, those that break a limit are told in the answer.
    known.retain(|(rpc, _)| rpc != "UserAdmin/ImportUsers");
    let owned = |(rpc, path): (&str, &str)| (rpc.to_owned(), path.to_owned());
    let mut covered: BTreeSet<_> = LIMITS
        .iter()
        .map(|limit| owned((limit.0, limit.1)))
        .collect();
    covered.extend(WITHOUT_LIMITS.iter().copied().map(owned));
    let missing: Vec<_> = known.difference(&covered).collect();
    assert!(missing.is_empty(), "no limit is tried of {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_broken_alone_is_named_alone_and_no_statement_is_sent() {
    let world = World::new().await;
    let before = world.it.database.statements().await;
    for (rpc, path, values) in LIMITS {
        for value in values() {
            let message = world.request(rpc, &[(path, &value)]);
            let status = world.refused(rpc, message).await;
            let named = violated_fields(&status);
            let named: Vec<_> = named.iter().map(|field| without_index(field)).collect();
            assert_eq!(named, [*path], "{rpc} with {value:?}");
        }
    }
    assert_eq!(world.it.database.statements().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_limits_broken_at_once_are_named_in_one_answer() {
    let world = World::new().await;
    let before = world.it.database.statements().await;
    for (rpc, _) in rpcs() {
        let mut broken: Vec<(&str, Value)> = Vec::new();
        for (_, path, values) in LIMITS.iter().filter(|limit| limit.0 == rpc) {
            if !excludes(&rpc, path, &broken) {
                broken.push((path, values().swap_remove(0)));
            }
        }
        if broken.is_empty() {
            continue;
        }
        let changes: Vec<_> = broken.iter().map(|(path, value)| (*path, value)).collect();
        let status = world.refused(&rpc, world.request(&rpc, &changes)).await;
        let named = violated_fields(&status);
        let named: BTreeSet<_> = named.iter().map(|field| without_index(field)).collect();
        let wanted: BTreeSet<_> = broken.iter().map(|(path, _)| *path).collect();
        assert_eq!(named, wanted, "{rpc}");
        for field in wanted {
            assert!(status.message().contains(field), "{}", status.message());
        }
    }
    assert_eq!(world.it.database.statements().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_field_that_is_required_name_it() {
    let world = World::new().await;
    let before = world.it.database.statements().await;
    for (rpc, required) in [
        ("Auth/Register", &["login", "password"][..]),
        ("Auth/Authenticate", &["login", "device"]),
        ("Auth/Refresh", &["refresh_token"]),
        ("Auth/Renew", &["access_token"]),
        ("Auth/Logout", &["refresh_token"]),
        ("Auth/ChangePassword", &["new_password"]),
        ("Auth/RevokeMySession", &["session_id"]),
        ("SessionAdmin/GetSession", &["session_id"]),
        ("SessionAdmin/RevokeSession", &["session_id"]),
        ("SessionAdmin/RevokeUserSessions", &["user_id"]),
        ("SessionAdmin/RevokeSessions", &["filter"]),
        ("UserAdmin/CreateUser", &["login", "password"]),
        ("UserAdmin/GetUser", &["user_id"]),
        ("UserAdmin/UpdateUser", &["user.user_id", "update_mask"]),
        ("UserAdmin/SetPassword", &["user_id", "new_password"]),
        ("UserAdmin/DeleteUser", &["user_id"]),
        ("Auth/ResetPassword", &["reset_token", "new_password"]),
        ("UserAdmin/AddLogin", &["user_id", "login", "kind"]),
        ("UserAdmin/RemoveLogin", &["user_id", "login"]),
        ("UserAdmin/IssuePasswordResetToken", &["user_id"]),
    ] {
        let status = world.refused(rpc, Vec::new()).await;
        assert_eq!(violated_fields(&status), required, "{rpc}");
    }
    assert_eq!(world.it.database.statements().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_violations_fit_into_an_answer_that_clients_take() {
    let world = World::new().await;
    for (rpc, path) in [
        ("SessionAdmin/RevokeUserSessions", "except_session_ids"),
        ("UserAdmin/UpdateUser", "update_mask.paths"),
        ("UserAdmin/CreateUser", "roles"),
    ] {
        let bad = Value::from("?");
        let status = world
            .refused(rpc, world.request(rpc, &[(path, &bad); 1_000]))
            .await;
        assert!(!violated_fields(&status).is_empty(), "{rpc}");
        // gRPC's C library, which Python's is built on, takes 8 KiB of metadata.
        assert!(status.message().is_ascii(), "ASCII is not escaped: {rpc}");
        let base64 = status.details().len() * 4 / 3;
        let size = status.message().len() + base64;
        assert!(size < 6 * 1024, "{rpc}: {size}");
    }
}

/// Whether `path` cannot be broken beside what is broken already: the other member of
/// a oneof, or a part of a message that is broken as a whole.
fn excludes(rpc: &str, path: &str, broken: &[(&str, Value)]) -> bool {
    let fields = fields(rpc);
    let oneof = |path: &str| {
        let field = fields.iter().find(|field| field.path == path);
        field.and_then(|field| field.oneof)
    };
    broken.iter().any(|(other, _)| {
        let related = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}."));
        related(path, other)
            || related(other, path)
            || (oneof(path).is_some() && oneof(path) == oneof(other))
    })
}

/// `except_session_ids[1]` without its index.
fn without_index(field: &str) -> &str {
    field.split('[').next().unwrap_or(field)
}

//! Who may do what: every RPC, by who calls it.

use std::collections::BTreeSet;

use rollcall::proto::v1;
use tonic::{Code, Status};

use crate::harness::{
    Harness, Subject, bearer, fresh_login, good_request, mask, reason, rpcs, violated_fields,
};

/// Who calls. `owner` is the user that the request is about; the last three were
/// operators until a moment ago, and hold an access token that has not expired.
const CALLERS: [&str; 7] = [
    "anonymous",
    "owner",
    "other",
    "admin",
    "revoked",
    "demoted",
    "disabled",
];

/// What each caller is told, in the order of [`CALLERS`]; `answer` says what the
/// words stand for.
const MATRIX: &[(&str, [&str; 7])] = &[
    ("Audit/ListEvents", ADMINS_ONLY),
    ("Audit/WatchEvents", ADMINS_ONLY),
    ("Auth/Register", ["ok", "ok", "ok", "ok", "ok", "ok", "ok"]),
    (
        "Auth/Authenticate",
        ["ok", "ok", "ok", "ok", "ok", "ok", "ok"],
    ),
    // Whoever holds the refresh token, whatever access token comes with it.
    ("Auth/Refresh", ["ok", "ok", "ok", "ok", "ok", "ok", "ok"]),
    // Whoever holds the access token that is renewed, likewise.
    ("Auth/Renew", ["ok", "ok", "ok", "ok", "ok", "ok", "ok"]),
    ("Auth/Logout", ["ok", "ok", "ok", "ok", "ok", "ok", "ok"]),
    // Whoever holds the token.
    (
        "Auth/ResetPassword",
        ["ok", "ok", "ok", "ok", "ok", "ok", "ok"],
    ),
    // Each changes the password of its own user.
    (
        "Auth/ChangePassword",
        ["token", "ok", "ok", "ok", "ended", "ok", "ended"],
    ),
    (
        "Auth/ListMySessions",
        ["token", "ok", "ok", "ok", "ended", "ok", "ended"],
    ),
    // Somebody else's session is not found, even by an operator.
    (
        "Auth/RevokeMySession",
        ["token", "ok", "none", "none", "ended", "none", "ended"],
    ),
    ("KeyAdmin/ListSigningKeys", ADMINS_ONLY),
    ("KeyAdmin/RotateSigningKey", ADMINS_ONLY),
    ("KeyAdmin/ResealSigningKeys", ADMINS_ONLY),
    ("SessionAdmin/ListSessions", ADMINS_ONLY),
    ("SessionAdmin/GetSession", ADMINS_ONLY),
    ("SessionAdmin/RevokeSession", ADMINS_ONLY),
    ("SessionAdmin/RevokeUserSessions", ADMINS_ONLY),
    ("SessionAdmin/RevokeSessions", ADMINS_ONLY),
    ("SessionAdmin/GetSessionStats", ADMINS_ONLY),
    ("UserAdmin/CreateUser", ADMINS_ONLY),
    ("UserAdmin/GetUser", ADMINS_ONLY),
    ("UserAdmin/ListUsers", ADMINS_ONLY),
    ("UserAdmin/UpdateUser", ADMINS_ONLY),
    ("UserAdmin/SetPassword", ADMINS_ONLY),
    ("UserAdmin/AddLogin", ADMINS_ONLY),
    ("UserAdmin/RemoveLogin", ADMINS_ONLY),
    ("UserAdmin/IssuePasswordResetToken", ADMINS_ONLY),
    ("UserAdmin/ImportUsers", ADMINS_ONLY),
    ("UserAdmin/ExportUsers", ADMINS_ONLY),
    ("UserAdmin/DeleteUser", ADMINS_ONLY),
    ("UserAdmin/UnlockUser", ADMINS_ONLY),
    (
        "Verification/GetJwks",
        ["ok", "ok", "ok", "ok", "ok", "ok", "ok"],
    ),
    ("Verification/Introspect", SERVICES_ONLY),
    ("Verification/WatchRevocations", SERVICES_ONLY),
];

/// An operator is as good as a service.
const SERVICES_ONLY: [&str; 7] = [
    "token", "service", "service", "ok", "ended", "service", "ended",
];

const ADMINS_ONLY: [&str; 7] = ["token", "admin", "admin", "ok", "ended", "admin", "ended"];

fn answer(result: &Result<Vec<u8>, Status>) -> &'static str {
    let Err(status) = result else { return "ok" };
    match (status.code(), reason(status).as_str()) {
        (Code::Unauthenticated, "ACCESS_TOKEN_INVALID") => "token",
        (Code::Unauthenticated, "SESSION_ENDED") => "ended",
        (Code::PermissionDenied, "ADMIN_REQUIRED") => "admin",
        (Code::PermissionDenied, "ROLE_REQUIRED") => "service",
        (Code::NotFound, "SESSION_NOT_FOUND") => "none",
        _ => panic!("no cell has this: {status:?}"),
    }
}

#[test]
fn every_rpc_has_a_row_in_the_matrix() {
    let known: BTreeSet<String> = rpcs().into_iter().map(|(rpc, _)| rpc).collect();
    let rows = MATRIX.iter().map(|(rpc, _)| (*rpc).to_owned()).collect();
    assert_eq!(known, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_is_told_what_its_cell_says_and_a_refused_one_changes_nothing() {
    let it = Harness::with(&["--registration"]).await;
    let callers = Callers::gather(&it).await;
    it.database.until_counted().await;
    for &(rpc, cells) in MATRIX {
        let mut owner = it.subject_with_watch(&fresh_login(), &[]).await;
        // So that there is a key to rotate to.
        it.database.age_keys("next", "1 hour").await;
        let mut cells: Vec<_> = CALLERS.into_iter().zip(cells).collect();
        // Those who are refused come first, while there is something to be refused.
        cells.sort_by_key(|(_, expected)| *expected == "ok");
        for (caller, expected) in cells {
            if rpc == "Auth/ResetPassword" {
                owner.reset_token = it.reset_token(&owner.laptop.user_id).await;
            }
            let before = it.database.contents().await;
            let message = good_request(rpc, &owner);
            let result = it.call(rpc, message, callers.token(caller, &owner)).await;
            assert_eq!(answer(&result), expected, "{rpc} by {caller}: {result:?}");
            if expected != "ok" {
                assert_eq!(it.database.contents().await, before, "{rpc} by {caller}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorization_of_another_scheme_or_form_is_no_access_token() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let token = &admin.access_token;
    for header in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer{token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {}", admin.refresh_token),
    ] {
        let mut request = tonic::Request::new(v1::ListMySessionsRequest::default());
        let value = header.parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
        let refused = it.auth().list_my_sessions(request).await;
        let refused = refused.expect_err("no access token");
        assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID", "{header}");
    }
    let mut request = tonic::Request::new(v1::ListMySessionsRequest::default());
    let value = format!("bEARER {token}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    let listed = it.auth().list_my_sessions(request).await;
    listed.expect("the scheme's case does not matter");
}

#[tokio::test(flavor = "multi_thread")]
async fn promoted_user_may_call_at_once_with_the_token_from_before() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let user = it.subject("ana", &[]).await;
    let promote = v1::UpdateUserRequest {
        user: Some(v1::User {
            user_id: user.laptop.user_id.clone(),
            roles: vec!["admin".to_owned()],
            ..v1::User::default()
        }),
        update_mask: Some(mask(&["roles"])),
    };
    let promoted = it.user_admin().update_user(admin.request(promote)).await;
    promoted.expect("promoted");
    let list = user.laptop.request(v1::ListUsersRequest::default());
    it.user_admin().list_users(list).await.expect("an operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_without_a_token_learns_nothing_of_what_is_wrong_with_a_request() {
    let it = Harness::start().await;
    let anonymous = v1::CreateUserRequest::default();
    let refused = it.user_admin().create_user(anonymous).await;
    let refused = refused.expect_err("no access token");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");

    let admin = it.admin().await;
    let empty = bearer(v1::CreateUserRequest::default(), &admin.access_token);
    let refused = it.user_admin().create_user(empty).await;
    let refused = refused.expect_err("no login");
    assert_eq!(violated_fields(&refused), ["login", "password"]);
}

/// The callers who stay the same in every row.
struct Callers {
    other: Subject,
    admin: Subject,
    revoked: Subject,
    demoted: Subject,
    disabled: Subject,
}

impl Callers {
    async fn gather(it: &Harness) -> Self {
        let callers = Self {
            other: it.subject("other", &[]).await,
            admin: it.subject("admin", &["admin"]).await,
            revoked: it.subject("revoked", &["admin"]).await,
            demoted: it.subject("demoted", &["admin"]).await,
            disabled: it.subject("disabled", &["admin"]).await,
        };
        let admin = &callers.admin.laptop;
        let revoke = v1::RevokeSessionRequest {
            session_id: callers.revoked.laptop.session_id.clone(),
        };
        let revoked = it
            .session_admin()
            .revoke_session(admin.request(revoke))
            .await;
        revoked.expect("revoked");
        for (user, path) in [(&callers.demoted, "roles"), (&callers.disabled, "disabled")] {
            let update = v1::UpdateUserRequest {
                user: Some(v1::User {
                    user_id: user.laptop.user_id.clone(),
                    disabled: true,
                    ..v1::User::default()
                }),
                update_mask: Some(mask(&[path])),
            };
            let updated = it.user_admin().update_user(admin.request(update)).await;
            updated.expect("updated");
        }
        callers
    }

    fn token<'a>(&'a self, caller: &str, owner: &'a Subject) -> Option<&'a str> {
        let caller = match caller {
            "anonymous" => return None,
            "owner" => owner,
            "other" => &self.other,
            "admin" => &self.admin,
            "revoked" => &self.revoked,
            "demoted" => &self.demoted,
            "disabled" => &self.disabled,
            unknown => panic!("{unknown} calls nothing"),
        };
        Some(&caller.laptop.access_token)
    }
}

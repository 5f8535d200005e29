//! The limits of every field, and what breaks them.

use prost::Message;
use prost_types::Timestamp;
use rollcall::proto::v1::{GenerationRange, TimeRange};

use crate::harness::Value;

/// An RPC, a field as BadRequest names it, and values that are refused there.
type Limit = (&'static str, &'static str, fn() -> Vec<Value>);

pub(super) const LIMITS: &[Limit] = &[
    ("Audit/ListEvents", "filter.user_id", optional_ids),
    ("Audit/ListEvents", "filter.session_id", optional_ids),
    ("Audit/ListEvents", "filter.actor_user_id", optional_ids),
    ("Audit/ListEvents", "filter.kinds", required_enums),
    ("Audit/ListEvents", "filter.create_time.start_time", times),
    ("Audit/ListEvents", "filter.create_time.end_time", times),
    ("Audit/ListEvents", "filter.create_time", ranges),
    ("Audit/ListEvents", "page_size", page_sizes),
    ("Audit/ListEvents", "page_token", page_tokens),
    ("Audit/WatchEvents", "filter.user_id", optional_ids),
    ("Audit/WatchEvents", "filter.session_id", optional_ids),
    ("Audit/WatchEvents", "filter.actor_user_id", optional_ids),
    ("Audit/WatchEvents", "filter.kinds", required_enums),
    ("Audit/WatchEvents", "filter.create_time", ranges),
    ("Audit/WatchEvents", "cursor", page_tokens),
    ("Auth/Register", "login", new_logins),
    ("Auth/Register", "password", new_passwords),
    ("Auth/Register", "display_name", names),
    ("Auth/Authenticate", "login", logins),
    ("Auth/Authenticate", "password", long_passwords),
    ("Auth/Authenticate", "device.device_id", device_ids),
    ("Auth/Authenticate", "device.display_name", names),
    ("Auth/Authenticate", "device.client_id", required_client_ids),
    ("Auth/Authenticate", "device.user_agent", user_agents),
    ("Auth/Authenticate", "device.ip_address", addresses),
    ("Auth/Authenticate", "token_mode", enums),
    (
        "Auth/Authenticate",
        "binding.ip_prefix_length",
        prefix_lengths,
    ),
    ("Auth/Authenticate", "binding.reaction", required_enums),
    ("Auth/Refresh", "refresh_token", refresh_tokens),
    ("Auth/Refresh", "request_id", request_ids),
    ("Auth/Refresh", "user_agent", user_agents),
    ("Auth/Refresh", "ip_address", addresses),
    ("Auth/Renew", "access_token", access_tokens),
    ("Auth/Renew", "user_agent", user_agents),
    ("Auth/Renew", "ip_address", addresses),
    ("Auth/Logout", "refresh_token", refresh_tokens),
    ("Auth/ChangePassword", "current_password", long_passwords),
    ("Auth/ChangePassword", "new_password", short_passwords),
    ("Auth/ResetPassword", "reset_token", refresh_tokens),
    ("Auth/ResetPassword", "new_password", short_passwords),
    ("Auth/ListMySessions", "page_size", page_sizes),
    ("Auth/ListMySessions", "page_token", page_tokens),
    ("Auth/RevokeMySession", "session_id", ids),
    ("SessionAdmin/ListSessions", "filter.user_id", ids),
    ("SessionAdmin/ListSessions", "filter.login", logins),
    ("SessionAdmin/ListSessions", "filter.device_id", device_ids),
    ("SessionAdmin/ListSessions", "filter.client_id", client_ids),
    ("SessionAdmin/ListSessions", "filter.ip_prefix", prefixes),
    (
        "SessionAdmin/ListSessions",
        "filter.user_agent_contains",
        names,
    ),
    (
        "SessionAdmin/ListSessions",
        "filter.create_time.start_time",
        times,
    ),
    (
        "SessionAdmin/ListSessions",
        "filter.create_time.end_time",
        times,
    ),
    ("SessionAdmin/ListSessions", "filter.create_time", ranges),
    (
        "SessionAdmin/ListSessions",
        "filter.last_seen_time.start_time",
        times,
    ),
    (
        "SessionAdmin/ListSessions",
        "filter.last_seen_time.end_time",
        times,
    ),
    ("SessionAdmin/ListSessions", "filter.last_seen_time", ranges),
    (
        "SessionAdmin/ListSessions",
        "filter.generation",
        generations,
    ),
    ("SessionAdmin/ListSessions", "filter.role", wanted_roles),
    ("SessionAdmin/ListSessions", "page_size", page_sizes),
    ("SessionAdmin/ListSessions", "page_token", page_tokens),
    ("SessionAdmin/GetSession", "session_id", ids),
    ("SessionAdmin/RevokeSession", "session_id", ids),
    ("SessionAdmin/RevokeUserSessions", "user_id", ids),
    ("SessionAdmin/RevokeUserSessions", "except_session_ids", ids),
    ("SessionAdmin/RevokeSessions", "filter.user_id", ids),
    ("SessionAdmin/RevokeSessions", "filter.login", logins),
    (
        "SessionAdmin/RevokeSessions",
        "filter.device_id",
        device_ids,
    ),
    (
        "SessionAdmin/RevokeSessions",
        "filter.client_id",
        client_ids,
    ),
    ("SessionAdmin/RevokeSessions", "filter.ip_prefix", prefixes),
    (
        "SessionAdmin/RevokeSessions",
        "filter.user_agent_contains",
        names,
    ),
    (
        "SessionAdmin/RevokeSessions",
        "filter.create_time.start_time",
        times,
    ),
    (
        "SessionAdmin/RevokeSessions",
        "filter.create_time.end_time",
        times,
    ),
    ("SessionAdmin/RevokeSessions", "filter.create_time", ranges),
    (
        "SessionAdmin/RevokeSessions",
        "filter.last_seen_time.start_time",
        times,
    ),
    (
        "SessionAdmin/RevokeSessions",
        "filter.last_seen_time.end_time",
        times,
    ),
    (
        "SessionAdmin/RevokeSessions",
        "filter.last_seen_time",
        ranges,
    ),
    (
        "SessionAdmin/RevokeSessions",
        "filter.generation",
        generations,
    ),
    ("SessionAdmin/RevokeSessions", "filter.role", wanted_roles),
    (
        "SessionAdmin/RevokeSessions",
        "filter.include_ended",
        unwanted,
    ),
    ("SessionAdmin/RevokeSessions", "cursor", page_tokens),
    ("UserAdmin/CreateUser", "login", new_logins),
    ("UserAdmin/CreateUser", "password", new_passwords),
    ("UserAdmin/CreateUser", "display_name", names),
    ("UserAdmin/CreateUser", "roles", roles),
    ("UserAdmin/GetUser", "user_id", ids),
    ("UserAdmin/GetUser", "login", logins),
    ("UserAdmin/ListUsers", "filter.login_prefix", login_prefixes),
    ("UserAdmin/ListUsers", "filter.display_name_contains", names),
    ("UserAdmin/ListUsers", "filter.role", filter_roles),
    (
        "UserAdmin/ListUsers",
        "filter.create_time.start_time",
        times,
    ),
    ("UserAdmin/ListUsers", "filter.create_time.end_time", times),
    ("UserAdmin/ListUsers", "filter.create_time", ranges),
    ("UserAdmin/ListUsers", "page_size", page_sizes),
    ("UserAdmin/ListUsers", "page_token", page_tokens),
    ("UserAdmin/UpdateUser", "user.user_id", ids),
    ("UserAdmin/UpdateUser", "user.display_name", names),
    ("UserAdmin/UpdateUser", "user.roles", roles),
    ("UserAdmin/UpdateUser", "update_mask", masks),
    ("UserAdmin/SetPassword", "user_id", ids),
    ("UserAdmin/SetPassword", "new_password", short_passwords),
    ("UserAdmin/DeleteUser", "user_id", ids),
    ("UserAdmin/UnlockUser", "user_id", ids),
    ("UserAdmin/AddLogin", "user_id", ids),
    ("UserAdmin/AddLogin", "login", phones),
    ("UserAdmin/AddLogin", "kind", further_kinds),
    ("UserAdmin/RemoveLogin", "user_id", ids),
    ("UserAdmin/RemoveLogin", "login", logins),
    ("UserAdmin/IssuePasswordResetToken", "user_id", ids),
    (
        "UserAdmin/IssuePasswordResetToken",
        "lifetime_seconds",
        reset_lifetimes,
    ),
    (
        "UserAdmin/ExportUsers",
        "filter.login_prefix",
        login_prefixes,
    ),
    (
        "UserAdmin/ExportUsers",
        "filter.display_name_contains",
        names,
    ),
    ("UserAdmin/ExportUsers", "filter.role", filter_roles),
    (
        "UserAdmin/ExportUsers",
        "filter.create_time.start_time",
        times,
    ),
    (
        "UserAdmin/ExportUsers",
        "filter.create_time.end_time",
        times,
    ),
    ("UserAdmin/ExportUsers", "filter.create_time", ranges),
    ("Verification/Introspect", "token", access_tokens),
    ("Verification/WatchRevocations", "cursor", cursors),
];

fn new_logins() -> Vec<Value> {
    let mut values = texts(&[
        "",
        " ",
        "an na",
        "ana\0",
        "ana\u{1b}",
        "ana\n",
        "\u{202e}ana",
        "a\u{5d0}",
        "\u{2167}",
    ]);
    values.push("é".repeat(129).into());
    values
}

fn login_prefixes() -> Vec<Value> {
    let mut values = texts(&[" ", "an na", "ana\0", "\u{202e}ana", "\u{2167}"]);
    values.push("é".repeat(129).into());
    values
}

/// What is no telephone number, of whatever kind a login is.
fn phones() -> Vec<Value> {
    texts(&["", "ana", "+123456", "+1234567890123456", "+49 30 123456\0"])
}

/// Kinds that cannot be added.
fn further_kinds() -> Vec<Value> {
    let mut values = required_enums();
    values.push(Value::Number(1));
    values
}

fn reset_lifetimes() -> Vec<Value> {
    [1, 59, 86_401, u32::MAX]
        .map(|seconds| Value::Number(seconds.into()))
        .to_vec()
}

/// An empty one is none to search for.
fn filter_roles() -> Vec<Value> {
    let mut values = roles();
    values.retain(|value| !matches!(value, Value::Text(text) if text.is_empty()));
    values
}

fn logins() -> Vec<Value> {
    vec!["".into(), "a".repeat(513).into()]
}

fn long_passwords() -> Vec<Value> {
    vec!["violet-anchor-mosaic-".repeat(49).into()]
}

/// Also what is too short; that depends on nothing but the password.
fn short_passwords() -> Vec<Value> {
    let mut values = long_passwords();
    values.extend(texts(&["", "fourteen-chars"]));
    values
}

/// Also what can be guessed.
fn new_passwords() -> Vec<Value> {
    let mut values = short_passwords();
    values.extend(texts(&[
        "password-password",
        "rollcall-rollcall",
        "aaaaaaaaaaaaaaaaaaaa",
    ]));
    values
}

/// Names that people read, and texts to search for.
fn names() -> Vec<Value> {
    let mut values = texts(&[
        "\u{1b}[31mAna",
        "Ana\nroot",
        "A\0",
        "A\u{7f}",
        "A\u{85}",
        "A\u{9b}",
        "A\u{2028}",
        "\u{202e}anA",
        "\u{2066}A",
    ]);
    values.push("é".repeat(129).into());
    values
}

fn device_ids() -> Vec<Value> {
    let mut values = texts(&["a b", "é", "a\n", "a\0"]);
    values.push("a".repeat(129).into());
    values
}

fn client_ids() -> Vec<Value> {
    let mut values = texts(&["a b", "é", "a/b", "a\n", "a\0"]);
    values.push("a".repeat(65).into());
    values
}

fn required_client_ids() -> Vec<Value> {
    let mut values = client_ids();
    values.push("".into());
    values
}

fn user_agents() -> Vec<Value> {
    vec!["a".repeat(513).into()]
}

fn addresses() -> Vec<Value> {
    texts(&[
        "x",
        "1.2.3",
        "256.1.1.1",
        "1.2.3.4:80",
        " 1.2.3.4",
        "::1%lo",
        "1.2.3.4/32",
        "[::1]",
    ])
}

fn prefixes() -> Vec<Value> {
    texts(&[
        "x",
        "1.2.3.4/33",
        "::/129",
        "1.2.3.4/",
        "/8",
        "1.2.3/8",
        "1.2.3.4/-1",
        "1.2.3.4/8 ",
    ])
}

fn refresh_tokens() -> Vec<Value> {
    vec!["".into(), "r".repeat(257).into()]
}

fn access_tokens() -> Vec<Value> {
    vec!["".into(), "a".repeat(8 * 1024 + 1).into()]
}

fn cursors() -> Vec<Value> {
    texts(&["x", "AAAA", "AgAAAAAAAAAA", "é", "AQAAAAAAAAAAAA"])
}

fn enums() -> Vec<Value> {
    [-1, 99, i32::MAX]
        .map(|number| Value::Number(number.into()))
        .to_vec()
}

fn required_enums() -> Vec<Value> {
    let mut values = enums();
    values.push(Value::Number(0));
    values
}

/// Of an address of IPv4.
fn prefix_lengths() -> Vec<Value> {
    [33, 128, 256, 280, u32::MAX]
        .map(|bits| Value::Number(bits.into()))
        .to_vec()
}

fn request_ids() -> Vec<Value> {
    vec![
        "a".repeat(21).into(),
        "a".repeat(129).into(),
        "é".repeat(22).into(),
        "a b".repeat(10).into(),
        "\n".repeat(22).into(),
    ]
}

fn page_sizes() -> Vec<Value> {
    let sizes = [-1, 1_001, 65_536, i32::MIN, i32::MAX];
    sizes.map(|size| Value::Number(size.into())).to_vec()
}

fn page_tokens() -> Vec<Value> {
    let mut values = texts(&["elsewhere", "=", "\0", "é"]);
    values.extend([43, 44, 60_000].map(|length| "A".repeat(length).into()));
    values
}

fn ids() -> Vec<Value> {
    texts(&[
        "ana",
        "",
        "0190163d8694739b97bce7d8c2f4b0f2",
        "{0190163d-8694-739b-97bc-e7d8c2f4b0f2}",
        "urn:uuid:0190163d-8694-739b-97bc-e7d8c2f4b0f2",
        "0190163d-8694-739b-97bc-e7d8c2f4b0f",
        "0190163d-8694-739b-97bc-e7d8c2f4b0f2 ",
        "0190163d-8694-739b-97bc-e7d8c2f4b0fg",
        "0190163d_8694_739b_97bc_e7d8c2f4b0f2",
        "'; DROP TABLE users; -- aaaaaaaaaaaa",
    ])
}

fn optional_ids() -> Vec<Value> {
    let mut values = ids();
    values.remove(1);
    values
}

fn roles() -> Vec<Value> {
    let mut values = texts(&["Admin", "", "1st", "a b", "é", "a\n", "admin\0"]);
    values.push("r".repeat(65).into());
    values
}

fn masks() -> Vec<Value> {
    let paths = [
        "*",
        "",
        "user_id",
        "login",
        "create_time",
        "user.roles",
        "displayName",
        "ROLES",
        " roles",
    ];
    paths
        .map(|path| Value::Message(crate::harness::mask(&[path]).encode_to_vec()))
        .to_vec()
}

fn times() -> Vec<Value> {
    // Two of them are the second before the year 1, and the first after 9999.
    let times = [
        (0, -1),
        (0, 1_000_000_000),
        (0, i32::MIN),
        (i64::MIN, 0),
        (i64::MAX, 0),
        (-62_135_596_801, 0),
        (253_402_300_800, 0),
    ];
    times
        .map(|(seconds, nanos)| Value::Message(Timestamp { seconds, nanos }.encode_to_vec()))
        .to_vec()
}

/// Ranges that end before they begin, or where they do.
fn ranges() -> Vec<Value> {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let range = |start_time, end_time| {
        Value::Message(
            TimeRange {
                start_time,
                end_time,
            }
            .encode_to_vec(),
        )
    };
    vec![range(at(2), at(1)), range(at(1), at(1))]
}

/// Ranges whose last comes before their first.
fn generations() -> Vec<Value> {
    let range = |first, last| {
        let range = GenerationRange {
            first: Some(first),
            last: Some(last),
        };
        Value::Message(range.encode_to_vec())
    };
    vec![range(1, 0), range(u32::MAX, 7)]
}

/// Roles that no user can have.
fn wanted_roles() -> Vec<Value> {
    let mut values = roles();
    values.retain(|value| !matches!(value, Value::Text(text) if text.is_empty()));
    values
}

/// What must not be given.
fn unwanted() -> Vec<Value> {
    vec![Value::Number(1)]
}

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| (*value).into()).collect()
}

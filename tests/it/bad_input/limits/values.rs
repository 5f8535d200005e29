//! Values that are refused, by what kind of field they are for.

use prost::Message;
use prost_types::Timestamp;
use rollcall::proto::v1::{GenerationRange, TimeRange};

use crate::harness::Value;

pub(super) fn new_logins() -> Vec<Value> {
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

pub(super) fn login_prefixes() -> Vec<Value> {
    let mut values = texts(&[" ", "an na", "ana\0", "\u{202e}ana", "\u{2167}"]);
    values.push("é".repeat(129).into());
    values
}

/// What is no telephone number, of whatever kind a login is.
pub(super) fn phones() -> Vec<Value> {
    texts(&["", "ana", "+123456", "+1234567890123456", "+49 30 123456\0"])
}

/// Kinds that cannot be added.
pub(super) fn further_kinds() -> Vec<Value> {
    let mut values = required_enums();
    values.push(Value::Number(1));
    values
}

pub(super) fn reset_lifetimes() -> Vec<Value> {
    [1, 59, 86_401, u32::MAX]
        .map(|seconds| Value::Number(seconds.into()))
        .to_vec()
}

/// An empty one is none to search for.
pub(super) fn filter_roles() -> Vec<Value> {
    let mut values = roles();
    values.retain(|value| !matches!(value, Value::Text(text) if text.is_empty()));
    values
}

pub(super) fn logins() -> Vec<Value> {
    vec!["".into(), "a".repeat(513).into()]
}

pub(super) fn long_passwords() -> Vec<Value> {
    vec!["violet-anchor-mosaic-".repeat(49).into()]
}

/// Also what is too short; that depends on nothing but the password.
pub(super) fn short_passwords() -> Vec<Value> {
    let mut values = long_passwords();
    values.extend(texts(&["", "fourteen-chars"]));
    values
}

/// Also what can be guessed.
pub(super) fn new_passwords() -> Vec<Value> {
    let mut values = short_passwords();
    values.extend(texts(&[
        "password-password",
        "rollcall-rollcall",
        "aaaaaaaaaaaaaaaaaaaa",
    ]));
    values
}

/// Names that people read, and texts to search for.
pub(super) fn names() -> Vec<Value> {
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

pub(super) fn device_ids() -> Vec<Value> {
    let mut values = texts(&["a b", "é", "a\n", "a\0"]);
    values.push("a".repeat(129).into());
    values
}

pub(super) fn client_ids() -> Vec<Value> {
    let mut values = texts(&["a b", "é", "a/b", "a\n", "a\0"]);
    values.push("a".repeat(65).into());
    values
}

pub(super) fn required_client_ids() -> Vec<Value> {
    let mut values = client_ids();
    values.push("".into());
    values
}

pub(super) fn user_agents() -> Vec<Value> {
    vec!["a".repeat(513).into()]
}

pub(super) fn addresses() -> Vec<Value> {
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

pub(super) fn prefixes() -> Vec<Value> {
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

pub(super) fn refresh_tokens() -> Vec<Value> {
    vec!["".into(), "r".repeat(257).into()]
}

pub(super) fn access_tokens() -> Vec<Value> {
    vec!["".into(), "a".repeat(8 * 1024 + 1).into()]
}

pub(super) fn cursors() -> Vec<Value> {
    texts(&["x", "AAAA", "AgAAAAAAAAAA", "é", "AQAAAAAAAAAAAA"])
}

pub(super) fn enums() -> Vec<Value> {
    [-1, 99, i32::MAX]
        .map(|number| Value::Number(number.into()))
        .to_vec()
}

pub(super) fn required_enums() -> Vec<Value> {
    let mut values = enums();
    values.push(Value::Number(0));
    values
}

/// Of an address of IPv4.
pub(super) fn prefix_lengths() -> Vec<Value> {
    [33, 128, 256, 280, u32::MAX]
        .map(|bits| Value::Number(bits.into()))
        .to_vec()
}

pub(super) fn request_ids() -> Vec<Value> {
    vec![
        "a".repeat(21).into(),
        "a".repeat(129).into(),
        "é".repeat(22).into(),
        "a b".repeat(10).into(),
        "\n".repeat(22).into(),
    ]
}

pub(super) fn page_sizes() -> Vec<Value> {
    let sizes = [-1, 1_001, 65_536, i32::MIN, i32::MAX];
    sizes.map(|size| Value::Number(size.into())).to_vec()
}

pub(super) fn page_tokens() -> Vec<Value> {
    let mut values = texts(&["elsewhere", "=", "\0", "é"]);
    values.extend([43, 44, 60_000].map(|length| "A".repeat(length).into()));
    values
}

pub(super) fn ids() -> Vec<Value> {
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

pub(super) fn optional_ids() -> Vec<Value> {
    let mut values = ids();
    values.remove(1);
    values
}

pub(super) fn roles() -> Vec<Value> {
    let mut values = texts(&["Admin", "", "1st", "a b", "é", "a\n", "admin\0"]);
    values.push("r".repeat(65).into());
    values
}

pub(super) fn masks() -> Vec<Value> {
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

pub(super) fn times() -> Vec<Value> {
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
pub(super) fn ranges() -> Vec<Value> {
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
pub(super) fn generations() -> Vec<Value> {
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
pub(super) fn wanted_roles() -> Vec<Value> {
    let mut values = roles();
    values.retain(|value| !matches!(value, Value::Text(text) if text.is_empty()));
    values
}

/// What must not be given.
pub(super) fn unwanted() -> Vec<Value> {
    vec![Value::Number(1)]
}

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| (*value).into()).collect()
}

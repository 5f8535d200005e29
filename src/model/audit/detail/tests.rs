use serde_json::json;

use super::*;

#[test]
fn theft_is_told_in_the_shape_that_earlier_releases_wrote() {
    let row = json!({
        "reuse": "ANCESTOR",
        "replayed": {"generation": 2, "ip_address": null, "user_agent": "thief"},
        "last_good": {
            "generation": 4, "ip_address": "192.0.2.1", "user_agent": "owner", "age_seconds": 9,
        },
    });
    let Some(Detail::RefreshTokenReuse(read)) =
        Detail::from_json(EventKind::RefreshTokenReused, row)
    else {
        panic!("unread")
    };
    assert_eq!(read.reuse, Reuse::Ancestor);
    assert_eq!(read.replayed.origin.user_agent, "thief");
    assert_eq!(read.replayed.age_seconds, 0);
    let told = Detail::RefreshTokenReuse(read.clone()).to_json();
    let again = Detail::from_json(EventKind::RefreshTokenReused, told);
    assert_eq!(again, Some(Detail::RefreshTokenReuse(read)));
}

#[test]
fn binding_breach_is_told_in_the_shape_that_earlier_releases_wrote() {
    let row = json!({
        "reaction": "END",
        "bound": {"ip_prefix": "192.0.2.0/24", "user_agent": null},
        "presented": {"generation": 0, "ip_address": "198.51.100.1", "user_agent": ""},
        "last_good": {"generation": 0, "ip_address": null, "user_agent": "", "age_seconds": 1},
    });
    let read = Detail::from_json(EventKind::SessionBindingBroken, row);
    let Some(Detail::BindingBreach(read)) = read else {
        panic!("unread")
    };
    assert_eq!(read.reaction, Reaction::End);
    assert_eq!(read.bound.ip_prefix.as_deref(), Some("192.0.2.0/24"));
}

#[test]
fn detail_of_another_shape_is_none() {
    for row in [
        json!({}),
        json!(null),
        json!({"reason": "LATER"}),
        json!([1]),
    ] {
        assert_eq!(Detail::from_json(EventKind::SessionEnded, row), None);
    }
}

#[test]
fn texts_are_those_that_rows_and_errors_have() {
    let end = |reason| json!(SessionEnd { reason })["reason"].clone();
    for reason in [
        EndReason::LoggedOut,
        EndReason::RevokedByAdmin,
        EndReason::BindingBroken,
        EndReason::Displaced,
    ] {
        assert_eq!(end(reason), reason.as_str());
    }
    assert_eq!(json!(Reuse::Late), "LATE");
    let lost = json!(Reuse::ForkAcrossLostCommit);
    assert_eq!(lost, "FORK_ACROSS_LOST_COMMIT");
    for reaction in [Reaction::Note, Reaction::Refuse, Reaction::End] {
        assert_eq!(json!(reaction), reaction.as_str());
    }
}

#[test]
fn times_keep_their_microseconds() {
    let time = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_000).unwrap();
    let issue = PasswordResetTokenIssue { expires_at: time };
    let json = json!(issue);
    assert_eq!(json, json!({"expires_at": 1_700_000_000_123_456_i64}));
    assert_eq!(
        serde_json::from_value::<PasswordResetTokenIssue>(json).unwrap(),
        issue
    );
}

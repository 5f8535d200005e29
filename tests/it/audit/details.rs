//! What belongs to each kind of event, as it is kept and as it is told.

use rollcall::proto::v1;

use super::{list, write};
use crate::harness::Harness;

/// A kind, and all that a row of it can have.
const KEPT: &[(&str, &str)] = &[
    (
        "SIGNED_IN",
        r#"{"device": {"client_id": "shop", "device_id": "phone", "display_name": "Ana's phone",
                       "origin": {"user_agent": "shop/1", "ip_address": "192.0.2.1"}},
            "new_device": true, "new_network": false}"#,
    ),
    (
        "NEW_DEVICE",
        r#"{"device": {"client_id": "shop", "device_id": null, "display_name": "",
                       "origin": {"user_agent": "", "ip_address": null}},
            "new_device": false, "new_network": true}"#,
    ),
    (
        "SIGN_IN_FAILED",
        r#"{"reason": "WRONG_PASSWORD", "failed_attempts": 3, "client_id": "shop"}"#,
    ),
    (
        "USER_LOCKED",
        r#"{"reason": "LOCKED", "failed_attempts": 100, "client_id": ""}"#,
    ),
    ("SESSION_ENDED", r#"{"reason": "REPLACED"}"#),
    (
        "REFRESH_TOKEN_REUSED",
        r#"{"reuse": "ANCESTOR",
            "replayed": {"generation": 1, "ip_address": "2001:db8::1", "user_agent": "thief"},
            "last_good": {"generation": 3, "ip_address": "192.0.2.1", "user_agent": "owner",
                          "age_seconds": 60}}"#,
    ),
    (
        "SESSION_BINDING_BROKEN",
        r#"{"reaction": "REFUSE",
            "bound": {"ip_prefix": "192.0.2.0/24", "user_agent": "owner"},
            "presented": {"generation": 4, "ip_address": null, "user_agent": "other"},
            "last_good": {"generation": 4, "ip_address": "192.0.2.2", "user_agent": "owner",
                          "age_seconds": 61}}"#,
    ),
    (
        "USER_UPDATED",
        r#"{"user": {"login": "Ana", "display_name": "Ana A.", "roles": ["billing"],
                     "disabled": true, "created_at": 1000001, "updated_at": 2000002},
            "earlier_roles": ["admin"], "changed_fields": ["roles", "disabled"],
            "imported": true}"#,
    ),
    (
        "LOGIN_ADDED",
        r#"{"login": "ana@example.com", "kind": "EMAIL", "created_at": 3000003}"#,
    ),
    (
        "SIGNING_KEY_ROTATED",
        r#"{"kid": "a-key", "emergency": true}"#,
    ),
    ("PASSWORD_RESET_TOKEN_ISSUED", r#"{"expires_at": 4000004}"#),
    (
        "SESSIONS_REVOKED",
        r#"{"filter": "{\"clientId\":\"shop\",\"createTime\":{\"startTime\":\"1970-01-01T00:00:05Z\"}}"}"#,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn details_are_told_as_they_are_kept() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let user_id = "01234567-89ab-7def-8123-456789abcdef";
    for (number, (kind, detail)) in KEPT.iter().enumerate() {
        write(&it, user_id, number, kind, detail).await;
    }
    let of_user = v1::EventFilter {
        user_id: user_id.to_owned(),
        ..v1::EventFilter::default()
    };
    let events = list(&it, &admin, of_user).await.expect("lists");
    assert!(events.iter().all(|event| event.detail.is_some()));
    let told: Vec<String> = events
        .iter()
        .rev()
        .map(|event| format!("{:?} {:#?}", event.kind(), event.detail))
        .collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

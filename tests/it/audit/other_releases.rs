//! What the release before wrote, and what a later one writes next to this.

use rollcall::proto::v1::{self, event::Detail};

use super::{list, write};
use crate::harness::Harness;

const USER: &str = "01234567-89ab-7def-8123-456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn events_of_other_releases_are_shown_as_far_as_they_are_known() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for (number, (kind, detail)) in [
        (
            "REFRESH_TOKEN_REUSED",
            r#"{"reuse": "LATE",
                "replayed": {"generation": 1, "ip_address": null, "user_agent": ""},
                "last_good": {"generation": 2, "ip_address": "192.0.2.1", "user_agent": "a",
                              "age_seconds": 3}}"#,
        ),
        ("REFRESH_TOKEN_REUSED", "{}"),
        ("SESSION_ENDED", r#"{"reason": "OF_A_LATER_RELEASE"}"#),
        ("OF_A_LATER_RELEASE", r#"{"a": [1]}"#),
    ]
    .into_iter()
    .enumerate()
    {
        write(&it, USER, number, kind, detail).await;
    }
    let of_user = v1::EventFilter {
        user_id: USER.to_owned(),
        ..v1::EventFilter::default()
    };
    let events = list(&it, &admin, of_user).await.expect("lists");
    let kinds: Vec<_> = events.iter().rev().map(v1::Event::kind).collect();
    assert_eq!(
        kinds,
        [
            v1::EventKind::RefreshTokenReused,
            v1::EventKind::RefreshTokenReused,
            v1::EventKind::SessionEnded,
            v1::EventKind::Unspecified,
        ]
    );
    let Some(Detail::RefreshTokenReuse(theft)) = &events[3].detail else {
        panic!("{events:?}")
    };
    assert_eq!(theft.last_good.as_ref().expect("it").age_seconds, 3);
    assert!(events[..3].iter().all(|event| event.detail.is_none()));
}

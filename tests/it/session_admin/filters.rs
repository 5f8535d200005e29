//! Each condition of a filter, alone and together.

use prost_types::Timestamp;
use rollcall::proto::v1::{self, SessionFilter, TimeRange, session_filter::User};

use super::{NOBODY, expire, find, list, revoke};
use crate::harness::{Harness, SignedIn, device, request_id};

/// An operator, and users on several devices.
pub(super) struct World {
    pub(super) it: Harness,
    pub(super) admin: SignedIn,
}

impl World {
    pub(super) async fn new() -> Self {
        let it = Harness::start().await;
        let admin = it.admin().await;
        it.create_user("Ana", &[]).await;
        Self { it, admin }
    }

    pub(super) async fn sign_in(&self, device: v1::Device) -> SignedIn {
        self.it.sign_in_on("Ana", device).await
    }

    /// Asserts that a filter finds these, newest first, and nothing else.
    pub(super) async fn finds(&self, filter: SessionFilter, expected: &[&SignedIn]) {
        let what = format!("{filter:?}");
        let found = find(&self.it, &self.admin, filter).await;
        let expected: Vec<_> = expected.iter().map(|s| s.session_id.as_str()).collect();
        assert_eq!(found, expected, "{what}");
    }
}

fn of(user: User) -> SessionFilter {
    SessionFilter {
        user: Some(user),
        ..SessionFilter::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filter_without_conditions_finds_all_live_sessions_newest_first() {
    let world = World::new().await;
    let (one, two) = (
        world.sign_in(device("1")).await,
        world.sign_in(device("2")).await,
    );
    let everyone = [&two, &one, &world.admin];
    world.finds(SessionFilter::default(), &everyone).await;
    let without = list(&world.it, &world.admin, v1::ListSessionsRequest::default()).await;
    assert_eq!(without.expect("lists").sessions.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn user_is_found_by_id_and_by_login_however_it_is_written() {
    let world = World::new().await;
    let ana = world.sign_in(device("")).await;
    world
        .finds(of(User::UserId(ana.user_id.clone())), &[&ana])
        .await;
    for login in ["Ana", "ana", "ANA", "\u{ff21}na"] {
        world
            .finds(of(User::Login(login.to_owned())), &[&ana])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_that_does_not_exist_has_no_sessions() {
    let world = World::new().await;
    world.finds(of(User::UserId(NOBODY.to_owned())), &[]).await;
    // The last two could not be anybody's.
    for login in ["ben", "an", "ana%", "an na", "ana\0"] {
        world.finds(of(User::Login(login.to_owned())), &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_and_expired_sessions_are_found_only_when_asked_for() {
    let world = World::new().await;
    let (revoked, idle) = (
        world.sign_in(device("1")).await,
        world.sign_in(device("2")).await,
    );
    let (old, live) = (
        world.sign_in(device("3")).await,
        world.sign_in(device("4")).await,
    );
    revoke(&world.it, &world.admin, &revoked.session_id)
        .await
        .expect("revoked");
    expire(&world.it, &idle).await;
    let absolute = format!(
        "UPDATE sessions SET absolute_expires_at = now() WHERE id = '{}'",
        old.session_id
    );
    world.it.sql(&absolute).await;

    let of_ana = || of(User::UserId(live.user_id.clone()));
    world.finds(of_ana(), &[&live]).await;
    let all = SessionFilter {
        include_ended: true,
        ..of_ana()
    };
    world.finds(all, &[&live, &old, &idle, &revoked]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn device_and_client_are_found_exactly() {
    let world = World::new().await;
    let phone = world.sign_in(device("phone")).await;
    let other_case = world.sign_in(device("Phone")).await;
    let client_id = "mail.app".to_owned();
    let mail = world
        .sign_in(v1::Device {
            client_id,
            ..device("phone")
        })
        .await;

    let by_device = |id: &str| SessionFilter {
        device_id: id.to_owned(),
        ..SessionFilter::default()
    };
    let by_client = |id: &str| SessionFilter {
        client_id: id.to_owned(),
        ..SessionFilter::default()
    };
    world.finds(by_device("phone"), &[&mail, &phone]).await;
    world.finds(by_device("Phone"), &[&other_case]).await;
    world.finds(by_device("phon"), &[]).await;
    world.finds(by_device("phon_"), &[]).await;
    world.finds(by_client("mail.app"), &[&mail]).await;
    world.finds(by_client("mail"), &[]).await;
    let both = SessionFilter {
        device_id: "phone".to_owned(),
        ..by_client("test")
    };
    world.finds(both, &[&phone]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_ranges_include_their_start_and_exclude_their_end() {
    let world = World::new().await;
    let session = world.sign_in(device("")).await;
    let refreshed = world
        .it
        .refresh(&session.refresh_token, &request_id())
        .await;
    let refreshed = refreshed.expect("lives").session.expect("a session");
    let created = refreshed.create_time.expect("a time");
    let seen = refreshed.last_seen_time.expect("a time");
    assert_ne!(created, seen);
    for (found, from, until) in [
        (true, Some(0), None),
        (false, Some(1), None),
        (false, None, Some(0)),
        (true, None, Some(1)),
        (true, Some(0), Some(1)),
        (true, Some(-1), Some(1)),
        (false, Some(-1), Some(0)),
    ] {
        let only = [&session];
        let expected = if found { &only[..] } else { &[] };
        let user = || of(User::UserId(session.user_id.clone()));
        let create_time = Some(around(created, from, until));
        world
            .finds(
                SessionFilter {
                    create_time,
                    ..user()
                },
                expected,
            )
            .await;
        let last_seen_time = Some(around(seen, from, until));
        world
            .finds(
                SessionFilter {
                    last_seen_time,
                    ..user()
                },
                expected,
            )
            .await;
    }
}

/// From and until so many microseconds after a time.
fn around(time: Timestamp, from: Option<i64>, until: Option<i64>) -> TimeRange {
    let shifted = |micros: i64| {
        let nanos = i64::from(time.nanos) + micros * 1_000;
        Timestamp {
            seconds: time.seconds + nanos.div_euclid(1_000_000_000),
            nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).expect("below a second"),
        }
    };
    TimeRange {
        start_time: from.map(shifted),
        end_time: until.map(shifted),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_must_all_hold() {
    let world = World::new().await;
    let said = |device_id: &str, ip_address: &str, user_agent: &str| v1::Device {
        ip_address: ip_address.to_owned(),
        user_agent: user_agent.to_owned(),
        ..device(device_id)
    };
    let wanted = world.sign_in(said("1", "203.0.113.7", "Mail")).await;
    world.sign_in(said("2", "203.0.113.7", "Mail")).await;
    world.sign_in(said("", "203.0.113.7", "Mail")).await;
    let filter = SessionFilter {
        device_id: "1".to_owned(),
        client_id: "test".to_owned(),
        ip_prefix: "203.0.113.0/24".to_owned(),
        user_agent_contains: "mail".to_owned(),
        create_time: Some(TimeRange {
            start_time: wanted.session.create_time,
            end_time: None,
        }),
        ..of(User::Login("ana".to_owned()))
    };
    world.finds(filter.clone(), &[&wanted]).await;
    world
        .finds(
            SessionFilter {
                client_id: "other".to_owned(),
                ..filter.clone()
            },
            &[],
        )
        .await;
    world
        .finds(
            SessionFilter {
                ip_prefix: "10.0.0.0/8".to_owned(),
                ..filter.clone()
            },
            &[],
        )
        .await;
    world
        .finds(
            SessionFilter {
                user_agent_contains: "web".to_owned(),
                ..filter
            },
            &[],
        )
        .await;
}

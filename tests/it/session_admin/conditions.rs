//! The conditions of a filter that need more than the session's own words: generation, role
//! and who is online.

use rollcall::proto::v1::{GenerationRange, SessionFilter};

use super::{expire, filters::World, revoke};
use crate::harness::{device, request_id};

pub(super) fn generations(first: Option<u32>, last: Option<u32>) -> SessionFilter {
    SessionFilter {
        generation: Some(GenerationRange { first, last }),
        ..SessionFilter::default()
    }
}

pub(super) fn role(role: &str) -> SessionFilter {
    SessionFilter {
        role: role.to_owned(),
        ..SessionFilter::default()
    }
}

pub(super) fn online() -> SessionFilter {
    SessionFilter {
        online: true,
        ..SessionFilter::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generation_range_includes_both_of_its_ends() {
    let world = World::new().await;
    let twice = world.sign_in(device("")).await;
    let once = world.sign_in(device("")).await;
    for session in [&twice, &once] {
        let id = request_id();
        let refreshed = world.it.refresh(&session.refresh_token, &id).await;
        refreshed.expect("lives");
    }
    let again = format!(
        "UPDATE sessions SET generation = 2 WHERE id = '{}'",
        twice.session_id
    );
    world.it.sql(&again).await;
    let admin = &world.admin;
    for (first, last, expected) in [
        (Some(1), None, &[&once, &twice][..]),
        (Some(2), None, &[&twice]),
        (Some(3), None, &[]),
        (None, Some(0), &[admin]),
        (None, Some(1), &[&once, admin]),
        (Some(1), Some(1), &[&once]),
        (Some(0), Some(u32::MAX), &[&once, &twice, admin]),
    ] {
        world.finds(generations(first, last), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn role_is_the_one_that_the_user_has_at_this_moment() {
    let world = World::new().await;
    let ana = world.sign_in(device("")).await;
    world.finds(role("admin"), &[&world.admin]).await;
    world.finds(role("auditor"), &[]).await;
    let promote = "UPDATE users SET roles = '{auditor,clerk}' WHERE login = 'Ana'";
    world.it.sql(promote).await;
    world.finds(role("auditor"), &[&ana]).await;
    world.finds(role("clerk"), &[&ana]).await;
    world.finds(role("audit"), &[]).await;
    world.it.sql("DELETE FROM users WHERE login = 'Ana'").await;
    world.finds(role("auditor"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn online_are_live_sessions_that_were_used_within_an_access_token_s_life() {
    let world = World::new().await;
    let away = world.sign_in(device("1")).await;
    let here = world.sign_in(device("2")).await;
    let expired = world.sign_in(device("3")).await;
    let ended = world.sign_in(device("4")).await;
    expire(&world.it, &expired).await;
    let revoked = revoke(&world.it, &world.admin, &ended.session_id).await;
    revoked.expect("revoked");
    for (session, ago) in [(&away, "10 min 1 s"), (&here, "9 min")] {
        let id = &session.session_id;
        let age = format!(
            "UPDATE sessions SET last_seen_at = now() - interval '{ago}' WHERE id = '{id}'"
        );
        world.it.sql(&age).await;
    }
    world.finds(online(), &[&here, &world.admin]).await;
    let with_ended = SessionFilter {
        include_ended: true,
        ..online()
    };
    world.finds(with_ended, &[&here, &world.admin]).await;
}

//! Whatever is wrong with a sign-in, its answer and its time say nothing about why.

use std::time::{Duration, Instant};

use rollcall::proto::v1;
use tonic::{Code, Request, Status};

use crate::{
    harness::{Harness, PASSWORD, Replica, authenticate, mask, reason},
    operations::scrape::{PORT, scrape},
};

/// A login and a password that are refused, and why.
const REFUSED: [(&str, &str, &str); 8] = [
    ("a wrong password", "known", "violet-anchor-mosaic-74"),
    ("an empty password", "known", ""),
    (
        "a password of another form",
        "KNOWN",
        "VIOLET-ANCHOR-MOSAIC-73",
    ),
    ("an unknown user", "unknown", PASSWORD),
    ("an unknown user and no password", "unknown", ""),
    ("no possible login", "not a login\u{1b}", PASSWORD),
    ("a disabled user", "disabled", PASSWORD),
    ("a deleted user", "deleted", PASSWORD),
];

async fn world() -> Harness {
    world_with(&[]).await
}

/// A server with the users that the table names.
async fn world_with(options: &[&str]) -> Harness {
    let it = Harness::with(options).await;
    let admin = it.admin().await;
    it.create_user("known", &[]).await;
    let disabled = v1::UpdateUserRequest {
        user: Some(v1::User {
            user_id: it.create_user("disabled", &[]).await.to_string(),
            disabled: true,
            ..v1::User::default()
        }),
        update_mask: Some(mask(&["disabled"])),
    };
    it.user_admin()
        .update_user(admin.request(disabled))
        .await
        .expect("disabled");
    let deleted = v1::DeleteUserRequest {
        user_id: it.create_user("deleted", &[]).await.to_string(),
    };
    it.user_admin()
        .delete_user(admin.request(deleted))
        .await
        .expect("deleted");
    it
}

async fn refused(it: &Replica, login: &str, password: &str) -> Status {
    let mut request = Request::new(v1::AuthenticateRequest {
        password: password.to_owned(),
        ..authenticate(login)
    });
    // The one thing that tells answers apart is the id of the call: let it be the same.
    let id = "the-same-in-every-call".parse().expect("ASCII");
    request.metadata_mut().insert("x-request-id", id);
    let result = it.auth().authenticate(request).await;
    result.expect_err(login)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refused_sign_in_has_the_same_answer_byte_for_byte() {
    let it = world().await;
    let before = it.database.sessions_and_users().await;
    let first = refused(&it, "known", "wrong").await;
    assert_eq!(first.code(), Code::Unauthenticated);
    assert_eq!(reason(&first), "INVALID_CREDENTIALS");
    for (why, login, password) in REFUSED {
        let status = refused(&it, login, password).await;
        assert_eq!(status.code(), first.code(), "{why}");
        assert_eq!(status.message(), first.message(), "{why}");
        assert_eq!(status.details(), first.details(), "{why}");
        let headers = |status: &Status| {
            let mut headers = status.metadata().clone().into_headers();
            headers.remove("date");
            headers
        };
        assert_eq!(headers(&status), headers(&first), "{why}");
    }
    assert_eq!(it.database.sessions_and_users().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refused_sign_in_hashes_once() {
    let it = world_with(&PORT).await;
    for login in ["locked", "without", "absurd"] {
        it.create_user(login, &[]).await;
    }
    it.sql(
        "INSERT INTO user_sign_ins (user_id, attempts, failures, failed_at, opened) \
         SELECT id, 100, 100, now(), 0 FROM users WHERE login = 'locked'",
    )
    .await;
    it.sql("UPDATE users SET password_hash = '' WHERE login = 'without'")
        .await;
    it.sql("UPDATE users SET password_hash = '$scrypt$x' WHERE login = 'absurd'")
        .await;
    let more = ["locked", "without", "absurd"].map(|login| (login, login, PASSWORD));
    for (why, login, password) in REFUSED.into_iter().chain(more) {
        let hashed = "rollcall_hashing_duration_seconds_count";
        let before = scrape(&it).await.value(hashed);
        refused(&it, login, password).await;
        let count = scrape(&it).await.value(hashed) - before;
        assert!((count - 1.0).abs() < 0.5, "{why}: {count}");
    }
}

/// How many sign-ins of each kind are timed.
const TIMED: usize = 24;

/// Sign-ins of each kind take turns at one server, so that whatever else the machine
/// does meets all of them alike, and their ranks are compared: where two kinds are one,
/// a sign-in of the first is faster than one of the second half of the time. The bound
/// is five standard deviations away from that; without the work for nobody, the share
/// is 0 or 1.
#[tokio::test(flavor = "multi_thread")]
async fn refused_sign_in_takes_as_long_whether_or_not_there_is_such_a_user() {
    let it = world().await;
    it.create_user("outdated", &[]).await;
    let stronger = Replica::start(&it.database, &["--argon2-iterations", "3"]).await;
    stronger.create_user("current", &[]).await;
    let wrong = "violet-anchor-mosaic-74";
    let kinds = [
        ("current", wrong),
        ("outdated", wrong),
        ("unknown", wrong),
        ("not a login", wrong),
        ("disabled", wrong),
        // Even who knows the password does not learn that it still is right.
        ("disabled", PASSWORD),
    ];
    let mut times = kinds.map(|_| Vec::new());
    for turn in 0..TIMED * kinds.len() {
        // Another order in every round.
        let kind = (turn + turn / kinds.len()) % kinds.len();
        let started = Instant::now();
        refused(&stronger, kinds[kind].0, kinds[kind].1).await;
        times[kind].push(started.elapsed());
    }
    for (kind, others) in kinds.iter().zip(&times).skip(1) {
        let share = faster(&times[0], others);
        assert!(
            (0.08..=0.92).contains(&share),
            "current users were faster in {share} of the pairs with {kind:?}"
        );
    }
}

/// The share of pairs of which the first is the faster one (Mann and Whitney's U).
fn faster(firsts: &[Duration], seconds: &[Duration]) -> f64 {
    let wins: usize = firsts
        .iter()
        .map(|first| seconds.iter().filter(|second| first < *second).count())
        .sum();
    let count = |number: usize| f64::from(u32::try_from(number).expect("a few"));
    count(wins) / count(firsts.len() * seconds.len())
}

//! Users who come from another system.

use futures_util::{StreamExt, future, stream};
use rollcall::proto::v1::{self, LoginKind};
use tonic::Code;

use super::get_by;
use crate::harness::{Harness, Replica, authenticate, reason, request_id};

/// A bcrypt hash of the tests' password.
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuSM5l3Z.QOhm7iuK4okCv0cvsiyy6U/S";

fn named(login: &str) -> v1::ImportUsersRequest {
    v1::ImportUsersRequest {
        login: login.to_owned(),
        password_hash: HASH.to_owned(),
        ..v1::ImportUsersRequest::default()
    }
}

fn further(login: &str, kind: LoginKind) -> v1::UserLogin {
    v1::UserLogin {
        login: login.to_owned(),
        kind: kind.into(),
        create_time: None,
    }
}

fn counts(answer: &v1::ImportUsersResponse) -> [u64; 3] {
    [
        answer.imported_user_count,
        answer.existing_user_count,
        answer.failed_user_count,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_user_has_all_that_came_and_signs_in_with_any_login() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let users = [
        v1::ImportUsersRequest {
            display_name: "Ana Pérez".to_owned(),
            roles: vec!["editor".to_owned(), "author".to_owned()],
            additional_logins: vec![
                further("Ana@Example.com", LoginKind::Email),
                further("+49 30-123456", LoginKind::Phone),
                further("ANA@example.com", LoginKind::Email),
            ],
            ..named("Ana")
        },
        v1::ImportUsersRequest {
            disabled: true,
            ..named("ben")
        },
    ];
    let answer = it
        .import(&admin, stream::iter(users))
        .await
        .expect("imports");
    assert_eq!(counts(&answer), [2, 0, 0]);
    let by_login = v1::get_user_request::User::Login("+4930123456".to_owned());
    let ana = get_by(&it, &admin, by_login).await.expect("found");
    assert_eq!((&*ana.login, &*ana.display_name), ("Ana", "Ana Pérez"));
    assert_eq!(ana.roles, ["author", "editor"]);
    let logins: Vec<_> = ana
        .logins
        .iter()
        .map(|it| (&*it.login, it.kind()))
        .collect();
    let expected = [
        ("Ana", LoginKind::Username),
        ("+49 30-123456", LoginKind::Phone),
        ("Ana@Example.com", LoginKind::Email),
    ];
    assert_eq!(logins, expected);
    for login in ["ana", "ana@example.COM", "+49 30 12 34 56"] {
        assert_eq!(it.sign_in(login).await.user_id, ana.user_id);
    }
    let disabled = it.auth().authenticate(authenticate("ben")).await;
    assert_eq!(
        reason(&disabled.expect_err("disabled")),
        "INVALID_CREDENTIALS"
    );
    let told = it
        .scalar::<i64>(&format!(
            "SELECT count(*) FROM audit_events AS e JOIN users AS u ON u.id = e.user_id \
             WHERE e.kind = 'USER_CREATED' AND (e.detail->>'imported')::bool \
             AND e.detail->'user'->>'login' = u.login AND e.actor_id = '{}'",
            admin.user_id
        ))
        .await;
    assert_eq!(told, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_wrong_are_told_by_place_and_field_and_the_others_are_imported() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("taken@example.com", &[]).await;
    let weak = HASH.replace("$05$", "$03$");
    let wrong = [
        ("login", named("a b")),
        ("login", named("")),
        (
            "password_hash",
            v1::ImportUsersRequest {
                password_hash: weak.clone(),
                ..named("b")
            },
        ),
        (
            "password_hash",
            v1::ImportUsersRequest {
                password_hash: "hunter2".to_owned(),
                ..named("c")
            },
        ),
        (
            "display_name",
            v1::ImportUsersRequest {
                display_name: "\0".to_owned(),
                ..named("d")
            },
        ),
        (
            "roles[0]",
            v1::ImportUsersRequest {
                roles: vec!["A".to_owned()],
                ..named("e")
            },
        ),
        (
            "additional_logins",
            v1::ImportUsersRequest {
                additional_logins: vec![further("x@example.com", LoginKind::Email); 10],
                ..named("f")
            },
        ),
        (
            "additional_logins[1].login",
            v1::ImportUsersRequest {
                additional_logins: vec![
                    further("g@example.com", LoginKind::Email),
                    further("+1", LoginKind::Phone),
                ],
                ..named("g")
            },
        ),
        (
            "additional_logins[0].kind",
            v1::ImportUsersRequest {
                additional_logins: vec![further("h@example.com", LoginKind::Username)],
                ..named("h")
            },
        ),
        (
            "additional_logins[1].login",
            v1::ImportUsersRequest {
                additional_logins: vec![
                    further("i@example.com", LoginKind::Email),
                    further("TAKEN@example.com", LoginKind::Email),
                ],
                ..named("i")
            },
        ),
    ];
    let users = wrong
        .iter()
        .enumerate()
        .flat_map(|(at, (_, user))| [user.clone(), named(&format!("good{at}"))]);
    let users: Vec<_> = users.collect();
    let answer = it
        .import(&admin, stream::iter(users))
        .await
        .expect("imports");
    assert_eq!(counts(&answer), [10, 0, 10]);
    let mut told: Vec<_> = answer
        .failures
        .iter()
        .map(|it| (it.index, &*it.field))
        .collect();
    told.sort_unstable();
    let expected: Vec<_> = (0_u64..)
        .step_by(2)
        .zip(wrong.iter().map(|it| it.0))
        .collect();
    assert_eq!(told, expected);
    for failure in &answer.failures {
        assert!(!failure.description.contains(&weak) && !failure.description.contains("hunter2"));
    }
    let stray = "SELECT count(*) FROM user_logins WHERE login LIKE '_@example.com'";
    assert_eq!(it.scalar::<i64>(stray).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_repeated_from_its_start_passes_over_those_who_exist() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = v1::ImportUsersRequest {
        additional_logins: vec![further("ana@example.com", LoginKind::Email)],
        ..named("ana")
    };
    // The third is the first again, and the fourth has the address of the first as login.
    let users = || {
        stream::iter([
            ana.clone(),
            named("ben"),
            named("ANA"),
            named("ana@example.com"),
        ])
    };
    let first = it.import(&admin, users()).await.expect("imports");
    assert_eq!(counts(&first), [2, 2, 0]);
    let before = it.database.contents().await;
    let again = it.import(&admin, users()).await.expect("imports");
    assert_eq!(counts(&again), [0, 4, 0]);
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_of_the_same_users_at_once_make_each_once() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let users = |order: fn(usize) -> usize| {
        stream::iter((0..1_200).map(move |n| named(&format!("u{}", order(n)))))
    };
    let (one, other) = tokio::join!(
        it.import(&admin, users(|n| n)),
        it.import(&admin, users(|n| 1_199 - n)),
    );
    let (one, other) = (one.expect("imports"), other.expect("imports"));
    assert_eq!(one.imported_user_count + other.imported_user_count, 1_200);
    assert_eq!(one.existing_user_count + other.existing_user_count, 1_200);
    assert_eq!(it.scalar::<i64>("SELECT count(*) FROM users").await, 1_201);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_of_20_000_users_takes_two_statements_for_500_and_keeps_100_failures() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let before = it.database.statements().await;
    let users = (0..20_300).map(|n| match n % 70 {
        7 => named("a b"),
        _ => named(&format!("u{n}")),
    });
    let answer = it
        .import(&admin, stream::iter(users))
        .await
        .expect("imports");
    assert_eq!(counts(&answer), [20_010, 0, 290]);
    assert_eq!(answer.failures.len(), 100);
    assert_eq!(answer.failures[99].index, 7 + 99 * 70);
    let statements = it.database.statements().await - before;
    assert_eq!(
        statements,
        1 + 2 * 41,
        "the caller's check, and two for a batch"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn import_goes_on_past_the_servers_limit_on_calls() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let hasty = Replica::start(&it.database, &["--request-timeout", "2s"]).await;
    let lock = it.database.lock_session(&ana.session_id).await;
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let second = stream::once(async {
        wait.await.expect("goes on");
        named("second")
    });
    let users = stream::iter([named("first")]).chain(second);
    let slow = async {
        let cut = hasty.refresh(&ana.refresh_token, &request_id()).await;
        assert_eq!(cut.expect_err("waits").code(), Code::DeadlineExceeded);
        go.send(()).expect("the import waits");
    };
    let (answer, ()) = future::join(hasty.import(&admin, users), slow).await;
    assert_eq!(counts(&answer.expect("imports")), [2, 0, 0]);
    lock.release().await;
}

/// An import whose second batch comes once `meanwhile` is done; `expected` is why it stops.
async fn assert_stops(it: &Harness, meanwhile: impl Future<Output = ()>, expected: &str) {
    let admin = it.admin().await;
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let rest = stream::once(async {
        wait.await.expect("goes on");
        named("late")
    });
    let users = stream::iter((0..501).map(|n| named(&format!("u{n}")))).chain(rest);
    let meanwhile = async {
        let query = "SELECT count(*) FROM users";
        it.database.wait_for(query, 501).await;
        meanwhile.await;
        go.send(()).expect("the import waits");
    };
    let (answer, ()) = future::join(it.import(&admin, users), meanwhile).await;
    assert_eq!(reason(&answer.expect_err("stopped")), expected);
    assert_eq!(it.scalar::<i64>("SELECT count(*) FROM users").await, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_by_an_operator_no_more_stops_at_the_next_batch() {
    let it = Harness::start().await;
    let demote = async {
        it.sql("UPDATE users SET roles = '{}' WHERE login = 'operator'")
            .await;
    };
    assert_stops(&it, demote, "ADMIN_REQUIRED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn import_by_a_token_of_a_dropped_key_stops_at_the_next_batch() {
    let it = Harness::start().await;
    assert_stops(&it, it.drop_signing_keys(), "ACCESS_TOKEN_INVALID").await;
}

//! One login, however it is written, is one user.

use futures_util::future::join_all;
use rollcall::proto::v1::get_user_request;
use tonic::Code;

use super::{create, delete, get_by};
use crate::harness::{Harness, authenticate, reason};

/// Spellings of one login: case, width, composition.
const ONE: &[&[&str]] = &[
    &[
        "Ana",
        "ana",
        "ANA",
        "\u{ff21}\u{ff2e}\u{ff21}",
        "\u{ff41}na",
    ],
    &["ren\u{e9}e", "rene\u{301}e", "REN\u{c9}E", "RENE\u{301}E"],
    &["\u{c5}sa", "A\u{30a}sa", "\u{e5}sa"],
];

/// Pairs that only look alike, of which each is a login of its own.
const TWO: &[[&str; 2]] = &[
    ["ana", "\u{430}na"],
    ["ana", "an\u{430}"],
    ["l1", "ll"],
    ["ana", "ana."],
    ["stra\u{df}e", "strasse"],
];

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_login_are_one_user_who_signs_in_with_any() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for spellings in ONE {
        let created = create(&it, &admin, spellings[0]).await.expect("created");
        assert_eq!(created.login, spellings[0], "kept as typed");
        for spelling in *spellings {
            let taken = create(&it, &admin, spelling).await.expect_err(spelling);
            assert_eq!(taken.code(), Code::AlreadyExists, "{spelling}");
            assert_eq!(reason(&taken), "LOGIN_TAKEN");
            let by_login = get_user_request::User::Login((*spelling).to_owned());
            let found = get_by(&it, &admin, by_login).await.expect(spelling);
            assert_eq!(found, created);
            let reply = it.auth().authenticate(authenticate(spelling)).await;
            assert_eq!(reply.expect(spelling).into_inner().user_id, created.user_id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_only_look_alike_are_two_users() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for [one, other] in TWO {
        let first = create(&it, &admin, one).await.expect(one);
        let second = create(&it, &admin, other).await.expect(other);
        assert_ne!(first.user_id, second.user_id);
        let reply = it.auth().authenticate(authenticate(other)).await;
        assert_eq!(reply.expect(other).into_inner().user_id, second.user_id);
        delete(&it, &admin, &first.user_id).await.expect("deleted");
        delete(&it, &admin, &second.user_id).await.expect("deleted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_creations_of_one_login_at_once_make_one_user() {
    let it = Harness::with(&["--hashing-queue", "32"]).await;
    let admin = it.admin().await;
    let logins = ["ana", "ANA", "Ana", "\u{ff41}na"];
    let creations = (0..16).map(|n| create(&it, &admin, logins[n % 4]));
    let results = join_all(creations).await;
    let (created, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(created.len(), 1);
    for result in refused {
        assert_eq!(reason(&result.expect_err("refused")), "LOGIN_TAKEN");
    }
    let users: i64 = it
        .scalar("SELECT count(*) FROM users WHERE id IN (SELECT user_id FROM user_logins)")
        .await;
    assert_eq!(users, 2);
    assert_eq!(it.scalar::<i64>("SELECT count(*) FROM users").await, 2);
}

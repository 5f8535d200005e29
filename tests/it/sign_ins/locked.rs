//! A user whose passwords are not checked any more, and how that ends.

use rollcall::proto::v1;
use tonic::Code;

use super::{WRONG, assert_refused, assert_taken, attempt, count, counted, events, with_password};
use crate::harness::{Harness, NEXT_PASSWORD, PASSWORD, mask, reason};

/// A server with a locked ana.
async fn locked() -> Harness {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 100, 100, "now() - interval '1 day'").await;
    it
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_user_has_the_answer_of_a_wrong_password_whatever_the_password() {
    let it = locked().await;
    it.create_user("ben", &[]).await;
    let mut answers = Vec::new();
    for (login, password) in [("ben", WRONG), ("ana", WRONG), ("ana", PASSWORD)] {
        let mut request = tonic::Request::new(with_password(login, password));
        let id = "the-same".parse().expect("ASCII");
        request.metadata_mut().insert("x-request-id", id);
        let refused = it.auth().authenticate(request).await;
        let refused = refused.expect_err("refused");
        answers.push((
            refused.code(),
            refused.message().to_owned(),
            refused.details().to_vec(),
        ));
    }
    assert_eq!(answers[1], answers[0]);
    assert_eq!(answers[2], answers[0]);
    let sessions: i64 = it.scalar("SELECT count(*) FROM sessions").await;
    assert_eq!(sessions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_takes_the_same_two_statements() {
    let it = locked().await;
    for login in ["known", "disabled", "delayed"] {
        it.create_user(login, &[]).await;
    }
    it.sql("UPDATE users SET disabled_at = now() WHERE login = 'disabled'")
        .await;
    it.sql(
        "INSERT INTO user_sign_ins (user_id, attempts, failures, failed_at, opened) \
         SELECT id, 50, 50, now(), 0 FROM users WHERE login = 'delayed'",
    )
    .await;
    let wal = "SELECT coalesce(sum(wal_records), 0)::bigint > 0 FROM pg_stat_statements \
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    for (login, password) in [
        ("known", WRONG),
        ("unknown", PASSWORD),
        ("not a login", PASSWORD),
        ("disabled", PASSWORD),
        ("delayed", PASSWORD),
        ("ana", PASSWORD),
        // Another refusal of a locked user is not told again.
        ("ana", PASSWORD),
    ] {
        // Of this database alone: others are counted in meanwhile.
        it.sql(
            "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database \
             WHERE datname = current_database()",
        )
        .await;
        assert_refused(&it, login, password).await;
        assert_eq!(it.database.statements().await, 2, "{login}");
        for statement in ["WITH known", "WITH counted"] {
            let wrote = format!("{wal} AND query LIKE '{statement}%'");
            assert!(it.scalar::<bool>(&wrote).await, "{login}: {statement}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unlocked_user_signs_in_and_the_operator_is_told_of_once() {
    let it = locked().await;
    let admin = it.admin().await;
    assert_refused(&it, "ana", PASSWORD).await;
    let ana: String = it
        .scalar("SELECT id::text FROM users WHERE login = 'ana'")
        .await;
    for _ in 0..2 {
        let unlock = v1::UnlockUserRequest {
            user_id: ana.clone(),
        };
        let unlocked = it.user_admin().unlock_user(admin.request(unlock)).await;
        let user = unlocked.expect("unlocks").into_inner().user;
        let user = user.expect("a user");
        assert_eq!((user.login.as_str(), user.locked), ("ana", false));
    }
    let told = format!(
        "kind = 'USER_UNLOCKED' AND user_id = '{ana}' AND actor_id = '{}'",
        admin.user_id
    );
    assert_eq!(events(&it, &told).await, 1);
    assert_eq!(counted(&it).await, (0, 0), "all of them are checked again");
    assert_taken(&it, "ana").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unlocking_nobody_is_not_found() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let unlock = v1::UnlockUserRequest {
        user_id: uuid::Uuid::nil().to_string(),
    };
    let refused = it.user_admin().unlock_user(admin.request(unlock)).await;
    let refused = refused.expect_err("nobody");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::NotFound, "USER_NOT_FOUND")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn new_password_of_an_operator_unlocks() {
    let it = locked().await;
    let admin = it.admin().await;
    let set = v1::SetPasswordRequest {
        user_id: it
            .scalar("SELECT id::text FROM users WHERE login = 'ana'")
            .await,
        new_password: NEXT_PASSWORD.to_owned(),
    };
    let set = it.user_admin().set_password(admin.request(set)).await;
    set.expect("sets");
    let taken = attempt(&it, with_password("ana", NEXT_PASSWORD)).await;
    taken.expect("unlocked");
    assert_eq!(counted(&it).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_changes_of_a_user_do_not_unlock() {
    let it = locked().await;
    let admin = it.admin().await;
    let update = v1::UpdateUserRequest {
        user: Some(v1::User {
            user_id: it
                .scalar("SELECT id::text FROM users WHERE login = 'ana'")
                .await,
            ..v1::User::default()
        }),
        update_mask: Some(mask(&["disabled"])),
    };
    let updated = it.user_admin().update_user(admin.request(update)).await;
    updated.expect("updates");
    assert_refused(&it, "ana", PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_user_leaves_no_count() {
    let it = locked().await;
    let admin = it.admin().await;
    let user_id: String = it
        .scalar("SELECT id::text FROM users WHERE login = 'ana'")
        .await;
    let delete = v1::DeleteUserRequest {
        user_id: user_id.clone(),
    };
    let deleted = it.user_admin().delete_user(admin.request(delete)).await;
    deleted.expect("deletes");
    let left: i64 = it
        .scalar(&format!(
            "SELECT count(*) FROM user_sign_ins WHERE user_id = '{user_id}'"
        ))
        .await;
    assert_eq!(left, 0);
}

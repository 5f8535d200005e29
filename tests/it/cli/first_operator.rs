//! `rollcall users create-first`: around the server, while there is nobody to ask as.

use super::say;
use crate::harness::{Database, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn first_operator_is_created_once_with_a_password_shown_once() {
    let database = Database::create().await;
    let create = ["users", "create-first", "Operator"];
    let said = say(&create, database.url(), "").await;
    assert!(!said.err.contains(said.out.trim()), "{}", said.err);
    assert_eq!(said.out.trim().len(), 24);
    said.done();
    let operator = "SELECT roles FROM users WHERE login = 'Operator'";
    let roles = database.sql(operator).await;
    assert_eq!(roles[0].get::<_, Vec<String>>(0), ["admin"]);

    let second = ["users", "create-first", "second"];
    let refused = say(&second, database.url(), "").await.failed(1);
    assert!(refused.contains("use `rollcall users create`"), "{refused}");
    // One who cannot sign in is none.
    database.sql("UPDATE users SET disabled_at = now()").await;
    let taken = say(&create, database.url(), "").await.failed(1);
    assert_eq!(taken.lines().last(), Some("rollcall: the login is taken"));
    say(&second, database.url(), "").await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_who_are_all_locked_are_none() {
    let database = Database::create().await;
    let create =
        async |login: &str| say(&["users", "create-first", login], database.url(), "").await;
    create("ana").await.done();
    let count = "INSERT INTO user_sign_ins (user_id, attempts, failures, opened) \
         SELECT id, 99, 99, 0 FROM users";
    database.sql(count).await;
    create("ben").await.failed(1);
    database
        .sql("UPDATE user_sign_ins SET attempts = 100")
        .await;
    create("ben").await.done();
    create("cid").await.failed(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn password_from_standard_input_is_checked_and_not_shown() {
    let database = Database::create().await;
    let create = ["users", "create-first", "ana", "--password-stdin"];
    let weak = say(&create, database.url(), "short\n").await.failed(1);
    assert!(weak.contains("at least 15 characters"), "{weak}");

    let said = say(&create, database.url(), &format!("{PASSWORD}\n")).await;
    assert!(!said.err.contains(PASSWORD));
    assert_eq!(said.done(), "");
}

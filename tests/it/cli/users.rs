//! `rollcall users`.

use super::{Person, redacted};
use crate::harness::{Harness, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn user_is_created_shown_changed_and_deleted() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    let created = person
        .say(&[
            "users",
            "create",
            "ana",
            "--display-name",
            "Ana Silva",
            "--role",
            "support",
        ])
        .await;
    assert!(!created.err.contains(created.out.trim()), "{}", created.err);
    assert_eq!(created.out.trim().len(), 24);
    let password = created.done();
    let login = ["login", "ana", "--password-stdin", "--credentials"];
    let other = person.folder().join("ana");
    let login = [&login[..], &[other.to_str().expect("UTF-8")]].concat();
    person.say_with(&login, &password).await.done();

    let update = [
        "users",
        "update",
        "ana",
        "--display-name",
        "Ana",
        "--role",
        "b",
        "--role",
        "a",
    ];
    let shown = person.say(&update).await.done();
    insta::assert_snapshot!(redacted(&shown));
    let shown = person
        .say(&["users", "update", "ana", "--no-roles", "--output", "json"])
        .await;
    let shown = shown.json();
    assert_eq!(shown[0]["user"]["roles"], serde_json::Value::Null);
    let nothing = person.say(&["users", "update", "ana"]).await.failed(2);
    assert!(nothing.contains("--display-name"), "{nothing}");

    let disabled = person
        .say(&["users", "disable", "ana", "--yes"])
        .await
        .done();
    assert_eq!(disabled, "disabled ana; 1 session ended\n");
    let listed = person.say(&["users", "list"]).await.done();
    insta::assert_snapshot!(redacted(&listed));
    assert_eq!(
        person.say(&["users", "enable", "ana"]).await.done(),
        "enabled ana\n"
    );
    let set = ["users", "set-password", "ana", "--password-stdin", "--yes"];
    let set = person.say_with(&set, PASSWORD).await.done();
    assert_eq!(set, "set the password of ana; 0 sessions ended\n");
    it.sign_in("ana").await;
    let deleted = person
        .say(&["users", "delete", "ana", "--yes"])
        .await
        .done();
    assert_eq!(deleted, "deleted ana; 1 session ended\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_is_refused_where_nobody_can_be_asked() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    let before = it.database.contents().await;
    let commands: [&[&str]; 6] = [
        &["users", "delete", "ana"],
        &["users", "disable", "ana"],
        &["users", "set-password", "ana", "--password-stdin"],
        &["keys", "rotate", "--emergency"],
        &["sessions", "revoke-all", "--login", "ana"],
        &["sessions", "revoke-user", "ana"],
    ];
    for command in commands {
        // An answer that is not from a terminal is none.
        let refused = person.say_with(command, "y\n").await.failed(2);
        assert!(
            refused.contains("--yes does it without asking"),
            "{refused}"
        );
    }
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_password_is_checked_by_the_server_and_never_shown() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    let create = [
        "users",
        "create",
        "ana",
        "--password-stdin",
        "--output",
        "json",
    ];
    let weak = person.say_with(&create, "short\n").await.failed(1);
    assert!(
        weak.contains("  password: a password has at least 15 characters"),
        "{weak}"
    );
    let created = person.say_with(&create, &format!("{PASSWORD}\n")).await;
    assert!(!created.out.contains(PASSWORD) && !created.err.contains(PASSWORD));
    assert_eq!(created.json()[0]["user"]["login"], "ana");
    let taken = person.say_with(&create, PASSWORD).await.failed(1);
    assert!(taken.contains("LOGIN_TAKEN"), "{taken}");
    let nowhere = ["users", "create", "ben", "--output", "json"];
    let refused = person.say(&nowhere).await.failed(2);
    assert!(refused.contains("--password-stdin"), "{refused}");
}

//! What an operator does for one user, and whose the password in the environment is.

use rollcall::proto::v1;

use super::{Person, Said};
use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, authenticate,
    process::{rollcall, run},
};

#[tokio::test(flavor = "multi_thread")]
async fn user_gets_logins_is_unlocked_and_sets_a_password_with_the_token() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    let ana = it.create_user("ana", &[]).await.to_string();
    for (login, kind) in [
        ("ana@example.com", "LOGIN_KIND_EMAIL"),
        ("+351912345678", "LOGIN_KIND_PHONE"),
    ] {
        let add = ["users", "add-login", &ana, login, "--output", "json"];
        let added = person.say(&add).await.json();
        let logins = added[0]["user"]["logins"].as_array().expect("logins");
        assert!(
            logins
                .iter()
                .any(|it| it["login"] == login && it["kind"] == kind),
            "{added:?}"
        );
        it.sign_in(login).await;
    }
    let remove = ["users", "remove-login", "ana", "ana@example.com"];
    let removed = person.say(&remove).await.done();
    assert!(!removed.contains("ana@example.com"), "{removed}");
    let gone = it
        .auth()
        .authenticate(authenticate("ana@example.com"))
        .await;
    gone.expect_err("is no login");

    it.sql(
        "INSERT INTO user_sign_ins (user_id, attempts, failures, failed_at, opened) \
         SELECT id, 100, 100, now(), 0 FROM users WHERE login = 'ana' \
         ON CONFLICT (user_id) DO UPDATE SET attempts = 100, failures = 100, failed_at = now()",
    )
    .await;
    let locked = person.say(&["users", "list", "--locked"]).await.done();
    assert!(locked.contains(&ana), "{locked}");
    // However the user is named, the answer shows the login.
    for (verb, expected) in [("unlock", "unlocked ana\n"), ("enable", "enabled ana\n")] {
        assert_eq!(person.say(&["users", verb, &ana]).await.done(), expected);
    }
    it.sign_in("ana").await;

    let issued = person.say(&["users", "issue-reset-token", "ana"]).await;
    assert!(
        issued.err.contains("can be used once, until"),
        "{}",
        issued.err
    );
    let reset_token = issued.done().trim().to_owned();
    // Nothing is reset yet.
    it.sign_in("ana").await;
    let request = v1::ResetPasswordRequest {
        reset_token,
        new_password: NEXT_PASSWORD.to_owned(),
    };
    it.auth().reset_password(request).await.expect("resets");
    let old = it.auth().authenticate(authenticate("ana")).await;
    old.expect_err("is another now");
}

#[tokio::test(flavor = "multi_thread")]
async fn password_file_of_the_environment_is_for_login_alone() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    it.create_user("ana", &[]).await;
    let file = person.file("password", PASSWORD);
    let with_file = async |arguments: &[&str]| {
        let mut command = rollcall(arguments);
        command.env("ROLLCALL_SERVER", format!("http://{}", it.address));
        command.env("ROLLCALL_CREDENTIALS", person.credentials());
        command.env("ROLLCALL_PASSWORD_FILE", &file);
        command.env("DATABASE_URL", it.database.url());
        Said::of(run(command, "").await)
    };
    let created = with_file(&["users", "create", "ben"]).await;
    assert!(created.err.contains("shown this once"), "{}", created.err);
    assert_eq!(created.done().trim().len(), 24);
    let set = ["users", "set-password", "ana", "--yes"];
    let refused = with_file(&set).await.failed(2);
    assert!(refused.contains("no terminal to ask"), "{refused}");
    with_file(&["login", "ana"]).await.done();
    it.sql("UPDATE users SET disabled_at = now()").await;
    let first = with_file(&["users", "create-first", "first"]).await;
    assert_eq!(first.done().trim().len(), 24);
}

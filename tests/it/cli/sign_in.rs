//! `rollcall login` and `rollcall logout`, and what the others say without them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use rollcall::proto::v1;
use uuid::Uuid;

use super::{Person, Said, redacted};
use crate::harness::{
    Harness, PASSWORD,
    process::{rollcall, run},
};

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path);
    metadata.expect("is there").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn login_keeps_a_private_file_that_the_next_commands_use_and_logout_ends_it() {
    let it = Harness::start().await;
    it.create_user("operator", &["admin"]).await;
    let person = Person::at(&format!("http://{}", it.address));
    let login = ["login", "operator", "--password-stdin"];
    let said = person.say_with(&login, &format!("{PASSWORD}\n")).await;
    assert!(said.err.contains("as operator"), "{}", said.err);
    assert_eq!(said.done(), "");
    assert_eq!(mode(&person.credentials()), 0o600);

    let mine = person
        .say(&["sessions", "mine", "--output", "json"])
        .await
        .json();
    let device = &mine[0]["device"];
    assert_eq!(device["clientId"], "rollcall-cli");
    let device_id = device["deviceId"].as_str().expect("an id").to_owned();
    Uuid::parse_str(&device_id).expect("a UUID");

    // The same device again: its earlier session is replaced.
    let file = person.file("password", &format!("{PASSWORD}\n"));
    let mut again = rollcall(&["login", "--password-file", &file]);
    again.env("ROLLCALL_LOGIN", "operator");
    again.env("ROLLCALL_SERVER", format!("http://{}", it.address));
    again.env("ROLLCALL_CREDENTIALS", person.credentials());
    Said::of(run(again, "").await).done();
    let mine = person
        .say(&["sessions", "mine", "--output", "json"])
        .await
        .json();
    assert_eq!(
        (mine.len(), mine[0]["device"]["deviceId"].as_str()),
        (1, Some(&*device_id))
    );

    person.say(&["logout"]).await.done();
    assert!(!person.credentials().exists());
    let live = it
        .scalar::<i64>("SELECT count(*) FROM sessions WHERE revoked_at IS NULL")
        .await;
    assert_eq!(live, 0);
    person.say(&["logout"]).await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_kept_in_the_state_folder_by_server() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let person = Person::at("");
    let server = format!("http://{}", it.address);
    let login = async |name: &str| {
        let mut login = rollcall(&["login", "ana", "--password-stdin", "--server", &server]);
        login.env(name, person.folder());
        Said::of(run(login, PASSWORD).await)
    };
    login("XDG_STATE_HOME").await.done();
    let folder = person.folder().join("rollcall");
    assert_eq!(mode(&folder), 0o700);
    let file = format!("http%3A%2F%2F{}", it.address.replace(':', "%3A"));
    assert_eq!(mode(&folder.join(file)), 0o600);
    login("HOME").await.done();
    assert!(person.folder().join(".local/state/rollcall").is_dir());
    let refused = login("NOTHING").await.failed(2);
    assert!(refused.contains("--credentials is required"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signed_in_an_ended_session_and_an_unreachable_server_are_told_apart() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    let list = ["sessions", "list"];
    person.say(&list).await.done();

    let request = v1::RevokeSessionRequest {
        session_id: session.session_id.clone(),
    };
    let revoked = it
        .session_admin()
        .revoke_session(session.request(request))
        .await;
    revoked.expect("ends");
    let ended = person.say(&list).await.failed(3);
    let expected = "rollcall: the session has ended (REVOKED_BY_ADMIN): \
         sign in with `rollcall login`\n";
    assert_eq!(ended, expected);
    // The tokens are forgotten.
    let nobody = person.say(&list).await.failed(3);
    let expected = "rollcall: nobody is signed in: sign in with `rollcall login`\n";
    assert_eq!(nobody, expected);

    let nowhere = Person::at("http://127.0.0.1:1");
    nowhere.keep(&session).await;
    let unreachable = nowhere.say(&list).await.failed(4);
    assert!(unreachable.contains("cannot be reached"), "{unreachable}");
    let bare = Person::at("127.0.0.1:1").say(&list).await.failed(2);
    assert!(bare.contains("`http://127.0.0.1:1` without TLS"), "{bare}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_the_field_the_reason_and_the_request() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let (person, session) = Person::operator(&it).await;
    let wrong = person
        .say(&["sessions", "get", "not-an-id"])
        .await
        .failed(1);
    insta::assert_snapshot!(redacted(&wrong));
    let none = person.say(&["users", "get", "nobody"]).await.failed(1);
    assert!(
        none.contains("there is no such user\n  reason: USER_NOT_FOUND\n"),
        "{none}"
    );

    let password = format!("{PASSWORD}!");
    let login = ["login", "operator", "--password-stdin"];
    let refused = person.say_with(&login, &password).await.failed(1);
    assert!(
        refused.contains("refuses the login `operator`"),
        "{refused}"
    );
    assert!(!refused.contains(&password));
    // What was kept is kept still.
    person
        .say(&["sessions", "get", &session.session_id])
        .await
        .done();
    let no_terminal = person.say(&["login", "operator"]).await.failed(2);
    assert!(no_terminal.contains("--password-stdin"), "{no_terminal}");

    person.keep(&it.sign_in("ana").await).await;
    let forbidden = person.say(&["users", "list"]).await.failed(1);
    assert!(forbidden.contains("ADMIN_REQUIRED"), "{forbidden}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_goes_in_the_clear_to_another_machine_unless_that_is_wanted() {
    let login = async |server: &str, more: &[&str]| {
        let person = Person::at(server);
        let login = [&["login", "ana", "--password-stdin"], more].concat();
        person.say_with(&login, PASSWORD).await
    };
    // Nobody is there: what is not refused cannot be reached.
    for near in ["http://127.9.9.9:1", "http://[::1]:1", "http://LOCALHOST:1"] {
        login(near, &[]).await.failed(4);
    }
    login("https://198.51.100.7.invalid:1", &[]).await.failed(4);
    for far in [
        "http://far.invalid:1",
        "HTTP://0.0.0.0:1",
        "http://127.0.0.1.invalid:1",
    ] {
        let refused = login(far, &[]).await.failed(2);
        assert!(
            refused.contains("has no TLS") && refused.contains("--insecure"),
            "{refused}"
        );
        login(far, &["--insecure"]).await.failed(4);
        let person = Person::at(far);
        person.say(&["sessions", "list"]).await.failed(2);
        // A probe has no secrets.
        person.say(&["health"]).await.failed(4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_is_refreshed_by_itself_and_never_left_in_between() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    let age = |json: &str, seconds: i64| {
        let mut json: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let asked_at = json["asked_at"].as_i64().expect("a time");
        json["asked_at"] = (asked_at - seconds).into();
        json.to_string()
    };
    for generation in 1..=3 {
        let kept = fs::read_to_string(person.credentials()).expect("kept");
        fs::write(person.credentials(), age(&kept, 10_000_000_000_000)).expect("writes");
        let get = ["sessions", "get", &session.session_id, "--output", "json"];
        let shown = person.say(&get).await.json();
        assert_eq!(shown[0]["session"]["generation"], generation);
        let kept = fs::read_to_string(person.credentials()).expect("kept");
        let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
        assert!(
            kept["request_id"].is_null(),
            "the refresh has come to its end"
        );
    }
}

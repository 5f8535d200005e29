//! `rollcall audit`.

use std::process::Stdio;

use rollcall::proto::v1;

use super::Person;
use crate::harness::{Harness, mask, process::rollcall};

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_is_listed_and_exported() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    person
        .say(&["sessions", "revoke", &phone.session_id])
        .await
        .done();

    let listed = person.say(&["audit", "list", "--user", "ana"]).await.done();
    let header = "TIME EVENT USER SESSION BY ADDRESS DETAIL";
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0].join(" "), header);
    let newest = [
        "session-ended",
        &phone.user_id,
        &phone.session_id,
        &session.user_id,
    ];
    assert_eq!(lines[1][1..5], newest);
    assert_eq!(lines[1][6..], ["reason=revoked-by-admin"]);
    let ended = [
        "audit",
        "list",
        "--kind",
        "session-ended",
        "--actor",
        "operator",
        "--after",
        "1h",
        "--output",
        "json",
    ];
    let ended = person.say(&ended).await.json();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["sessionId"], *phone.session_id);
    assert_eq!(ended[0]["actor"]["sessionId"], *session.session_id);
    assert_eq!(
        ended[0]["sessionEnd"]["reason"],
        "SESSION_END_REASON_REVOKED_BY_ADMIN"
    );
    let exported = person.say(&["audit", "export"]).await.json();
    let none = person.say(&["audit", "export", "--before", "1h"]).await;
    assert!(exported.len() >= 2 && none.done().is_empty());
    let unknown = person
        .say(&["audit", "list", "--kind", "nothing"])
        .await
        .failed(2);
    assert!(unknown.contains("no kind of event `nothing`"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_shows_what_happens_until_it_is_interrupted() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    let ana = it.create_user("ana", &[]).await;
    let mut command = rollcall(&["audit", "watch", "--user", "ana", "--output", "json"]);
    command.env("ROLLCALL_SERVER", format!("http://{}", it.address));
    command.env("ROLLCALL_CREDENTIALS", person.credentials());
    command.stdout(Stdio::piped());
    let mut watch = command.spawn().expect("the binary runs");
    let id = watch.id().to_string();
    let stdout = watch.stdout.take().expect("piped");
    let line = tokio::task::spawn_blocking(move || {
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
        lines.next().expect("a line").expect("UTF-8")
    });
    // The stream begins when it is opened, which nobody tells of: there is something to see
    // until something was seen.
    let changing = async {
        for name in (0_u64..).map(|number| number.to_string()) {
            let user = v1::User {
                user_id: ana.to_string(),
                display_name: name,
                ..v1::User::default()
            };
            let change = v1::UpdateUserRequest {
                user: Some(user),
                update_mask: Some(mask(&["display_name"])),
            };
            let changed = it.user_admin().update_user(session.request(change)).await;
            changed.expect("changes");
        }
    };
    let line = tokio::select! {
        line = line => line.expect("no panic"),
        () = changing => unreachable!("it has no end"),
    };
    let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["kind"], "EVENT_KIND_USER_UPDATED");
    let interrupted = std::process::Command::new("kill")
        .args(["-s", "INT", &id])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let ended = tokio::task::spawn_blocking(move || watch.wait())
        .await
        .expect("no panic");
    assert!(ended.expect("a child").success());
}

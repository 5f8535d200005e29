//! `rollcall audit`.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rollcall::proto::v1;

use super::Person;
use crate::harness::{Harness, Replica, SignedIn, eventually, mask, process::rollcall};

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
    let (watch, mut lines) = watch(&it, &person, &[]);
    let line = tokio::task::spawn_blocking(move || next(&mut lines));
    // The stream begins when it is opened, which nobody tells of: there is something to see
    // until something was seen.
    let changing = async {
        for name in (0_u64..).map(|number| number.to_string()) {
            rename(&it, &session, &ana.to_string(), &name).await;
        }
    };
    let line = tokio::select! {
        line = line => line.expect("no panic"),
        () = changing => unreachable!("it has no end"),
    };
    let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["kind"], "EVENT_KIND_USER_UPDATED");
    interrupt(watch).await;
}

/// Starts to watch ana.
fn watch(it: &Replica, person: &Person, more: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let watch = ["audit", "watch", "--user", "ana", "--output", "json"];
    let mut command = rollcall(&[&watch[..], more].concat());
    command.env("ROLLCALL_SERVER", format!("http://{}", it.address));
    command.env("ROLLCALL_CREDENTIALS", person.credentials());
    command.stdout(Stdio::piped());
    let mut watch = command.spawn().expect("the binary runs");
    let stdout = watch.stdout.take().expect("piped");
    (watch, BufReader::new(stdout).lines())
}

fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    lines.next().expect("a line").expect("UTF-8")
}

async fn interrupt(mut watch: Child) {
    let id = watch.id().to_string();
    let interrupted = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(interrupted.expect("kill runs").success());
    let ended = tokio::task::spawn_blocking(move || watch.wait())
        .await
        .expect("no panic");
    assert!(ended.expect("a child").success());
}

async fn rename(it: &Harness, session: &SignedIn, user_id: &str, name: &str) {
    let user = v1::User {
        user_id: user_id.to_owned(),
        display_name: name.to_owned(),
        ..v1::User::default()
    };
    let change = v1::UpdateUserRequest {
        user: Some(user),
        update_mask: Some(mask(&["display_name"])),
    };
    let changed = it.user_admin().update_user(session.request(change)).await;
    changed.expect("changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_watch_with_the_same_cursor_file_goes_on_without_loss_or_repetition() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    let ana = it.create_user("ana", &[]).await.to_string();
    let path = person.folder().join("cursor");
    let file = ["--cursor-file", path.to_str().expect("UTF-8")];
    let (mut shown, mut changes) = (Vec::new(), 0);
    let mut change = async |times: u32| {
        for _ in 0..times {
            changes += 1;
            rename(&it, &session, &ana, &changes.to_string()).await;
        }
    };
    // While nobody watches, and before anybody did: of no interest.
    change(1).await;
    for (before, meanwhile) in [(0, 2), (2, 1), (1, 0)] {
        change(before).await;
        let (child, mut lines) = watch(&it, &person, &file);
        eventually("the cursor is kept", || path.exists()).await;
        change(meanwhile).await;
        let read = tokio::task::spawn_blocking(move || {
            let lines: Vec<_> = (0..before + meanwhile).map(|_| next(&mut lines)).collect();
            lines
        });
        let read = tokio::time::timeout(Duration::from_secs(60), read).await;
        // First of all, since who reads waits for it.
        interrupt(child).await;
        shown.extend(read.expect("the events are shown").expect("no panic"));
    }
    let mode = fs::metadata(&path).expect("kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = ["audit", "list", "--user", "ana", "--kind", "user-updated"];
    let as_json = [&list[..], &["--output", "json"]].concat();
    let mut listed = person.say(&as_json).await.json();
    listed.reverse();
    let shown: Vec<serde_json::Value> = shown
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(shown, listed[1..]);
}

//! `rollcall sessions`.

use rollcall::proto::v1;

use super::{Person, redacted};
use crate::harness::{Harness, device};

fn gadget(id: &str, name: &str, user_agent: &str, address: &str) -> v1::Device {
    v1::Device {
        display_name: name.to_owned(),
        user_agent: user_agent.to_owned(),
        ip_address: address.to_owned(),
        ..device(id)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stolen_phone_is_found_shown_and_ended() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    it.create_user("ana", &[]).await;
    let laptop = gadget("laptop", "Ana's laptop", "Firefox/1", "198.51.100.7");
    it.sign_in_on("ana", laptop).await;
    let phone = gadget("phone", "Ana's Pixel", "Pixel\u{1b}[31m", "203.0.113.9");
    let phone = it.sign_in_on("ana", phone).await;

    // As somebody would have it who writes to the database.
    let nasty = "UPDATE sessions SET display_name = E'Ana\\x1b[2J\u{202e}s Pixel', \
         last_user_agent = E'Pixel\\x1b[31m' WHERE device_id = 'phone'";
    it.sql(nasty).await;
    let listed = person
        .say(&["sessions", "list", "--login", "ana"])
        .await
        .done();
    insta::assert_snapshot!(redacted(&listed));
    let found = [
        "sessions",
        "list",
        "--user-agent-contains",
        "pixel",
        "--ip-prefix",
        "203.0.113.0/24",
        "--created-after",
        "1h",
        "--seen-before",
        "2999-01-01T00:00:00Z",
        "--generation",
        "..0",
        "--output",
        "json",
    ];
    let found = person.say(&found).await;
    assert!(!found.out.contains(['\u{1b}', '\u{202e}']), "{}", found.out);
    let found = found.json();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["sessionId"], *phone.session_id);
    assert_eq!(found[0]["state"], "SESSION_STATE_LIVE");
    let none = [
        "sessions",
        "list",
        "--login",
        "ana",
        "--created-before",
        "1h",
    ];
    let none = person.say(&none).await;
    assert_eq!(
        (none.err.as_str(), none.out.as_str()),
        ("there is none\n", "")
    );

    let shown = person
        .say(&["sessions", "get", &phone.session_id])
        .await
        .done();
    insta::assert_snapshot!(redacted(&shown));
    let unknown = uuid::Uuid::now_v7().to_string();
    let said = person
        .say(&["sessions", "revoke", &unknown, &phone.session_id])
        .await;
    assert_eq!(said.code, 1, "one of them failed");
    assert!(said.err.contains("SESSION_NOT_FOUND"), "{}", said.err);
    let ended = format!("{} has ended: revoked-by-admin at ", phone.session_id);
    assert!(said.out.starts_with(&ended), "{}", said.out);
    let all = ["sessions", "list", "--login", "ana", "--include-ended"];
    let listed = person.say(&all).await.done();
    assert!(listed.contains("  revoked-by-admin\n"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_user_are_counted_shown_and_ended_once_that_is_confirmed() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    let ana = it.create_user("ana", &[]).await.to_string();
    for number in 1..=12 {
        it.sign_in_on("ana", device(&format!("phone-{number}")))
            .await;
    }
    let kept = it.sign_in_on("ana", device("kept")).await.session_id;
    let before = it.database.contents().await;
    let user = ["sessions", "revoke-user", &ana, "--except", &kept];
    let with = |more: &[&'static str]| [&user[..], more].concat();
    let dry = person.say(&with(&["--dry-run"])).await.done();
    let lines: Vec<&str> = dry.lines().collect();
    assert_eq!(lines.len(), 12, "a header, ten, and the number: {dry}");
    assert_eq!(lines[11], "12 sessions of ana would be ended");
    let json = with(&["--dry-run", "--output", "json"]);
    assert_eq!(person.say(&json).await.json()[0]["revokedSessionCount"], 12);
    let (code, shown) = person.say_on_terminal(&user, "n\n").await;
    assert!(shown.contains("End 12 sessions of ana? [y/N]"), "{shown}");
    assert_eq!((code, it.database.contents().await), (1, before));

    let (code, shown) = person.say_on_terminal(&user, "y\n").await;
    assert!(shown.contains("ended 12 sessions of ana\n"), "{shown}");
    assert_eq!(code, 0);
    let (code, shown) = person.say_on_terminal(&user, "").await;
    assert!(
        shown.contains("0 sessions of ana would be ended"),
        "{shown}"
    );
    assert_eq!(code, 0);
    let rest = ["sessions", "revoke-user", "ana", "--yes"];
    let rest = person.say(&rest).await.done();
    assert_eq!(rest, "ended 1 session of ana\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_are_three_tables_or_one_line() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    it.database.until_counted().await;
    it.sql("UPDATE session_stats SET begun_at = '-infinity', computed_at = NULL, took = NULL")
        .await;
    let _counting = it.replica().await;
    it.database.until_counted().await;
    let stats = ["sessions", "stats"];
    let shown = person.say(&stats).await.done();
    let tables: Vec<Vec<&str>> = shown
        .split("\n\n")
        .map(|table| table.lines().collect())
        .collect();
    assert_eq!(tables.len(), 3, "{shown}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        tables[0]
            .iter()
            .any(|line| words(line) == "live_session_count 1"),
        "{shown}"
    );
    assert_eq!(words(tables[1][1]), "test 1 1");
    assert_eq!(words(tables[2][0]), "DAY OPENED ENDED");
    assert!(
        tables[2].len() == 32 && words(tables[2][1]).ends_with(" 1 0"),
        "{shown}"
    );
    let as_json = [&stats[..], &["--output", "json"]].concat();
    let json = person.say(&as_json).await.json();
    assert_eq!((json.len(), &json[0]["liveSessionCount"]), (1, &"1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn list_goes_through_all_pages_and_stops_where_it_is_told() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    // The same session, a thousand times: what a list shows is what the rows say.
    let user = &session.user_id;
    it.sql(&format!(
        "INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).* \
         FROM sessions AS s, generate_series(1, 1000) WHERE s.user_id = '{user}'"
    ))
    .await;
    let all = person
        .say(&["sessions", "list", "--output", "json"])
        .await
        .json();
    let ids: std::collections::HashSet<_> =
        all.iter().map(|it| it["sessionId"].to_string()).collect();
    assert_eq!((all.len(), ids.len()), (1_001, 1_001));
    let table = person.say(&["sessions", "list"]).await;
    assert!(
        table.err.contains("the first 100: --limit N"),
        "{}",
        table.err
    );
    assert_eq!(table.done().lines().count(), 101);
    let table = person.say(&["sessions", "list", "--limit", "0"]).await;
    assert_eq!(table.err, "");
    let table = table.done();
    let headers = table
        .lines()
        .filter(|line| line.starts_with("SESSION"))
        .count();
    assert_eq!((table.lines().count(), headers), (1_002, 1));
    let some = ["sessions", "list", "--limit", "501", "--output", "json"];
    assert_eq!(person.say(&some).await.json().len(), 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_make_no_sense_are_named() {
    let person = Person::at("http://127.0.0.1:1");
    for (arguments, expected) in [
        (["--generation", "3-4"], "3..10"),
        (["--created-after", "yesterday"], "2026-11-25T08:30:00Z"),
        (["--limit", "many"], "--limit"),
        (["--output", "xml"], "table, json"),
    ] {
        let list = [&["sessions", "list"][..], &arguments].concat();
        let refused = person.say(&list).await.failed(2);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_who_has_seen_enough_is_no_failure() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    let script = "\"$0\" sessions list --output json | true; \"$0\" completions bash | true; \
         echo \"${PIPESTATUS[@]}\"";
    let mut command = std::process::Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_rollcall")]);
    command.env("ROLLCALL_SERVER", format!("http://{}", it.address));
    command.env("ROLLCALL_CREDENTIALS", person.credentials());
    let output = crate::harness::process::run(command, "").await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 0\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

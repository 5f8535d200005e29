//! `rollcall sessions revoke-all`.

mod fake;

use super::{Person, redacted};
use crate::harness::{Harness, device};
use fake::{Fake, broken, done, progress};

#[tokio::test(flavor = "multi_thread")]
async fn broken_stream_goes_on_from_its_cursor_and_the_numbers_add_up() {
    let fake = Fake::start(vec![
        vec![
            progress(500, 600, "a"),
            progress(1_000, 1_200, "b"),
            broken(),
        ],
        vec![broken()],
        vec![progress(7, 10, "c"), done(234, 300)],
    ]);
    let person = fake.person().await;
    let all = ["sessions", "revoke-all", "--client-id", "web", "--yes"];
    let said = person.say(&all).await;
    assert!(
        said.err.contains("the connection broke; going on"),
        "{}",
        said.err
    );
    assert_eq!(said.done(), "ended 1,234 sessions\n");
    assert_eq!(fake.cursors(), ["", "b", "b"]);
    assert!(fake.requests().iter().all(|request| !request.validate_only));
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_that_keeps_breaking_is_given_up_and_says_how_far_it_was() {
    let mut scripts = vec![vec![progress(3, 3, "a"), broken()]];
    scripts.resize_with(20, || vec![broken()]);
    let fake = Fake::start(scripts);
    let person = fake.person().await;
    let all = ["sessions", "revoke-all", "--client-id", "web", "--yes"];
    let said = person.say(&all).await.failed(4);
    assert!(said.contains("broken off after 3 sessions"), "{said}");
    assert_eq!(fake.cursors().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_that_ends_before_all_is_done_is_a_broken_one() {
    let fake = Fake::start(vec![vec![progress(5, 5, "a")], vec![done(0, 0)]]);
    let person = fake.person().await;
    let all = ["sessions", "revoke-all", "--client-id", "web", "--dry-run"];
    let said = person.say(&all).await.done();
    insta::assert_snapshot!(redacted(&said));
    assert_eq!(fake.cursors(), ["", "a"]);
    assert!(fake.requests().iter().all(|request| request.validate_only));
}

#[tokio::test(flavor = "multi_thread")]
async fn number_that_is_typed_ends_them_and_any_other_answer_does_not() {
    let all = ["sessions", "revoke-all", "--client-id", "web"];
    let found = || vec![progress(9, 9, "a"), done(12_345, 20_000)];
    let fake = Fake::start(vec![found()]);
    let (code, shown) = fake.person().await.say_on_terminal(&all, "y\n").await;
    assert!(
        shown.contains("End 12,345 sessions? Type the number:"),
        "{shown}"
    );
    assert!(shown.contains("rollcall: nothing was done"), "{shown}");
    assert_eq!((code, fake.requests().len()), (1, 1));
    assert!(fake.requests()[0].validate_only);

    for typed in ["12345\n", "12,345\n"] {
        let fake = Fake::start(vec![found(), vec![done(12_340, 20_000)]]);
        let (code, shown) = fake.person().await.say_on_terminal(&all, typed).await;
        assert!(shown.contains("ended 12,340 sessions"), "{shown}");
        let dry: Vec<_> = fake.requests().iter().map(|it| it.validate_only).collect();
        assert_eq!((code, &*dry), (0, &[true, false][..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_end_is_said_and_no_failure() {
    let all = ["sessions", "revoke-all", "--client-id", "web"];
    let none = "no live session meets the filter\n";
    let fake = Fake::start(vec![vec![done(0, 9)], vec![done(0, 9)]]);
    let person = fake.person().await;
    let said = person.say(&[&all[..], &["--yes"]].concat()).await;
    assert_eq!(said.done(), none);
    let (code, shown) = person.say_on_terminal(&all, "").await;
    assert!(code == 0 && shown.ends_with(none), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_counts_and_shows_ten_and_only_yes_ends_them() {
    let it = Harness::start().await;
    let (person, session) = Person::operator(&it).await;
    it.create_user("ana", &[]).await;
    for number in 1..=12 {
        it.sign_in_on("ana", device(&format!("phone-{number}")))
            .await;
    }
    let before = it.database.contents().await;
    let all = ["sessions", "revoke-all", "--client-id", "test"];
    let dry = person
        .say(&[&all[..], &["--dry-run"]].concat())
        .await
        .done();
    let lines: Vec<&str> = dry.lines().collect();
    assert_eq!(lines.len(), 12, "a header, ten, and the number: {dry}");
    assert_eq!(lines[11], "12 sessions would be ended");
    let dry = [&all[..], &["--dry-run", "--output", "json"]].concat();
    assert_eq!(
        person.say(&dry).await.json()[0]["revokedSessionCount"],
        "12"
    );
    person.say(&all).await.failed(2);
    assert_eq!(it.database.contents().await, before);

    let ended = person.say(&[&all[..], &["--yes"]].concat()).await.done();
    assert_eq!(ended, "ended 12 sessions\n");
    // The session that calls goes on.
    person
        .say(&["sessions", "get", &session.session_id])
        .await
        .done();
    let none = person
        .say(&["sessions", "revoke-all", "--yes"])
        .await
        .failed(1);
    assert!(none.contains("filter"), "{none}");
}

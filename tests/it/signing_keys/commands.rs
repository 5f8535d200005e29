//! `rollcall keys list`, `rotate` and `reseal`, around a running server.

use rollcall::identity::MasterKey;

use super::{LEAD, kid, load::master_keys, refreshed, takes};
use crate::harness::{
    Database, Harness, Replica, master_key,
    process::{rollcall, run},
};

/// Runs `rollcall keys` to its end, and answers whether it succeeded and what it said.
async fn keys(database: &Database, master_key: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut command = rollcall(&[&["keys"], arguments].concat());
    command.env("DATABASE_URL", database.url());
    command.env("ROLLCALL_MASTER_KEY", master_key);
    let output = run(command, "").await;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!out.contains("rcm_") && !err.contains("rcm_"), "{err}");
    (output.status.success(), out, err)
}

#[tokio::test(flavor = "multi_thread")]
async fn list_shows_a_line_for_each_key_and_needs_no_master_key() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.database.age_keys("next", LEAD).await;
    super::rotate(&it, &admin, false).await.expect("rotates");
    let (succeeded, out, err) = keys(&it.database, "", &["list"]).await;
    assert!(succeeded && err.is_empty(), "{err}");
    let lines: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let header = "KID ALGORITHM STATE CREATED ACTIVATED RETIRED EXPIRES";
    assert_eq!(lines[0].join(" "), header);
    let shown: Vec<_> = lines[1..]
        .iter()
        .map(|line| (line[0].to_owned(), line[1], line[2]))
        .collect();
    let key = async |state| it.database.key(state).await;
    let expected = [
        (key("next").await, "EdDSA", "next"),
        (key("retiring").await, "EdDSA", "retiring"),
        (key("active").await, "EdDSA", "active"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(lines[1][4..], ["-", "-", "-"]);
    assert!(lines[2][3..].iter().all(|time| time.ends_with('Z')));
}

#[tokio::test(flavor = "multi_thread")]
async fn list_of_no_keys_says_who_makes_them() {
    let database = Database::create().await;
    let (succeeded, out, err) = keys(&database, "", &["list"]).await;
    assert!(succeeded && out.is_empty());
    assert!(err.contains("a server makes them"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotate_waits_for_the_lead_and_then_rotates() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let (succeeded, _, err) = keys(&it.database, &master_key(), &["rotate"]).await;
    assert!(!succeeded);
    assert!(err.contains("--signing-key-lead"), "{err}");

    let next = it.database.key("next").await;
    it.database.age_keys("next", LEAD).await;
    let (succeeded, _, err) = keys(&it.database, &master_key(), &["rotate"]).await;
    assert!(succeeded, "{err}");
    let said = format!("the signing key is {next} (EdDSA)");
    assert_eq!(err.lines().last(), Some(&*said));
    it.identity.load_signing_keys().await.expect("looks");
    takes(&it, &phone.access_token).expect("is retiring");
    let (_, token) = refreshed(&it, &phone.refresh_token).await;
    assert_eq!(kid(&token), next);
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_rotate_does_not_wait() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let rotate = ["rotate", "--emergency"];
    let (succeeded, _, err) = keys(&it.database, &master_key(), &rotate).await;
    assert!(succeeded, "{err}");
    assert!(err.contains("dropped, with their tokens"), "{err}");
    it.identity.load_signing_keys().await.expect("looks");
    takes(&it, &phone.access_token).expect_err("is dropped");
    let (_, token) = refreshed(&it, &phone.refresh_token).await;
    takes(&it, &token).expect("a new token is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn reseal_says_how_many_and_frees_from_the_old_master_key() {
    let database = Database::create().await;
    let [old, new] = master_keys();
    drop(Replica::start(&database, &["--master-key", &old]).await);
    let both = format!("{new}\n{old}\n");
    let (succeeded, _, err) = keys(&database, &both, &["reseal"]).await;
    assert!(succeeded, "{err}");
    let said = "2 signing keys resealed under the first master key, 0 already were\n";
    assert_eq!(err, said);
    let (_, _, err) = keys(&database, &both, &["reseal"]).await;
    let said = "0 signing keys resealed under the first master key, 2 already were\n";
    assert_eq!(err, said);
    Replica::start(&database, &["--master-key", &new]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_the_database_opens_nothing_with_another_master_key() {
    let it = Harness::start().await;
    let before = it.database.contents().await;
    let other = MasterKey::generate().expect("random bytes").expose();
    let commands: [&[&str]; 3] = [&["rotate"], &["rotate", "--emergency"], &["reseal"]];
    for command in commands {
        let (succeeded, _, err) = keys(&it.database, &other, command).await;
        assert!(!succeeded);
        assert!(err.contains("no master key opens signing key"), "{err}");
    }
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn master_key_that_is_missing_or_there_twice_is_named() {
    let database = Database::create().await;
    let command = rollcall(&["keys", "reseal", "--database-url", database.url()]);
    let output = run(command, "").await;
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains("a master key is required"), "{said}");

    let key = master_key();
    let (succeeded, _, err) = keys(&database, &format!("{key} {key}"), &["reseal"]).await;
    assert!(!succeeded);
    assert!(
        err.contains("--master-key") && err.contains("twice"),
        "{err}"
    );
}

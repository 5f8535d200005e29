//! `rollcall keys list`, `rotate` and `reseal`, as an operator.

use rollcall::identity::MasterKey;

use super::{Person, redacted};
use crate::harness::{Database, Harness, Replica};

/// More than the lead of a key.
const LEAD: &str = "1 hour";

async fn key(database: &Database, state: &str) -> String {
    let query = format!("SELECT kid FROM signing_keys WHERE state = '{state}'");
    let rows = database.sql(&query).await;
    assert_eq!(rows.len(), 1, "{state}");
    rows[0].get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn rotate_waits_for_the_lead_unless_it_is_an_emergency_and_list_shows_it() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    let refused = person.say(&["keys", "rotate"]).await.failed(1);
    assert!(
        refused.contains("reason: NEXT_KEY_TOO_NEW\n  try again in: "),
        "{refused}"
    );

    let next = key(&it.database, "next").await;
    it.database.age_keys("next", LEAD).await;
    let rotated = person.say(&["keys", "rotate"]).await.done();
    assert_eq!(rotated, format!("the signing key is {next} (EdDSA)\n"));
    let mut listed = person.say(&["keys", "list"]).await.done();
    for state in ["next", "active", "retiring"] {
        let kid = key(&it.database, state).await;
        listed = listed.replace(&kid, &format!("{:<1$}", state.to_uppercase(), kid.len()));
    }
    insta::assert_snapshot!(redacted(&listed));

    let next = key(&it.database, "next").await;
    let rotate = ["keys", "rotate", "--emergency", "--yes", "--output", "json"];
    // The access token dies with the key that the answer comes with.
    let rotated = person.say(&rotate).await.json();
    assert_eq!(rotated[0]["signingKey"]["kid"], *next);
    let listed = person
        .say(&["keys", "list", "--output", "json"])
        .await
        .json();
    let dropped = listed
        .iter()
        .filter(|key| key["state"] == "SIGNING_KEY_STATE_DROPPED");
    assert_eq!(dropped.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn reseal_says_how_many_and_frees_from_the_old_master_key() {
    let database = Database::create().await;
    let [old, new] = [(); 2].map(|()| {
        let key = MasterKey::generate().expect("random bytes");
        key.expose().to_string()
    });
    drop(Replica::start(&database, &["--master-key", &old]).await);
    let both = format!("{new},{old}");
    let it = Replica::start(&database, &["--master-key", &both]).await;
    let (person, _) = Person::operator(&it).await;
    let reseal = ["keys", "reseal"];
    let said = person.say(&reseal).await.done();
    assert_eq!(
        said,
        "2 signing keys resealed under the first master key, 0 already were\n"
    );
    let said = person.say(&reseal).await.done();
    assert_eq!(
        said,
        "0 signing keys resealed under the first master key, 2 already were\n"
    );
    Replica::start(&database, &["--master-key", &new]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_nobody_elses_to_change() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let person = Person::at(&format!("http://{}", it.address));
    person.keep(&it.sign_in("ana").await).await;
    let before = it.database.contents().await;
    for command in [["keys", "list"], ["keys", "rotate"], ["keys", "reseal"]] {
        let refused = person.say(&command).await.failed(1);
        assert!(refused.contains("ADMIN_REQUIRED"), "{refused}");
    }
    assert_eq!(it.database.contents().await, before);
}

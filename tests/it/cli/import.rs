//! `rollcall users import` and `export`.

use super::Person;
use crate::harness::{Harness, PASSWORD, authenticate};

/// A hash of [`PASSWORD`] as another system may have made it.
async fn foreign_hash(it: &Harness) -> String {
    let hash = "SELECT password_hash FROM users WHERE login = 'operator'";
    it.scalar::<String>(hash).await
}

#[tokio::test(flavor = "multi_thread")]
async fn import_tells_each_line_that_fails_and_imports_the_others() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    let hash = foreign_hash(&it).await;
    let lines = format!(
        "{{\"login\": \"ana\", \"passwordHash\": \"{hash}\", \"displayName\": \"Ana\", \"roles\": [\"support\"]}}\n\
         \n\
         not json\n\
         {{\"login\": \"bad login\\n\"}}\n\
         {{\"login\": \"operator\"}}\n\
         {{\"login\": \"ben\", \"pasword\": \"x\"}}\n\
         {{\"login\": \"chloe\", \"passwordHash\": \"$1$weak\"}}\n\
         {{\"login\": \"dora\"}}"
    );
    let file = person.file("users.jsonl", &lines);
    let said = person.say(&["users", "import", &file]).await;
    assert_eq!(said.code, 1, "{}", said.err);
    let summary = "imported 2 users, passed over 1 that exist, failed 4\n";
    assert_eq!(said.out, summary, "{}", said.err);
    for line in [
        "line 3: ",
        "line 4: login: ",
        "line 6: ",
        "line 7: password_hash: ",
    ] {
        assert!(said.err.contains(line), "{line}: {}", said.err);
    }
    assert!(!said.err.contains("$1$weak"), "{}", said.err);
    it.auth()
        .authenticate(authenticate("ana"))
        .await
        .expect(PASSWORD);

    // All that could be imported is there, and passed over.
    let again = person
        .say_with(&["users", "import", "-", "--output", "json"], &lines)
        .await;
    assert_eq!(again.code, 1);
    let reply: serde_json::Value = serde_json::from_str(&again.out).expect("JSON");
    assert_eq!(reply["existingUserCount"], "3");
    assert_eq!(reply["importedUserCount"], serde_json::Value::Null);
    assert_eq!(reply["failedUserCount"], "4", "with those that are no user");
    let bad = "{\"login\": \"\"}\n".repeat(1_103);
    let many = person.say_with(&["users", "import", "-"], &bad).await;
    assert!(many.err.contains("line 100: login: "), "{}", many.err);
    assert!(!many.err.contains("line 101: "), "{}", many.err);
    assert!(many.err.contains("\nand 1,003 more\n"), "{}", many.err);
    let missing = person.say(&["users", "import", "/nowhere"]).await.failed(1);
    assert!(missing.contains("/nowhere: No such file"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_is_imported_elsewhere() {
    let it = Harness::start().await;
    let (person, _) = Person::operator(&it).await;
    it.sql(
        "WITH new AS (INSERT INTO users (id, login, display_name, roles, password_hash, created_at, \
           updated_at, sessions_valid_after) \
         SELECT gen_random_uuid(), 'user' || n, 'User ' || n, '{support}', '', now(), now(), now() \
         FROM generate_series(1, 1200) AS n RETURNING id, login) \
         INSERT INTO user_logins (login, user_id) SELECT login, id FROM new",
    )
    .await;
    let exported = person
        .say(&["users", "export", "--role", "support"])
        .await
        .done();
    assert_eq!(exported.lines().count(), 1_200);
    assert!(!exported.contains("argon2"));

    let elsewhere = Harness::start().await;
    let (person, _) = Person::operator(&elsewhere).await;
    let imported = person
        .say_with(&["users", "import", "-"], &exported)
        .await
        .done();
    assert_eq!(
        imported,
        "imported 1,200 users, passed over 0 that exist, failed 0\n"
    );
    let again = person
        .say(&["users", "export", "--role", "support"])
        .await
        .json();
    assert_eq!(again.len(), 1_200);
    assert_eq!(again[0]["roles"], serde_json::json!(["support"]));
}

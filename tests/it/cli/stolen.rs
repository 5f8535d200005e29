//! A stolen phone in a crowd.

use super::Person;
use crate::harness::{Harness, device};

#[tokio::test(flavor = "multi_thread")]
async fn stolen_phone_is_found_among_ten_thousand_ended_and_the_trail_says_by_whom() {
    let it = Harness::start().await;
    let (person, operator) = Person::operator(&it).await;
    it.create_user("ana", &[]).await;
    let mut phone = device("phone");
    phone.user_agent = "Pixel 9".to_owned();
    phone.ip_address = "203.0.113.9".to_owned();
    let phone = it.sign_in_on("ana", phone).await;
    it.sql(
        "INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object( \
           'id', gen_random_uuid(), 'device_id', 'device-' || n, \
           'last_user_agent', CASE n % 3 WHEN 0 THEN 'Pixel 9' ELSE 'Firefox' END, \
           'ip_address', '198.51.100.' || n % 250, 'last_ip_address', '198.51.100.' || n % 250))).* \
         FROM sessions AS s, generate_series(1, 10000) AS n WHERE s.device_id = 'phone'",
    )
    .await;

    let found = [
        "sessions",
        "list",
        "--user-agent-contains",
        "pixel",
        "--ip-prefix",
        "203.0.113.0/24",
        "--seen-after",
        "2h",
        "--output",
        "json",
    ];
    let listed = person.say(&found).await.json();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["sessionId"], *phone.session_id);
    let revoke = ["sessions", "revoke", &phone.session_id];
    person.say(&revoke).await.done();
    assert_eq!(person.say(&found).await.done(), "");
    let live = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL";
    assert_eq!(it.scalar::<i64>(live).await, 10_001);
    let trail = ["audit", "list", "--session-id", &phone.session_id];
    let as_json = [&trail[..], &["--output", "json"]].concat();
    let trail = person.say(&as_json).await.json();
    assert_eq!(trail[0]["kind"], "EVENT_KIND_SESSION_ENDED");
    assert_eq!(trail[0]["actor"]["userId"], *operator.user_id);
    assert_eq!(trail[0]["actor"]["sessionId"], *operator.session_id);
}

//! What the audit trail tells of sign-ins that fail.

use rollcall::proto::v1;

use super::{WRONG, assert_refused, count, events};
use crate::harness::{Harness, PASSWORD};

/// The failures that are told, oldest first: of whom, and what.
async fn failures(it: &Harness) -> Vec<String> {
    let rows = it
        .sql(
            "SELECT concat_ws(' ', coalesce(u.login, e.user_id::text), e.kind, \
               e.detail ->> 'reason', e.detail ->> 'failed_attempts', e.detail ->> 'client_id', \
               host(e.ip_address)) \
             FROM audit_events AS e LEFT JOIN users AS u ON u.id = e.user_id \
             WHERE e.kind IN ('SIGN_IN_FAILED', 'USER_LOCKED') ORDER BY e.created_at, e.kind",
        )
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_told_with_its_reason_and_no_word_of_what_was_typed() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    it.create_user("disabled", &[]).await;
    it.sql("UPDATE users SET disabled_at = now() WHERE login = 'disabled'")
        .await;
    assert_refused(&it, "violet-anchor-mosaic-75", PASSWORD).await;
    assert_refused(&it, "disabled", PASSWORD).await;
    assert_refused(&it, "ana", WRONG).await;
    count(&it, 99, 99, "NULL").await;
    assert_refused(&it, "ana", WRONG).await;
    // Not told again within a minute.
    assert_refused(&it, "ana", PASSWORD).await;
    assert_refused(&it, "ana", PASSWORD).await;
    assert_eq!(
        failures(&it).await,
        [
            "00000000-0000-0000-0000-000000000000 SIGN_IN_FAILED UNKNOWN_LOGIN 0 test 127.0.0.1",
            "disabled SIGN_IN_FAILED DISABLED 0 test 127.0.0.1",
            "ana SIGN_IN_FAILED WRONG_PASSWORD 1 test 127.0.0.1",
            "ana SIGN_IN_FAILED WRONG_PASSWORD 100 test 127.0.0.1",
            "ana USER_LOCKED WRONG_PASSWORD 100 test 127.0.0.1",
            "ana SIGN_IN_FAILED LOCKED 0 test 127.0.0.1",
        ]
    );
    assert_eq!(
        events(&it, "audit_events::text LIKE '%violet-anchor%'").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_user_is_told_of_again_after_a_minute() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 100, 100, "NULL").await;
    assert_refused(&it, "ana", PASSWORD).await;
    it.sql(
        "UPDATE audit_events SET created_at = created_at - interval '61 s', \
         id = (lpad(to_hex(((extract(epoch FROM created_at) - 61) * 1000)::bigint), 12, '0') \
           || substr(replace(id::text, '-', ''), 13))::uuid",
    )
    .await;
    assert_refused(&it, "ana", PASSWORD).await;
    let locked = "kind = 'SIGN_IN_FAILED' AND detail ->> 'reason' = 'LOCKED'";
    assert_eq!(events(&it, locked).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_is_told_with_its_session_and_device() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let device = v1::Device {
        device_id: "phone".to_owned(),
        display_name: "Ana's Pixel".to_owned(),
        client_id: "test".to_owned(),
        user_agent: "test/1".to_owned(),
        ip_address: "192.0.2.7".to_owned(),
    };
    let ana = it.sign_in_on("ana", device).await;
    let told = format!(
        "kind = 'SIGNED_IN' AND user_id = '{}' AND session_id = '{}' AND actor_id IS NULL \
         AND request_id <> '' AND ip_address = '192.0.2.7' AND detail = \
         '{{\"device\": {{\"device_id\": \"phone\", \"display_name\": \"Ana''s Pixel\", \
           \"client_id\": \"test\", \"origin\": {{\"user_agent\": \"test/1\", \
           \"ip_address\": \"192.0.2.7\"}}}}, \"new_device\": false, \"new_network\": false}}'",
        ana.user_id, ana.session_id
    );
    assert_eq!(events(&it, &told).await, 1);
    let others = "kind <> 'USER_CREATED'";
    assert_eq!(events(&it, others).await, 1, "a first session is not news");
}

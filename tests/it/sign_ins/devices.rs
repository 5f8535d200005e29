//! Devices and networks that a user was not seen on before.

use rollcall::proto::v1;

use super::events;
use crate::harness::{Harness, SignedIn, request_id};

fn device(device_id: &str, user_agent: &str, ip_address: &str) -> v1::Device {
    v1::Device {
        device_id: device_id.to_owned(),
        user_agent: user_agent.to_owned(),
        ip_address: ip_address.to_owned(),
        ..crate::harness::device("")
    }
}

/// What is new about a session as its event tells: the device, the network.
async fn news(it: &Harness, session: &SignedIn) -> (bool, bool) {
    let rows = it
        .sql(&format!(
            "SELECT (detail ->> 'new_device')::boolean, (detail ->> 'new_network')::boolean \
             FROM audit_events WHERE kind = 'SIGNED_IN' AND session_id = '{0}' AND \
             ((detail ->> 'new_device')::boolean OR (detail ->> 'new_network')::boolean) = \
             EXISTS (SELECT FROM audit_events WHERE kind = 'NEW_DEVICE' \
               AND session_id = '{0}')",
            session.session_id
        ))
        .await;
    assert_eq!(rows.len(), 1, "told once, and again where it is news");
    (rows[0].get(0), rows[0].get(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn device_and_network_are_news_once() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    it.create_user("ben", &[]).await;
    let other = device("tablet", "app/1", "203.0.113.1");
    it.sign_in_on("ben", other).await;
    for (device_id, user_agent, ip_address, expected) in [
        ("phone", "app/1", "192.0.2.1", (false, false)),
        ("phone", "app/2", "192.0.2.200", (false, false)),
        ("tablet", "app/1", "192.0.2.1", (true, false)),
        ("tablet", "app/1", "198.51.100.1", (false, true)),
        ("tablet", "app/1", "198.51.100.2", (false, false)),
        // Without an id, the user agent tells.
        ("", "app/2", "192.0.2.1", (false, false)),
        ("", "app/3", "192.0.2.1", (true, false)),
        ("", "app/3", "192.0.2.1", (false, false)),
        ("watch", "app/4", "2001:db8:1::1", (true, true)),
        ("watch", "app/4", "2001:db8:1:ffff::1", (false, false)),
        ("watch", "app/4", "2001:db8:2::1", (false, true)),
    ] {
        let device = device(device_id, user_agent, ip_address);
        let session = it.sign_in_on("ana", device.clone()).await;
        assert_eq!(news(&it, &session).await, expected, "{device:?}");
    }
    assert_eq!(events(&it, "kind = 'NEW_DEVICE'").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn device_of_another_client_is_another_device() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let here = device("phone", "app/1", "192.0.2.1");
    it.sign_in_on("ana", here.clone()).await;
    let client = v1::Device {
        client_id: "other".to_owned(),
        ..here
    };
    let session = it.sign_in_on("ana", client).await;
    assert_eq!(news(&it, &session).await, (true, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn network_that_a_session_was_refreshed_from_is_known() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone", "", "192.0.2.1")).await;
    let refresh = v1::RefreshRequest {
        refresh_token: phone.refresh_token,
        request_id: request_id(),
        ip_address: "198.51.100.9".to_owned(),
        ..v1::RefreshRequest::default()
    };
    it.auth().refresh(refresh).await.expect("refreshes");
    let session = it
        .sign_in_on("ana", device("phone", "", "198.51.100.1"))
        .await;
    assert_eq!(news(&it, &session).await, (false, false));
}

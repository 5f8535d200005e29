//! Every device has a session of its own.

use rollcall::proto::v1;

use crate::harness::{Harness, device, reason, request_id, successor};

#[tokio::test(flavor = "multi_thread")]
async fn second_device_leaves_the_first_alone() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let laptop = it.sign_in_on("ana", device("laptop")).await;
    assert_ne!(phone.session_id, laptop.session_id);

    let phone_next = it
        .refresh(&phone.refresh_token, &request_id())
        .await
        .expect("lives");
    let laptop_next = it
        .refresh(&laptop.refresh_token, &request_id())
        .await
        .expect("lives");
    it.refresh(successor(&phone_next), &request_id())
        .await
        .expect("lives");
    it.refresh(successor(&laptop_next), &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_on_the_same_device_replaces_its_session() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let earlier = it.sign_in_on("ana", device("phone")).await;
    let other = it.sign_in_on("ana", device("laptop")).await;
    let later = it.sign_in_on("ana", device("phone")).await;

    let refused = it
        .refresh(&earlier.refresh_token, &request_id())
        .await
        .expect_err("replaced");
    assert_eq!(reason(&refused), "SESSION_ENDED");
    it.refresh(&later.refresh_token, &request_id())
        .await
        .expect("lives");
    it.refresh(&other.refresh_token, &request_id())
        .await
        .expect("lives");
    let ended: String = it
        .scalar("SELECT end_reason FROM sessions WHERE revoked_at IS NOT NULL")
        .await;
    assert_eq!(ended, "REPLACED");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sign_ins_at_once_on_one_device_leave_one_live_session() {
    let it = Harness::with(&["--hashing-queue=50"]).await;
    it.create_user("ana", &[]).await;
    let sign_ins = (0..50).map(|_| it.sign_in_on("ana", device("phone")));
    futures_util::future::join_all(sign_ins).await;
    let live: i64 = it
        .scalar("SELECT count(*) FROM sessions WHERE revoked_at IS NULL")
        .await;
    let all: i64 = it.scalar("SELECT count(*) FROM sessions").await;
    assert_eq!((live, all), (1, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn session_list_shows_own_live_devices_newest_first() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    it.create_user("ben", &[]).await;
    it.sign_in("ben").await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let laptop = it.sign_in_on("ana", device("laptop")).await;
    let request = laptop.request(v1::ListMySessionsRequest::default());
    let reply = it
        .auth()
        .list_my_sessions(request)
        .await
        .expect("lists")
        .into_inner();
    let ids: Vec<_> = reply
        .sessions
        .iter()
        .map(|s| s.session_id.as_str())
        .collect();
    assert_eq!(ids, [laptop.session_id.as_str(), &phone.session_id]);
    assert_eq!(reply.current_session_id, laptop.session_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_opened_after_the_database_s_clock_was_set_back_is_live() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    // When all sessions of ana were ended, as that clock had it.
    it.sql("UPDATE users SET sessions_valid_after = now() + interval '1 hour'")
        .await;
    let phone = it.sign_in("ana").await;
    it.refresh(&phone.refresh_token, &request_id())
        .await
        .expect("lives");
}

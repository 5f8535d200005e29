//! Revoked is revoked: on every replica, against refreshes in flight, after a restart.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use rollcall::proto::v1;

use crate::harness::{
    Harness, REVOKE, ROTATE, Replica, SignedIn, device, end_reason, reason, refresh_at_once,
    request_id, successor,
};

async fn revoke(replica: &Replica, admin: &SignedIn, session_id: &str) {
    let request = admin.request(v1::RevokeSessionRequest {
        session_id: session_id.to_owned(),
    });
    let revoked = replica.session_admin().revoke_session(request).await;
    revoked.expect("revoked");
}

async fn log_out(replica: &Replica, refresh_token: &str) {
    let request = v1::LogoutRequest {
        refresh_token: refresh_token.to_owned(),
    };
    replica.auth().logout(request).await.expect("logs out");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_against_64_refreshes_in_flight_leaves_none_of_their_tokens_good() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    for round in 0..20 {
        let phone = it.sign_in("ana").await;
        let id = request_id();
        let ids = vec![id.clone(); 64];
        let replicas: [&Replica; 2] = [&it, &other];
        let lock = it.database.lock_session(&phone.session_id).await;
        let refreshes = refresh_at_once(&replicas, &phone.refresh_token, &ids);
        let revoking = revoke(replicas[round % 2], &admin, &phone.session_id);
        let start = async {
            it.database.until_blocked(ROTATE, 6).await;
            lock.release().await;
        };
        let (answers, (), ()) = tokio::join!(refreshes, revoking, start);

        let (generation, ended) = it.database.standing(&phone.session_id).await;
        assert!(generation <= 1);
        assert_eq!(ended.as_deref(), Some("REVOKED_BY_ADMIN"));
        let replay = it.refresh(&phone.refresh_token, &id).await;
        assert_eq!(
            end_reason(&replay.expect_err("revoked")),
            "REVOKED_BY_ADMIN"
        );
        for answer in answers {
            let refused = match answer {
                Ok(next) => it
                    .refresh(successor(&next), &request_id())
                    .await
                    .expect_err("revoked"),
                Err(refused) => refused,
            };
            assert_eq!(end_reason(&refused), "REVOKED_BY_ADMIN");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_that_waited_behind_a_revoke_is_refused() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let lock = it.database.lock_session(&phone.session_id).await;
    let in_line = async {
        it.database.until_blocked(REVOKE, 1).await;
        // All of them are in line before the lock is released: one that came at that
        // moment could overtake the revoke.
        let ids = vec![request_id(); 12];
        let replicas: [&Replica; 2] = [&it, &other];
        let refreshes = refresh_at_once(&replicas, &phone.refresh_token, &ids);
        let start = async {
            it.database.until_blocked(ROTATE, 12).await;
            lock.release().await;
        };
        tokio::join!(refreshes, start).0
    };
    let ((), answers) = tokio::join!(revoke(&it, &admin, &phone.session_id), in_line);
    for answer in answers {
        assert_eq!(
            end_reason(&answer.expect_err("revoked")),
            "REVOKED_BY_ADMIN"
        );
    }
    assert_eq!(it.database.standing(&phone.session_id).await.0, 0);
}

/// Refreshes again and again until refused: never once `revoked` was seen before.
async fn refresh_until_refused(replica: &Replica, mut token: String, revoked: &AtomicBool) {
    loop {
        let is_revoked = revoked.load(Ordering::SeqCst);
        match replica.refresh(&token, &request_id()).await {
            Ok(next) => {
                assert!(!is_revoked, "refreshed after the revoke had returned");
                successor(&next).clone_into(&mut token);
            }
            Err(refused) => {
                assert_eq!(end_reason(&refused), "REVOKED_BY_ADMIN");
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_everywhere_stops_devices_that_refresh_without_pause() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    let ana = it.create_user("ana", &[]).await;
    for _ in 0..5 {
        let devices = join_all((0..8).map(|_| it.sign_in("ana"))).await;
        let revoked = AtomicBool::new(false);
        let replicas = [&*it, &other];
        let refreshing = devices.iter().enumerate().map(|(at, device)| {
            refresh_until_refused(replicas[at % 2], device.refresh_token.clone(), &revoked)
        });
        let revoking = async {
            let request = v1::RevokeUserSessionsRequest {
                user_id: ana.to_string(),
                ..v1::RevokeUserSessionsRequest::default()
            };
            let request = admin.request(request);
            let reply = it.session_admin().revoke_user_sessions(request).await;
            revoked.store(true, Ordering::SeqCst);
            reply.expect("revokes").into_inner().revoked_session_count
        };
        let (_, count) = tokio::join!(join_all(refreshing), revoking);
        assert_eq!(count, 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_through_one_replica_holds_on_another() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let laptop = it.sign_in("ana").await;
    // The other replica has seen the session alive.
    let next = other.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("lives");

    revoke(&it, &admin, &phone.session_id).await;
    let refused = other.refresh(successor(&next), &request_id()).await;
    assert_eq!(
        end_reason(&refused.expect_err("revoked")),
        "REVOKED_BY_ADMIN"
    );
    other
        .refresh(&laptop.refresh_token, &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_at_once_after_a_logout_is_refused() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for id in [request_id(), String::new()] {
        let phone = it.sign_in("ana").await;
        let next = it.refresh(&phone.refresh_token, &id).await.expect("lives");
        log_out(&it, successor(&next)).await;
        for (token, id) in [(&*phone.refresh_token, &*id), (successor(&next), "")] {
            let refused = it.refresh(token, id).await.expect_err("logged out");
            assert_eq!(end_reason(&refused), "LOGGED_OUT");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_by_an_old_generation_ends_the_session_and_no_other() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let laptop = it.sign_in_on("ana", device("laptop")).await;
    let mut token = phone.refresh_token.clone();
    for _ in 0..3 {
        let next = it.refresh(&token, &request_id()).await.expect("lives");
        successor(&next).clone_into(&mut token);
    }
    log_out(&it, &phone.refresh_token).await;
    let refused = it.refresh(&token, &request_id()).await;
    assert_eq!(end_reason(&refused.expect_err("logged out")), "LOGGED_OUT");
    it.refresh(&laptop.refresh_token, &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_ended_keeps_its_first_reason() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    log_out(&it, successor(&next.expect("lives"))).await;
    let ended = it.database.session(&phone.session_id).await;

    log_out(&it, &phone.refresh_token).await;
    revoke(&it, &admin, &phone.session_id).await;
    let fork = it.refresh(&phone.refresh_token, &request_id()).await;
    assert_eq!(end_reason(&fork.expect_err("ended")), "LOGGED_OUT");
    assert_eq!(it.database.session(&phone.session_id).await, ended);
    let events: i64 = it
        .scalar("SELECT count(*) FROM audit_events WHERE kind = 'REFRESH_TOKEN_REUSED'")
        .await;
    assert_eq!(events, 0, "a reuse of what has ended is no theft");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_token_stays_refused_after_a_restart() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    let first = it.refresh(&phone.refresh_token, &id).await.expect("lives");
    let laptop = it.sign_in("ana").await;
    let laptop_next = it.refresh(&laptop.refresh_token, &id).await.expect("lives");

    let Harness { database, server } = it;
    server.stop().await.expect("stops");
    let restarted = Replica::start(&database, &[]).await;
    let reused = restarted.refresh(&phone.refresh_token, &request_id()).await;
    assert_eq!(
        reason(&reused.expect_err("rotated")),
        "REFRESH_TOKEN_REUSED"
    );
    let ended = restarted.refresh(successor(&first), &request_id()).await;
    assert_eq!(end_reason(&ended.expect_err("ended")), "TOKEN_REUSED");
    // What was an honest retry before is one after.
    let retry = restarted.refresh(&laptop.refresh_token, &id).await;
    assert_eq!(retry.expect("the same request"), laptop_next);
}

//! What a known sequence of calls changes in the metrics, and nothing else.

use std::{collections::BTreeMap, future::Future};

use rollcall::proto::v1::{
    AuthenticateRequest, Device, LogoutRequest, RevokeSessionRequest, WatchRevocationsRequest,
};
use tonic::{Code, Status};

use super::scrape::{Scrape, scrape, start};
use crate::harness::{Harness, authenticate, device, patiently, pause, request_id};

/// The counters of what people do.
const COUNTED: [&str; 7] = [
    "rollcall_calls_total{method=\"rollcall.v1.",
    "rollcall_refreshes_total",
    "rollcall_thefts_total",
    "rollcall_sign_ins_total",
    "rollcall_limited_total",
    "rollcall_sessions_ended_total",
    "rollcall_hashing_refused_total",
];

/// What the counters of `COUNTED` had more after something was done.
async fn counted(it: &Harness, done: impl Future<Output = ()>) -> BTreeMap<String, f64> {
    let before = scrape(it).await;
    done.await;
    scrape(it).await.since(&before, &COUNTED)
}

fn expect<const N: usize>(changes: [(&str, f64); N]) -> BTreeMap<String, f64> {
    let named = changes.map(|(series, change)| (format!("rollcall_{series}"), change));
    BTreeMap::from(named)
}

fn call(method: &str, code: &str) -> String {
    format!("calls_total{{method=\"rollcall.v1.{method}\",code=\"{code}\"}}")
}

fn wrong_password() -> AuthenticateRequest {
    AuthenticateRequest {
        password: "mosaic-anchor-violet-37".to_owned(),
        ..authenticate("ana")
    }
}

fn code<T>(result: Result<T, Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_are_counted_by_their_outcome() {
    let it = start(&[]).await;
    it.create_user("ana", &[]).await;
    let changes = counted(&it, async {
        it.sign_in("ana").await;
        it.sign_in("ana").await;
        for wrong in [wrong_password(), authenticate("nobody")] {
            assert_eq!(
                code(it.auth().authenticate(wrong).await),
                Code::Unauthenticated
            );
        }
        let empty = AuthenticateRequest::default();
        assert_eq!(
            code(it.auth().authenticate(empty).await),
            Code::InvalidArgument
        );
    });
    let expected = expect([
        (&call("Auth/Authenticate", "OK"), 2.0),
        (&call("Auth/Authenticate", "UNAUTHENTICATED"), 2.0),
        (&call("Auth/Authenticate", "INVALID_ARGUMENT"), 1.0),
        ("sign_ins_total{outcome=\"signed_in\"}", 2.0),
        ("sign_ins_total{outcome=\"invalid_credentials\"}", 2.0),
    ]);
    assert_eq!(changes.await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_meet_a_limit_are_counted_by_it() {
    let it = start(&["--sign-ins-per-login", "1", "--sign-ins-per-address", "1"]).await;
    it.create_user("ana", &[]).await;
    let from = |login: &str, ip_address: &str| AuthenticateRequest {
        device: Some(Device {
            ip_address: ip_address.to_owned(),
            ..device("phone")
        }),
        ..authenticate(login)
    };
    let changes = counted(&it, async {
        for (request, expected) in [
            (from("ana", "192.0.2.1"), Code::Ok),
            (from("ana", "192.0.2.2"), Code::ResourceExhausted),
            (from("ben", "192.0.2.1"), Code::ResourceExhausted),
        ] {
            assert_eq!(code(it.auth().authenticate(request).await), expected);
        }
    });
    let expected = expect([
        (&call("Auth/Authenticate", "OK"), 1.0),
        (&call("Auth/Authenticate", "RESOURCE_EXHAUSTED"), 2.0),
        ("sign_ins_total{outcome=\"signed_in\"}", 1.0),
        ("sign_ins_total{outcome=\"limited\"}", 2.0),
        ("limited_total{limit=\"login\"}", 1.0),
        ("limited_total{limit=\"address\"}", 1.0),
    ]);
    assert_eq!(changes.await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_give_way_and_sign_ins_that_find_no_room_are_counted() {
    let it = start(&["--max-sessions-per-user=1", "--when-sessions-full=refuse"]).await;
    let yielding = crate::harness::Replica::start(
        &it.database,
        &[&super::scrape::PORT[..], &["--max-sessions-per-user=1"]].concat(),
    )
    .await;
    it.create_user("ana", &[]).await;
    let on = |device_id: &str| AuthenticateRequest {
        device: Some(device(device_id)),
        ..authenticate("ana")
    };
    let changes = counted(&it, async {
        it.auth().authenticate(on("phone")).await.expect("has room");
        it.auth().authenticate(on("phone")).await.expect("replaces");
        let full = it.auth().authenticate(on("laptop")).await;
        assert_eq!(code(full), Code::FailedPrecondition);
    });
    let expected = expect([
        (&call("Auth/Authenticate", "OK"), 2.0),
        (&call("Auth/Authenticate", "FAILED_PRECONDITION"), 1.0),
        ("sign_ins_total{outcome=\"signed_in\"}", 2.0),
        ("sign_ins_total{outcome=\"full\"}", 1.0),
        ("sessions_ended_total{reason=\"REPLACED\"}", 1.0),
    ]);
    assert_eq!(changes.await, expected);
    let taken = yielding.auth().authenticate(on("laptop")).await;
    taken.expect("displaces");
    let displaced = "rollcall_sessions_ended_total{reason=\"DISPLACED\"}";
    assert_eq!(scrape(&yielding).await.value(displaced), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_are_counted_by_their_verdict_and_a_theft_by_how_it_showed() {
    let it = start(&[]).await;
    it.create_user("ana", &[]).await;
    let (phone, laptop) = (it.sign_in("ana").await, it.sign_in("ana").await);
    let changes = counted(&it, async {
        let first = request_id();
        for _ in 0..3 {
            it.refresh(&phone.refresh_token, &first)
                .await
                .expect("refreshes");
        }
        let stolen = it.refresh(&phone.refresh_token, &request_id()).await;
        assert_eq!(code(stolen), Code::Unauthenticated);
        let ended = it.refresh(&phone.refresh_token, &first).await;
        assert_eq!(code(ended), Code::Unauthenticated);
        let garbage = it.refresh("rcr_garbage", &request_id()).await;
        assert_eq!(code(garbage), Code::Unauthenticated);
        let nothing = it.refresh("", &request_id()).await;
        assert_eq!(code(nothing), Code::InvalidArgument);
        let request = LogoutRequest {
            refresh_token: laptop.refresh_token.clone(),
        };
        it.auth().logout(request).await.expect("logs out");
    });
    let expected = expect([
        (&call("Auth/Refresh", "OK"), 3.0),
        (&call("Auth/Refresh", "UNAUTHENTICATED"), 3.0),
        (&call("Auth/Refresh", "INVALID_ARGUMENT"), 1.0),
        (&call("Auth/Logout", "OK"), 1.0),
        ("refreshes_total{verdict=\"rotated\"}", 1.0),
        ("refreshes_total{verdict=\"repeated\"}", 2.0),
        ("refreshes_total{verdict=\"reused\"}", 1.0),
        ("refreshes_total{verdict=\"ended\"}", 1.0),
        ("refreshes_total{verdict=\"invalid\"}", 1.0),
        ("thefts_total{reuse=\"FORK\"}", 1.0),
        ("sessions_ended_total{reason=\"TOKEN_REUSED\"}", 1.0),
        ("sessions_ended_total{reason=\"LOGGED_OUT\"}", 1.0),
    ]);
    assert_eq!(changes.await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_that_are_nobodys_fault_are_counted_apart() {
    let it = start(&["--refresh-min-interval", "9s"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let (behind, gone) = (it.sign_in("ana").await, it.sign_in("ana").await);
    let forget = format!("DELETE FROM sessions WHERE id = '{}'", gone.session_id);
    it.sql(&forget).await;
    let changes = counted(&it, async {
        let early = it.refresh(&phone.refresh_token, &request_id()).await;
        assert_eq!(code(early), Code::ResourceExhausted);
        let unknown = it.refresh(&gone.refresh_token, &request_id()).await;
        assert_eq!(code(unknown), Code::Unauthenticated);
        it.database.age(&behind.session_id, "1 min").await;
        let reply = it.refresh(&behind.refresh_token, &request_id()).await;
        let successor = reply.expect("refreshes").tokens.expect("tokens");
        it.database.lose_commit(&behind.session_id, None).await;
        let ahead = it.refresh(&successor.refresh_token, &request_id()).await;
        assert_eq!(code(ahead), Code::Unavailable);
    });
    let expected = expect([
        (&call("Auth/Refresh", "OK"), 1.0),
        (&call("Auth/Refresh", "RESOURCE_EXHAUSTED"), 1.0),
        (&call("Auth/Refresh", "UNAUTHENTICATED"), 1.0),
        (&call("Auth/Refresh", "UNAVAILABLE"), 1.0),
        ("refreshes_total{verdict=\"rotated\"}", 1.0),
        ("refreshes_total{verdict=\"too_often\"}", 1.0),
        ("refreshes_total{verdict=\"unknown\"}", 1.0),
        ("refreshes_total{verdict=\"ahead\"}", 1.0),
    ]);
    assert_eq!(changes.await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn surplus_of_passwords_is_counted_and_the_queue_is_seen() {
    let it = start(&["--hashing-concurrency=1", "--hashing-queue=0"]).await;
    it.create_user("ana", &[]).await;
    let changes = counted(&it, async {
        // Admitted, and waiting for what it looks up.
        let lock = it.database.connect().await;
        let exclusive = "BEGIN; LOCK TABLE user_logins";
        lock.batch_execute(exclusive).await.expect("locks");
        let mut auth = it.auth();
        let first = tokio::spawn(async move { auth.authenticate(authenticate("ana")).await });
        it.database.wait_for_blocked(1).await;
        let busy = it.auth().authenticate(authenticate("ana")).await;
        assert_eq!(code(busy), Code::ResourceExhausted);
        let in_flight = "rollcall_calls_in_flight{method=\"rollcall.v1.Auth/Authenticate\"}";
        let in_use = "rollcall_pool_connections_in_use";
        // An answer is there before its call has ended, and the server has work of its own.
        let alone = async {
            loop {
                let scraped = scrape(&it).await;
                if [in_flight, in_use]
                    .iter()
                    .all(|it| scraped.value(it) == 1.0)
                {
                    return scraped;
                }
                pause().await;
            }
        };
        let scraped = patiently("the first is alone", alone).await;
        assert_eq!(scraped.value("rollcall_hashing_waiting"), 1.0);
        assert_eq!(scraped.value("rollcall_hashing_places"), 1.0);
        assert_eq!(scraped.value("rollcall_pool_connections_max"), 8.0);
        lock.batch_execute("COMMIT").await.expect("unlocks");
        first.await.expect("no panic").expect("signs in");
    });
    let expected = expect([
        (&call("Auth/Authenticate", "OK"), 1.0),
        (&call("Auth/Authenticate", "RESOURCE_EXHAUSTED"), 1.0),
        ("sign_ins_total{outcome=\"signed_in\"}", 1.0),
        ("sign_ins_total{outcome=\"busy\"}", 1.0),
        ("hashing_refused_total", 1.0),
    ]);
    assert_eq!(changes.await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_is_in_flight_until_it_goes_and_is_told_in_time() {
    let it = start(&[]).await;
    let (admin, service) = (it.admin().await, it.service().await);
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let request = service.request(WatchRevocationsRequest::default());
    let watching = it.verification().watch_revocations(request).await;
    let mut news = watching.expect("watches").into_inner();
    let in_flight =
        "rollcall_calls_in_flight{method=\"rollcall.v1.Verification/WatchRevocations\"}";
    let watchers = "rollcall_watchers{stream=\"revocations\"}";
    let before = scrape(&it).await;
    assert_eq!(
        (before.value(in_flight), before.value(watchers)),
        (1.0, 1.0)
    );

    let request = admin.request(RevokeSessionRequest {
        session_id: phone.session_id.clone(),
    });
    it.session_admin()
        .revoke_session(request)
        .await
        .expect("revokes");
    let told = patiently("the revocation is told", async {
        while scrape(&it).await.value("rollcall_feed_delay_seconds_count") < 1.0 {
            news.message().await.expect("goes on");
        }
    });
    told.await;
    let ended = "rollcall_sessions_ended_total{reason=\"REVOKED_BY_ADMIN\"}";
    let scraped = scrape(&it).await;
    assert_eq!(scraped.value(ended), 1.0);
    assert!(scraped.value("rollcall_feed_lag_seconds") < 60.0);

    drop(news);
    let gone = |scraped: &Scrape| (scraped.value(in_flight), scraped.value(watchers)) == (0.0, 0.0);
    patiently("the watcher is gone", async {
        while !gone(&scrape(&it).await) {
            pause().await;
        }
    })
    .await;
    let cancelled = format!(
        "rollcall_{}",
        call("Verification/WatchRevocations", "CANCELLED")
    );
    assert_eq!(scrape(&it).await.value(&cancelled), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_told_by_state_and_when_they_are_due() {
    let it = start(&["--signing-key-lifetime", "30days"]).await;
    let scraped = scrape(&it).await;
    for (state, number) in [("next", 1.0), ("active", 1.0), ("retiring", 0.0)] {
        let series = format!("rollcall_signing_keys{{state=\"{state}\"}}");
        assert_eq!(scraped.value(&series), number, "{state}");
    }
    let since = "rollcall_signing_key_since_timestamp_seconds{state=\"active\"}";
    let due = scraped.value("rollcall_signing_key_rotation_due_timestamp_seconds");
    let lifetime = due - scraped.value(since);
    assert!((lifetime - 30.0 * 86_400.0).abs() < 1.0, "{lifetime}");
    assert_eq!(scraped.value("rollcall_database_up"), 1.0);
    assert_eq!(scraped.value("rollcall_ready"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_in_one_process_count_for_themselves() {
    let it = start(&[]).await;
    let other = crate::harness::Replica::start(&it.database, &super::scrape::PORT).await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    let signed_in = "rollcall_sign_ins_total{outcome=\"signed_in\"}";
    assert_eq!(scrape(&it).await.value(signed_in), 1.0);
    assert_eq!(scrape(&other).await.value(signed_in), 0.0);
}

//! Passwords in a row that are wrong: how many are checked, and when.

use futures_util::future::join_all;
use rollcall::proto::v1;

use super::{WRONG, assert_refused, assert_taken, attempt, count, counted, events, with_password};
use crate::{
    harness::{
        Harness, NEXT_PASSWORD, PASSWORD, REVOKE, Replica, patiently, pause, reason, request_id,
    },
    operations::scrape::{PORT, scrape},
};

/// Makes what was told of nobody, and of users, an hour old.
const AN_HOUR_AGO: [&str; 2] = [
    "UPDATE user_sign_ins SET failed_at = failed_at - interval '1 hour'",
    "UPDATE audit_events SET id = ('00' || substr(id::text, 3))::uuid",
];

#[tokio::test(flavor = "multi_thread")]
async fn of_many_wrong_passwords_at_once_on_two_replicas_the_hundredth_is_the_last_checked() {
    let it = Harness::with(&["--hashing-queue", "20"]).await;
    let other = Replica::start(&it.database, &["--hashing-queue", "20"]).await;
    it.create_user("ana", &[]).await;
    count(&it, 97, 0, "NULL").await;
    // All are begun before the first is found wrong.
    let lock = it.database.connect().await;
    let exclusive = "BEGIN; LOCK TABLE audit_events";
    lock.batch_execute(exclusive).await.expect("locks");
    let replicas = [&it.server, &other].into_iter().cycle();
    let guesses = replicas
        .take(12)
        .map(|replica| assert_refused(replica, "ana", WRONG));
    let unlock = async {
        it.database.until_blocked("WITH counted", 12).await;
        lock.batch_execute("COMMIT").await.expect("unlocks");
    };
    tokio::join!(join_all(guesses), unlock);
    assert_eq!(counted(&it).await, (100, 3));
    let wrong = "kind = 'SIGN_IN_FAILED' AND detail ->> 'reason' = 'WRONG_PASSWORD'";
    assert_eq!(events(&it, wrong).await, 3);
    assert_eq!(events(&it, "kind = 'USER_LOCKED'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn option_lowers_how_many_are_checked() {
    let it = Harness::with(&["--max-failed-attempts", "5"]).await;
    it.create_user("ana", &[]).await;
    count(&it, 4, 0, "NULL").await;
    assert_refused(&it, "ana", WRONG).await;
    assert_eq!(counted(&it).await, (100, 1), "which stands for all of them");
    assert_refused(&it, "ana", PASSWORD).await;
    assert_eq!(events(&it, "kind = 'USER_LOCKED'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lowered_limit_locks_who_has_as_many_already_and_tells_once() {
    let it = Harness::with(&["--max-failed-attempts", "5"]).await;
    it.create_user("ana", &[]).await;
    count(&it, 7, 7, "now() - interval '1 day'").await;
    for _ in 0..2 {
        assert_refused(&it, "ana", PASSWORD).await;
    }
    assert_eq!(counted(&it).await, (100, 7), "which shows as locked");
    assert_eq!(events(&it, "kind = 'USER_LOCKED'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_can_bring_about_is_told_once_a_minute() {
    let it = Harness::start().await;
    it.create_user("disabled", &[]).await;
    it.sql("UPDATE users SET disabled_at = now()").await;
    let mut told = Vec::new();
    for expire in ["SELECT 1", AN_HOUR_AGO[0], AN_HOUR_AGO[1]] {
        it.sql(expire).await;
        for login in ["nobody", "nobody", "disabled", "disabled"] {
            assert_refused(&it, login, PASSWORD).await;
        }
        let reasons = ["UNKNOWN_LOGIN", "DISABLED"];
        let mut counts = [0; 2];
        for (count, reason) in counts.iter_mut().zip(reasons) {
            *count = events(&it, &format!("detail ->> 'reason' = '{reason}'")).await;
        }
        told.push(counts);
    }
    assert_eq!(told, [[1, 1], [2, 1], [2, 2]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn right_password_forgets_the_wrong_ones() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    assert_refused(&it, "ana", WRONG).await;
    assert_eq!(counted(&it).await, (1, 1));
    assert_taken(&it, "ana").await;
    assert_eq!(counted(&it).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn right_password_waits_for_the_end_of_the_delay() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 14, 14, "now() - interval '7 min'").await;
    assert_refused(&it, "ana", PASSWORD).await;
    assert_eq!(counted(&it).await, (14, 14), "it was not checked");
    count(&it, 14, 14, "now() - interval '9 min'").await;
    assert_taken(&it, "ana").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn longest_delay_holds_until_the_last_password_that_is_checked() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 98, 98, "now() - interval '14 min'").await;
    assert_refused(&it, "ana", PASSWORD).await;
    assert_eq!(counted(&it).await, (98, 98), "it was not checked");
    count(&it, 98, 98, "now() - interval '16 min'").await;
    assert_taken(&it, "ana").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delay_begins_with_the_wrong_password_that_brings_it() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 4, 4, "now() - interval '1 day'").await;
    assert_refused(&it, "ana", WRONG).await;
    let begun = "EXISTS (SELECT FROM user_sign_ins \
         WHERE failures = 5 AND failed_at > now() - interval '1 hour')";
    assert!(it.scalar::<bool>(&format!("SELECT {begun}")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_that_a_right_one_overtakes_counts_as_the_first() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let lock = it.database.connect().await;
    let exclusive = "BEGIN; LOCK TABLE audit_events";
    lock.batch_execute(exclusive).await.expect("locks");
    let overtake = async {
        it.database.until_blocked("WITH counted", 1).await;
        count(&it, 0, 0, "NULL").await;
        lock.batch_execute("COMMIT").await.expect("unlocks");
    };
    tokio::join!(assert_refused(&it, "ana", WRONG), overtake);
    assert_eq!(counted(&it).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_wrong_passwords_bring_no_delay() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 4, 4, "now()").await;
    assert_taken(&it, "ana").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_under_way_bring_a_delay_once_one_was_wrong() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 15, 1, "now() - interval '7 min'").await;
    assert_refused(&it, "ana", PASSWORD).await;
    assert_eq!(counted(&it).await, (15, 1), "it was not checked");
    count(&it, 15, 1, "now() - interval '9 min'").await;
    assert_taken(&it, "ana").await;
    count(&it, 15, 0, "NULL").await;
    assert_taken(&it, "ana").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_delay_one_of_many_at_once_is_checked() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    count(&it, 14, 14, "now() - interval '9 min'").await;
    join_all((0..6).map(|_| assert_refused(&it, "ana", WRONG))).await;
    assert_eq!(counted(&it).await, (15, 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn current_password_is_counted_as_any_other() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let change = async |current: &str| {
        let request = v1::ChangePasswordRequest {
            current_password: current.to_owned(),
            new_password: NEXT_PASSWORD.to_owned(),
        };
        it.auth().change_password(ana.request(request)).await
    };
    let refused = change(WRONG).await.expect_err("a wrong one");
    assert_eq!(reason(&refused), "INVALID_CREDENTIALS");
    assert_eq!(counted(&it).await, (1, 1));
    let told = format!("kind = 'SIGN_IN_FAILED' AND user_id = '{}'", ana.user_id);
    assert_eq!(events(&it, &told).await, 1);

    count(&it, 100, 0, "NULL").await;
    let refused = change(PASSWORD).await.expect_err("locked");
    assert_eq!(reason(&refused), "INVALID_CREDENTIALS");

    count(&it, 2, 2, "now()").await;
    change(PASSWORD).await.expect("changes");
    assert_eq!(counted(&it).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_whose_caller_hangs_up_is_counted_to_its_end() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let lock = it.database.lock("SELECT 1 FROM users").await;
    let (mut auth, request) = (it.auth(), with_password("ana", PASSWORD));
    let call = tokio::spawn(async move { auth.authenticate(request).await.map(drop) });
    it.database.until_blocked("WITH account AS", 1).await;
    assert_eq!(counted(&it).await, (1, 0), "it is under way");
    call.abort();
    call.await.expect_err("hung up");
    lock.batch_execute("COMMIT").await.expect("unlocks");
    it.database
        .until("EXISTS (SELECT FROM user_sign_ins WHERE attempts = 0 AND opened = 1)")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn right_password_of_a_caller_who_has_hung_up_opens_no_session() {
    let it = Harness::with(&PORT).await;
    it.create_user("ana", &[]).await;
    count(&it, 3, 3, "now()").await;
    let lock = it.database.lock("SELECT 1 FROM user_sign_ins").await;
    let (mut auth, request) = (it.auth(), with_password("ana", PASSWORD));
    let call = tokio::spawn(async move { auth.authenticate(request).await.map(drop) });
    it.database.until_blocked("WITH known AS", 1).await;
    call.abort();
    call.await.expect_err("hung up");
    let in_flight = "rollcall_calls_in_flight{method=\"rollcall.v1.Auth/Authenticate\"}";
    patiently("the server has seen it", async {
        while scrape(&it).await.value(in_flight) > 0.0 {
            pause().await;
        }
    })
    .await;
    lock.batch_execute("COMMIT").await.expect("unlocks");
    it.database
        .until("EXISTS (SELECT FROM user_sign_ins WHERE attempts = 0 AND failures = 0)")
        .await;
    let opened = "SELECT (SELECT count(*) FROM sessions) + (SELECT sum(opened) FROM user_sign_ins)";
    assert_eq!(
        it.scalar::<i64>(&format!("SELECT ({opened})::bigint"))
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_end_no_session() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    count(&it, 99, 0, "NULL").await;
    assert_refused(&it, "ana", WRONG).await;
    assert_refused(&it, "ana", PASSWORD).await;
    let refreshed = it.refresh(&ana.refresh_token, &request_id()).await;
    refreshed.expect("lives");
    it.database.until_done(REVOKE).await;
    let refused = attempt(&it, with_password("ana", PASSWORD)).await;
    refused.expect_err("locked");
}

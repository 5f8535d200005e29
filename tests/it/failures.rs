//! A failure never revokes and uses nothing up: the same token and `request_id` are as
//! good after it as before.

use rollcall::proto::v1;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::harness::{
    Database, Harness, REVOKE, ROTATE, Replica, SignedIn, reason, refresh_at_once,
    refresh_in_a_race, request_id, says_when_to_retry, successor,
};

/// Ends the connections of the server to its database.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid()";
/// Ends those that wait for a lock.
const TERMINATE_BLOCKED: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND wait_event_type = 'Lock'";
const CANCEL_BLOCKED: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND wait_event_type = 'Lock'";

type Answer = Result<v1::RefreshResponse, Status>;

async fn ana_s_phone(it: &Harness) -> SignedIn {
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await
}

/// A refresh that goes on by itself.
fn begin(replica: &Replica, refresh_token: &str, request_id: &str) -> JoinHandle<Answer> {
    let mut auth = replica.auth();
    let request = v1::RefreshRequest {
        refresh_token: refresh_token.to_owned(),
        request_id: request_id.to_owned(),
        ..v1::RefreshRequest::default()
    };
    tokio::spawn(async move { Ok(auth.refresh(request).await?.into_inner()) })
}

fn assert_refused(answer: Answer, code: Code, why: &str) {
    let refused = answer.expect_err("fails");
    assert_eq!((refused.code(), &*reason(&refused)), (code, why));
    assert_eq!(says_when_to_retry(&refused), code == Code::Unavailable);
}

/// The failed refresh is repeated and makes the first generation, which is good.
async fn assert_nothing_used_up(it: &Harness, phone: &SignedIn, request_id: &str) {
    assert_eq!(it.database.standing(&phone.session_id).await, (0, None));
    let next = it.refresh(&phone.refresh_token, request_id).await;
    let next = next.expect("the same refresh again");
    assert_eq!(it.database.standing(&phone.session_id).await, (1, None));
    it.refresh(successor(&next), &self::request_id())
        .await
        .expect("lives");
}

/// Repeats one refresh, as a client does, until no bad connection is left in the pool.
async fn refresh_until_available(it: &Harness, phone: &SignedIn, request_id: &str) {
    for _ in 0..100 {
        let answer = it.refresh(&phone.refresh_token, request_id).await;
        if answer.is_ok() {
            return;
        }
        assert_refused(answer, Code::Unavailable, "UNAVAILABLE");
    }
    panic!("never available again");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_past_the_statement_timeout_uses_nothing_up() {
    let it = Harness::start().await;
    let hurried = Replica::start(&it.database, &["--statement-timeout", "1s"]).await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let lock = it.database.lock_session(&phone.session_id).await;
    let answer = hurried.refresh(&phone.refresh_token, &id).await;
    assert_refused(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    lock.release().await;
    assert_nothing_used_up(&it, &phone, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_past_its_deadline_is_canceled_in_the_database() {
    let it = Harness::start().await;
    let hurried = Replica::start(&it.database, &["--request-timeout", "2s"]).await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let lock = it.database.lock_session(&phone.session_id).await;
    let answer = hurried.refresh(&phone.refresh_token, &id).await;
    assert_refused(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    it.database.until_done(ROTATE).await;
    lock.release().await;
    assert_nothing_used_up(&it, &phone, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_whose_caller_hangs_up_is_canceled_in_the_database() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let lock = it.database.lock_session(&phone.session_id).await;
    let call = begin(&it, &phone.refresh_token, &id);
    it.database.until_blocked(ROTATE, 1).await;
    call.abort();
    it.database.until_done(ROTATE).await;
    lock.release().await;
    assert_nothing_used_up(&it, &phone, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_whose_statement_is_canceled_uses_nothing_up() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let lock = it.database.lock_session(&phone.session_id).await;
    let call = begin(&it, &phone.refresh_token, &id);
    it.database.until_blocked(ROTATE, 1).await;
    it.sql(CANCEL_BLOCKED).await;
    let answer = call.await.expect("no panic");
    assert_refused(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    lock.release().await;
    assert_nothing_used_up(&it, &phone, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_whose_connection_is_terminated_uses_nothing_up() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let lock = it.database.lock_session(&phone.session_id).await;
    let call = begin(&it, &phone.refresh_token, &id);
    it.database.until_blocked(ROTATE, 1).await;
    it.sql(TERMINATE_BLOCKED).await;
    let answer = call.await.expect("no panic");
    assert_refused(answer, Code::Unavailable, "UNAVAILABLE");
    lock.release().await;
    assert_nothing_used_up(&it, &phone, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_refresh_may_be_followed_by_one_of_another_name() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let lock = it.database.lock_session(&phone.session_id).await;
    let call = begin(&it, &phone.refresh_token, &request_id());
    it.database.until_blocked(ROTATE, 1).await;
    it.sql(TERMINATE_BLOCKED).await;
    call.await.expect("no panic").expect_err("terminated");
    lock.release().await;
    assert_nothing_used_up(&it, &phone, &request_id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_without_a_database_is_unavailable_until_it_is_back() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let elsewhere = Database::create().await;
    let name = it.database.name();
    let allow = |allow: bool| format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}");
    let shut = it.database.ask(async |open| {
        elsewhere.sql(&allow(false)).await;
        open.batch_execute(TERMINATE).await
    });
    shut.await.expect("terminates");
    for _ in 0..10 {
        let answer = it.refresh(&phone.refresh_token, &id).await;
        assert_refused(answer, Code::Unavailable, "UNAVAILABLE");
    }
    elsewhere.sql(&allow(true)).await;
    assert_nothing_used_up(&it, &phone, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_on_a_standby_is_unavailable_and_uses_nothing_up() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let name = it.database.name();
    let read_only =
        |on: bool| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
    it.sql(&read_only(true)).await;
    it.sql(TERMINATE).await;
    for _ in 0..10 {
        let answer = it.refresh(&phone.refresh_token, &id).await;
        assert_refused(answer, Code::Unavailable, "UNAVAILABLE");
    }
    let elsewhere = Database::create().await;
    elsewhere.sql(&read_only(false)).await;
    refresh_until_available(&it, &phone, &id).await;
    assert_eq!(it.database.standing(&phone.session_id).await, (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_through_dropped_connections_fail_only_as_unavailable() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let id = request_id();
    let ids = vec![id.clone(); 64];
    let replicas: [&Replica; 1] = [&it];
    let refreshes = refresh_at_once(&replicas, &phone.refresh_token, &ids);
    let (answers, _) = tokio::join!(refreshes, it.sql(TERMINATE));
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_refused(answer, Code::Unavailable, "UNAVAILABLE");
    }
    // Whether or not a reply got lost with its commit, the same refresh goes on.
    refresh_until_available(&it, &phone, &id).await;
    assert_eq!(it.database.standing(&phone.session_id).await, (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_that_cannot_be_written_is_unavailable_and_ends_nothing_yet() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("lives");
    let before = it.database.contents().await;

    let lock = it.database.lock_session(&phone.session_id).await;
    let thief = begin(&it, &phone.refresh_token, &request_id());
    it.database.until_blocked(REVOKE, 1).await;
    it.sql(TERMINATE_BLOCKED).await;
    let answer = thief.await.expect("no panic");
    assert_refused(answer, Code::Unavailable, "UNAVAILABLE");
    lock.release().await;
    assert_eq!(it.database.contents().await, before);
    it.refresh(successor(&next), &request_id())
        .await
        .expect("the owner lives");
    let reused = it.refresh(&phone.refresh_token, &request_id()).await;
    assert_refused(reused, Code::Unauthenticated, "REFRESH_TOKEN_REUSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_at_once_survive_a_serializable_database() {
    let it = Harness::start().await;
    let phone = ana_s_phone(&it).await;
    let name = it.database.name();
    let level = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    it.sql(&level).await;
    let strict = [it.replica().await, it.replica().await];
    let ids = vec![request_id(); 64];
    let replicas = [&strict[0], &strict[1]];
    let answers = refresh_in_a_race(&it.database, &replicas, &phone, &ids).await;
    for answer in answers {
        answer.expect("one request, one successor");
    }
    assert_eq!(it.database.standing(&phone.session_id).await, (1, None));
}

//! Two different refreshes of one generation are a theft: they end that session, at
//! once, and no other.

use rollcall::proto::v1;
use tonic::{Code, Status};

use crate::harness::{
    Harness, REVOKE, SignedIn, bearer, device, end_reason, reason, refresh_in_a_race, request_id,
    successor,
};

/// Ana on a phone, whose token a thief has copied, and on a laptop.
async fn two_devices(it: &Harness) -> (SignedIn, SignedIn) {
    it.create_user("ana", &[]).await;
    let phone = it.sign_in_on("ana", device("phone")).await;
    let laptop = it.sign_in_on("ana", device("laptop")).await;
    (phone, laptop)
}

async fn assert_only_the_phone_ended(it: &Harness, phone: &SignedIn, laptop: &SignedIn) {
    let (_, ended) = it.database.standing(&phone.session_id).await;
    assert_eq!(ended.as_deref(), Some("TOKEN_REUSED"));
    it.refresh(&laptop.refresh_token, &request_id())
        .await
        .expect("the laptop lives");
}

fn assert_reused(answer: Result<v1::RefreshResponse, Status>) {
    let refused = answer.expect_err("reused");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(reason(&refused), "REFRESH_TOKEN_REUSED");
}

fn assert_ended(answer: Result<v1::RefreshResponse, Status>) {
    let refused = answer.expect_err("ended");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(end_reason(&refused), "TOKEN_REUSED");
}

/// How many reuses the audit trail tells of.
const REUSES: &str = "SELECT count(*) FROM audit_events WHERE kind = 'REFRESH_TOKEN_REUSED'";

#[tokio::test(flavor = "multi_thread")]
async fn thief_first_then_owner_ends_the_session_of_both() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let stolen = it.refresh(&phone.refresh_token, &request_id()).await;
    let stolen = stolen.expect("the thief is first");
    assert_reused(it.refresh(&phone.refresh_token, &request_id()).await);
    assert_ended(it.refresh(successor(&stolen), &request_id()).await);
    assert_only_the_phone_ended(&it, &phone, &laptop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_first_then_thief_ends_the_session_of_both() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let id = request_id();
    let next = it.refresh(&phone.refresh_token, &id).await.expect("lives");
    assert_reused(it.refresh(&phone.refresh_token, &request_id()).await);
    assert_ended(it.refresh(successor(&next), &request_id()).await);
    // Nor does the owner's own retry bring it back.
    assert_ended(it.refresh(&phone.refresh_token, &id).await);
    assert_only_the_phone_ended(&it, &phone, &laptop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thief_in_lockstep_for_100_generations_dies_at_the_first() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let mut tokens = [phone.refresh_token.clone(), phone.refresh_token.clone()];
    let mut refreshed = 0;
    for _ in 0..100 {
        for token in &mut tokens {
            if let Ok(next) = it.refresh(token, &request_id()).await {
                successor(&next).clone_into(token);
                refreshed += 1;
            }
        }
    }
    assert_eq!(refreshed, 1);
    let standing = it.database.standing(&phone.session_id).await;
    assert_eq!(standing, (1, Some("TOKEN_REUSED".to_owned())));
    assert_only_the_phone_ended(&it, &phone, &laptop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_64_times_at_once_with_different_request_ids_ends_the_session() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let other = it.replica().await;
    let ids: Vec<_> = (0..64).map(|_| request_id()).collect();
    let answers = refresh_in_a_race(&it.database, &[&it, &other], &phone, &ids).await;

    let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(good.len(), 1);
    for answer in good {
        let next = answer.expect("good");
        assert_ended(it.refresh(successor(&next), &request_id()).await);
    }
    let refused = refused
        .into_iter()
        .map(|answer| answer.expect_err("refused"));
    let mut reasons: Vec<_> = refused.map(|refused| reason(&refused)).collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons[0], "REFRESH_TOKEN_REUSED",
        "who ended it is told so"
    );
    assert!(reasons[1..].iter().all(|reason| reason == "SESSION_ENDED"));
    assert_eq!(it.database.standing(&phone.session_id).await.0, 1);
    let events: i64 = it.scalar(REUSES).await;
    assert_eq!(events, 1);
    assert_only_the_phone_ended(&it, &phone, &laptop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grandparent_inside_the_window_is_reuse() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let id = request_id();
    let next = it.refresh(&phone.refresh_token, &id).await.expect("lives");
    let next = it.refresh(successor(&next), &request_id()).await;
    assert_reused(it.refresh(&phone.refresh_token, &id).await);
    assert_ended(
        it.refresh(successor(&next.expect("lives")), &request_id())
            .await,
    );
    assert_only_the_phone_ended(&it, &phone, &laptop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_after_the_window_is_reuse() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let id = request_id();
    it.refresh(&phone.refresh_token, &id).await.expect("lives");
    it.database.age(&phone.session_id, "120 s").await;
    assert_reused(it.refresh(&phone.refresh_token, &id).await);
    assert_only_the_phone_ended(&it, &phone, &laptop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_without_request_id_after_the_leeway_is_reuse() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    it.refresh(&phone.refresh_token, "").await.expect("lives");
    it.database.age(&phone.session_id, "10 s").await;
    assert_reused(it.refresh(&phone.refresh_token, "").await);
    assert_only_the_phone_ended(&it, &phone, &laptop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_with_and_without_a_request_id_is_a_fork() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let id = request_id();
    for (session, ids) in [(&phone, ["", &id]), (&laptop, [&id, ""])] {
        let token = &session.refresh_token;
        it.refresh(token, ids[0]).await.expect("lives");
        assert_reused(it.refresh(token, ids[1]).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_ends_the_access_tokens_of_the_session_too() {
    let it = Harness::start().await;
    let (phone, _) = two_devices(&it).await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let access = next
        .expect("lives")
        .tokens
        .expect("tokens")
        .access_token
        .clone();
    assert_reused(it.refresh(&phone.refresh_token, &request_id()).await);
    for token in [&access, &phone.access_token] {
        let list = bearer(v1::ListMySessionsRequest::default(), token);
        let refused = it.auth().list_my_sessions(list).await.expect_err("ended");
        assert_eq!(end_reason(&refused), "TOKEN_REUSED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_leaves_an_audit_event_that_tells_both_parties() {
    let it = Harness::start().await;
    let (phone, _) = two_devices(&it).await;
    let from = |token: &str, user_agent: &str, ip_address: &str| v1::RefreshRequest {
        refresh_token: token.to_owned(),
        request_id: request_id(),
        user_agent: user_agent.to_owned(),
        ip_address: ip_address.to_owned(),
    };
    let mut token = phone.refresh_token.clone();
    for _ in 0..2 {
        let owner = from(&token, "owner", "192.0.2.1");
        let next = it.auth().refresh(owner).await.expect("lives");
        successor(next.get_ref()).clone_into(&mut token);
    }
    it.database.age(&phone.session_id, "7 s").await;
    let thief = from(&phone.refresh_token, "thief\u{1b}[31m", "2001:db8::bad");
    let refused = it.auth().refresh(thief).await.expect_err("reused");
    assert_eq!(reason(&refused), "REFRESH_TOKEN_REUSED");

    let events = it
        .sql(
            "SELECT user_id::text, session_id::text, kind, detail::text FROM audit_events \
             WHERE kind = 'REFRESH_TOKEN_REUSED'",
        )
        .await;
    assert_eq!(events.len(), 1);
    let texts: [&str; 4] = [0, 1, 2, 3].map(|at| events[0].get(at));
    assert_eq!(texts[0], phone.user_id);
    assert_eq!(texts[1], phone.session_id);
    assert_eq!(texts[2], "REFRESH_TOKEN_REUSED");
    let mut detail: serde_json::Value = serde_json::from_str(texts[3]).expect("JSON");
    let age = detail["last_good"]["age_seconds"].take();
    assert!(age.as_i64() >= Some(7), "{age}");
    let expected = serde_json::json!({
        "reuse": "ANCESTOR",
        "replayed": {
            "generation": 0,
            "ip_address": "2001:db8::bad",
            "user_agent": "thief\\u{1b}[31m",
            "age_seconds": 0,
        },
        "last_good": {
            "generation": 2,
            "ip_address": "192.0.2.1",
            "user_agent": "owner",
            "age_seconds": null,
        },
    });
    assert_eq!(detail, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn thief_who_hangs_up_does_not_keep_the_session() {
    let it = Harness::start().await;
    let (phone, laptop) = two_devices(&it).await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("lives");

    let lock = it.database.lock_session(&phone.session_id).await;
    let mut thief = it.auth();
    let request = v1::RefreshRequest {
        refresh_token: phone.refresh_token.clone(),
        request_id: request_id(),
        ..v1::RefreshRequest::default()
    };
    let call = tokio::spawn(async move { thief.refresh(request).await });
    it.database.until_blocked(REVOKE, 1).await;
    call.abort();
    assert!(call.await.expect_err("hung up").is_cancelled());
    // A later answer on the same connection: the server has read that the thief is gone.
    let token = &laptop.refresh_token;
    let later = it.refresh(token, &request_id()).await;
    later.expect("lives");
    lock.release().await;
    it.database.until_done(REVOKE).await;

    assert_ended(it.refresh(successor(&next), &request_id()).await);
    let (_, ended) = it.database.standing(&phone.session_id).await;
    assert_eq!(ended.as_deref(), Some("TOKEN_REUSED"));
}

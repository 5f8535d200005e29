//! What a binding costs, what is told of it, and what comes before it.

use rollcall::proto::v1::{self, BindingReaction as Reaction};
use serde_json::{Value, json};

use super::{BOTH, HOME, Via, binding, events, exchange, sign_in};
use crate::harness::{Harness, REVOKE, reason, request_id};

#[tokio::test(flavor = "multi_thread")]
async fn theft_is_theft_from_wherever_it_comes() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for reaction in [Reaction::Note, Reaction::Refuse, Reaction::End] {
        let bound = binding(true, 24, reaction);
        let session = it.sign_in_as(sign_in(Via::Refresh, HOME, bound)).await;
        exchange(&it, Via::Refresh, &session, HOME)
            .await
            .expect("lives");
        // Another name, from elsewhere.
        let thief = it.refresh(&session.refresh_token, &request_id()).await;
        assert_eq!(reason(&thief.expect_err("a fork")), "REFRESH_TOKEN_REUSED");
        let (_, ended) = it.database.standing(&session.session_id).await;
        assert_eq!(ended.as_deref(), Some("TOKEN_REUSED"));
        assert_eq!(events(&it, &session).await, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn event_tells_the_binding_and_what_broke_it() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for (reaction, name, rotated) in [
        (Reaction::Note, "NOTE", 1),
        (Reaction::Refuse, "REFUSE", 0),
        (Reaction::End, "END", 0),
    ] {
        let both = it.sign_in_as(sign_in(Via::Refresh, HOME, binding(true, 24, reaction)));
        let session = both.await;
        let elsewhere = ("thief\u{1b}[31m", "2001:db8::bad");
        let _ = exchange(&it, Via::Refresh, &session, elsewhere).await;
        let mut events = events(&it, &session).await;
        assert_eq!(events.len(), 1);
        let age = events[0]["last_good"]["age_seconds"].take();
        assert!(age.is_i64(), "{age}");
        let expected = json!({
            "reaction": name,
            "bound": { "user_agent": "phone/1", "ip_prefix": "192.0.2.0/24" },
            "presented": {
                "generation": 0,
                "ip_address": "2001:db8::bad",
                "user_agent": "thief\\u{1b}[31m",
                "age_seconds": 0,
            },
            "last_good": {
                "generation": 0,
                "ip_address": "192.0.2.17",
                "user_agent": "phone/1",
                "age_seconds": null,
            },
        });
        assert_eq!(events[0], expected);
        assert_eq!(it.database.standing(&session.session_id).await.0, rotated);
    }
    let bound = binding(true, 0, Reaction::Note);
    let session = it.sign_in_as(sign_in(Via::Renew, HOME, bound)).await;
    exchange(&it, Via::Renew, &session, ("", ""))
        .await
        .expect("noted");
    let events = events(&it, &session).await;
    let expected = json!({ "user_agent": "phone/1", "ip_prefix": null });
    assert_eq!(events[0]["bound"], expected);
    assert_eq!(events[0]["presented"]["ip_address"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_binding_takes_one_statement() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for via in BOTH {
        let bound = binding(true, 24, Reaction::End);
        let session = it.sign_in_as(sign_in(via, HOME, bound)).await;
        let before = it.database.statements().await;
        exchange(&it, via, &session, HOME).await.expect("lives");
        assert_eq!(it.database.statements().await - before, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn noted_binding_supersedes_and_tells_at_once_only_where_earlier_tokens_are_denied() {
    let it = Harness::with(&["--superseded-access-tokens", "deny"]).await;
    it.create_user("ana", &[]).await;
    let bound = binding(true, 24, Reaction::Note);
    let session = it.sign_in_as(sign_in(Via::Renew, HOME, bound)).await;
    exchange(&it, Via::Renew, &session, ("other", "203.0.113.9"))
        .await
        .expect("noted");
    assert_eq!(events(&it, &session).await.len(), 1);
    let generation: i64 = it.scalar("SELECT generation FROM superseded_tokens").await;
    assert_eq!(generation, 1);

    let allowing = it.replica().await;
    it.sql("DELETE FROM superseded_tokens").await;
    let session = it.sign_in_as(sign_in(Via::Refresh, HOME, bound)).await;
    let noted = allowing
        .refresh(&session.refresh_token, &request_id())
        .await;
    noted.expect("noted");
    assert_eq!(events(&it, &session).await.len(), 1);
    let told: i64 = it.scalar("SELECT count(*) FROM superseded_tokens").await;
    assert_eq!(told, 0, "nothing is superseded where nothing is denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn binding_is_judged_before_the_interval_between_refreshes() {
    let options = ["--refresh-min-interval", "9s"];
    let it = Harness::with(&options).await;
    it.create_user("ana", &[]).await;
    for (reaction, told) in [
        (Reaction::Note, "REFRESHED_TOO_OFTEN"),
        (Reaction::Refuse, "SESSION_BINDING_BROKEN"),
        (Reaction::End, "SESSION_ENDED"),
    ] {
        let bound = binding(true, 24, reaction);
        let session = it.sign_in_as(sign_in(Via::Refresh, HOME, bound)).await;
        // So that it stays young however slow the machine is.
        it.database.age(&session.session_id, "-1 h").await;
        let answer = exchange(&it, Via::Refresh, &session, ("thief", "")).await;
        assert_eq!(reason(&answer.expect_err("refused")), told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thief_who_hangs_up_does_not_keep_a_session_that_is_to_end() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let bound = binding(true, 0, Reaction::End);
    let session = it.sign_in_as(sign_in(Via::Renew, HOME, bound)).await;
    let laptop = it.sign_in("ana").await;

    let lock = it.database.lock_session(&session.session_id).await;
    let mut thief = it.auth();
    let request = v1::RenewRequest {
        access_token: session.access_token.clone(),
        ..v1::RenewRequest::default()
    };
    let call = tokio::spawn(async move { thief.renew(request).await });
    it.database.until_blocked(REVOKE, 1).await;
    call.abort();
    assert!(call.await.expect_err("hung up").is_cancelled());
    // A later answer on the same connection: the server has read that the thief is gone.
    let later = it.refresh(&laptop.refresh_token, &request_id()).await;
    later.expect("lives");
    lock.release().await;
    it.database.until_done(REVOKE).await;

    let (_, ended) = it.database.standing(&session.session_id).await;
    assert_eq!(ended.as_deref(), Some("BINDING_BROKEN"));
    assert_eq!(events(&it, &session).await.len(), 1);
}

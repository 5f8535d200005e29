//! A database that lost a commit in a failover is nobody's theft, until two parties
//! show what each got.

use tonic::Code;

use crate::harness::{Harness, end_reason, reason, request_id, says_when_to_retry, successor};

#[tokio::test(flavor = "multi_thread")]
async fn token_ahead_of_the_database_is_refused_for_now_and_ends_nothing() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("lives");
    it.database.lose_commit(&phone.session_id, None).await;
    let before = it.database.contents().await;

    for id in [request_id(), String::new()] {
        let refused = it.refresh(successor(&next), &id).await;
        let refused = refused.expect_err("ahead");
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(reason(&refused), "GENERATION_AHEAD");
        assert!(says_when_to_retry(&refused));
    }
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_of_a_refresh_whose_commit_was_lost_makes_the_same_successor_again() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    let lost = it.refresh(&phone.refresh_token, &id).await.expect("lives");
    it.database.lose_commit(&phone.session_id, None).await;

    let again = it.refresh(&phone.refresh_token, &id).await.expect("retry");
    assert_eq!(successor(&again), successor(&lost));
    it.refresh(successor(&lost), &request_id())
        .await
        .expect("what was lost is good again");
}

#[tokio::test(flavor = "multi_thread")]
async fn fork_across_a_lost_commit_ends_the_session() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let lost = it.refresh(&phone.refresh_token, &request_id()).await;
    let lost = lost.expect("lives");
    it.database.lose_commit(&phone.session_id, None).await;
    let other = it.refresh(&phone.refresh_token, &request_id()).await;
    let other = other.expect("the database knows of no other");

    let fork = it.refresh(successor(&lost), &request_id()).await;
    assert_eq!(reason(&fork.expect_err("a fork")), "REFRESH_TOKEN_REUSED");
    let ended = it.refresh(successor(&other), &request_id()).await;
    assert_eq!(end_reason(&ended.expect_err("ended")), "TOKEN_REUSED");
    let kind: String = it
        .scalar("SELECT detail->>'reuse' FROM audit_events WHERE kind = 'REFRESH_TOKEN_REUSED'")
        .await;
    assert_eq!(kind, "FORK_ACROSS_LOST_COMMIT");
}

#[tokio::test(flavor = "multi_thread")]
async fn child_of_a_fork_across_a_lost_commit_ends_the_session() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let lost = it.refresh(&phone.refresh_token, &request_id()).await;
    let lost = lost.expect("lives");
    it.database.lose_commit(&phone.session_id, None).await;
    let other = it.refresh(&phone.refresh_token, &request_id()).await;
    // Both parties' next refresh has one name, which must not make them one party.
    let id = request_id();
    it.refresh(successor(&other.expect("lives")), &id)
        .await
        .expect("lives");
    let fork = it.refresh(successor(&lost), &id).await;
    assert_eq!(reason(&fork.expect_err("a fork")), "REFRESH_TOKEN_REUSED");
}

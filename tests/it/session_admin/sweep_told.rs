//! Who learns of the end of all sessions that a filter meets: the audit trail and the feed.

use rollcall::proto::v1::{
    self, WatchRevocationsRequest, revocation::Kind, watch_revocations_response::Message,
};

use super::sweep::{begin, dry, multiply, of_client, order, read, sweep};
use crate::harness::{Harness, patiently};

#[tokio::test(flavor = "multi_thread")]
async fn audit_trail_has_the_order_with_its_filter_and_every_end() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    multiply(&it, &admin, 3).await;
    assert_eq!(sweep(&it, &admin, dry(of_client("mass"))).await, 3);
    let kinds = "SELECT count(*) FROM audit_events WHERE kind LIKE 'SESSION%'";
    assert_eq!(it.scalar::<i64>(kinds).await, 0, "a dry run tells nothing");

    let mut request = admin.request(order(of_client("mass")));
    let id = "sweep-1".parse().expect("ASCII");
    request.metadata_mut().insert("x-request-id", id);
    let reply = it.session_admin().revoke_sessions(request).await;
    let done = read(reply.expect("begins").into_inner()).await;
    assert_eq!(done.expect("done").len(), 1);
    let order: String = it
        .scalar(
            "SELECT concat_ws(' ', user_id, session_id, actor_id, request_id, detail->>'filter') \
             FROM audit_events WHERE kind = 'SESSIONS_REVOKED'",
        )
        .await;
    let nobody = "00000000-0000-0000-0000-000000000000";
    let expected = format!(
        "{nobody} {} sweep-1 {{\"clientId\":\"mass\"}}",
        admin.user_id
    );
    assert_eq!(order, expected);
    let each: i64 = it
        .scalar(&format!(
            "SELECT count(*) FROM sessions AS s JOIN audit_events AS e \
               ON e.user_id = s.user_id AND e.session_id = s.id AND e.kind = 'SESSION_ENDED' \
             WHERE s.client_id = 'mass' AND e.request_id = 'sweep-1' \
               AND e.actor_session_id = '{}' AND e.created_at = s.revoked_at \
               AND e.detail->>'reason' = s.end_reason",
            admin.session_id
        ))
        .await;
    assert_eq!(each, 3);
    let orders = v1::EventFilter {
        kinds: vec![v1::EventKind::SessionsRevoked.into()],
        ..v1::EventFilter::default()
    };
    let request = admin.request(v1::ListEventsRequest {
        filter: Some(orders),
        ..v1::ListEventsRequest::default()
    });
    let events = it.audit().list_events(request).await.expect("lists");
    let detail = events.into_inner().events.remove(0).detail;
    let Some(v1::event::Detail::SessionsRevocation(told)) = detail else {
        panic!("{detail:?}")
    };
    assert_eq!(told.filter, Some(of_client("mass")));
    assert_eq!(it.scalar::<i64>(kinds).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_of_another_replica_are_told_of_every_end() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    multiply(&it, &admin, 1_200).await;
    let watch = WatchRevocationsRequest::default();
    let watch = other
        .verification()
        .watch_revocations(admin.request(watch))
        .await;
    let mut watch = watch.expect("opens").into_inner();
    let stream = begin(&it, &admin, order(of_client("mass"))).await;
    let done = read(stream.expect("begins")).await.expect("done");
    assert_eq!(done.len(), 2);
    let mut told = 0;
    while told < 1_200 {
        let message = patiently("a message", watch.message()).await;
        let message = message.expect("goes on").expect("has no end");
        if let Some(Message::Revocations(news)) = message.message {
            let ends = news.revocations.iter();
            told += ends
                .filter(|it| matches!(it.kind, Some(Kind::SessionEnded(_))))
                .count();
        }
    }
    assert_eq!(told, 1_200);
}

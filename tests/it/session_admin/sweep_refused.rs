//! Sweeps that are refused, at once or on their way.

use rollcall::proto::v1::{self, RevokeSessionsRequest, SessionFilter};
use tonic::Code;

use super::sweep::{begin, dry, multiply, of_client, order, refused_on_the_way, sweep};
use crate::harness::{
    Harness,
    http2::{Connection, outcome},
    patiently, reason, violated_fields,
};

#[tokio::test(flavor = "multi_thread")]
async fn cursor_of_another_call_is_refused() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    multiply(&it, &admin, 1_500).await;
    let mut stream = begin(&it, &admin, dry(of_client("mass")))
        .await
        .expect("begins");
    let first = stream.message().await.expect("reads").expect("one");
    let cursor = first.cursor;
    for elsewhere in [order(of_client("mass")), dry(of_client("test"))] {
        let request = RevokeSessionsRequest {
            cursor: cursor.clone(),
            ..elsewhere
        };
        let refused = begin(&it, &admin, request).await.expect_err("elsewhere");
        assert_eq!(violated_fields(&refused), ["cursor"]);
    }
    let request = RevokeSessionsRequest {
        cursor,
        ..dry(of_client("mass"))
    };
    // At another replica as well.
    let replica = it.replica().await;
    let rest = sweep(&replica, &admin, request).await;
    assert_eq!(first.revoked_session_count + rest, 1_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_without_a_condition_is_refused_before_any_statement() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let before = it.database.statements().await;
    let open = SessionFilter {
        create_time: Some(v1::TimeRange::default()),
        generation: Some(v1::GenerationRange::default()),
        ..SessionFilter::default()
    };
    let ended = SessionFilter {
        include_ended: true,
        ..of_client("test")
    };
    let all = SessionFilter {
        include_ended: true,
        ..SessionFilter::default()
    };
    for (filter, fields) in [
        (None, &["filter"][..]),
        (Some(SessionFilter::default()), &["filter"]),
        (Some(open), &["filter"]),
        (Some(ended), &["filter.include_ended"]),
        (Some(all), &["filter.include_ended", "filter"]),
    ] {
        let request = RevokeSessionsRequest {
            filter,
            ..RevokeSessionsRequest::default()
        };
        let refused = begin(&it, &admin, request).await.expect_err("no condition");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(violated_fields(&refused), fields);
    }
    assert_eq!(it.database.statements().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_who_is_demoted_on_the_way_ends_no_further_batch() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let refused = refused_on_the_way(&it, &admin, async || {
        it.sql("UPDATE users SET roles = '{}' WHERE login = 'operator'")
            .await;
    })
    .await;
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "ADMIN_REQUIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_s_deadline_ends_the_stream() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let lock = it.database.lock_session(&ana.session_id).await;
    let connection = Connection::open(&it.address).await;
    let token = format!("Bearer {}", admin.access_token);
    // Long enough for the reply to begin, as a rule.
    let headers = [("grpc-timeout", "2S"), ("authorization", &*token)];
    let (rpc, all) = (
        "/rollcall.v1.SessionAdmin/RevokeSessions",
        order(of_client("test")),
    );
    let call = connection.call(rpc, &headers, &all).await;
    let (_, late) = patiently("the stream ends", outcome(call)).await;
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&late), "DEADLINE_EXCEEDED");
    it.database.until_done("WITH examined").await;
    lock.release().await;
    assert_eq!(it.database.standing(&ana.session_id).await.1, None);
}

//! The audit trail: each act leaves its event, and nothing else does.

use rollcall::proto::v1;

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn revoke_by_an_operator_is_told_once_with_who_did_it() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    for request_id in ["first", "again"] {
        let mut request = admin.request(v1::RevokeSessionRequest {
            session_id: ana.session_id.clone(),
        });
        let id = request_id.parse().expect("ASCII");
        request.metadata_mut().insert("x-request-id", id);
        let revoked = it.session_admin().revoke_session(request).await;
        revoked.expect("revokes");
    }
    let told = it
        .scalar::<String>(
            "SELECT string_agg(concat_ws(' ', user_id, session_id, actor_id, actor_session_id, \
             request_id, host(ip_address), detail), ';') FROM audit_events \
             WHERE kind = 'SESSION_ENDED' \
               AND abs(extract(epoch FROM created_at) * 1000 \
                 - ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint) < 1 \
               AND id::text ~ '^.{14}7.{4}[89ab]' AND created_at <= now()",
        )
        .await;
    let expected = [
        &ana.user_id,
        &ana.session_id,
        &admin.user_id,
        &admin.session_id,
        "first 127.0.0.1 {\"reason\": \"REVOKED_BY_ADMIN\"}",
    ];
    assert_eq!(told, expected.join(" "));
}

//! What is done with one session of a user who has thousands.

use rollcall::proto::v1;

use super::OF_CALLS;
use crate::harness::{Harness, Replica, request_id};

#[tokio::test(flavor = "multi_thread")]
async fn statements_about_one_session_do_not_read_the_thousands_of_its_user() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &[]).await;
    // Most users have one, which is what a plan for any user goes by.
    it.sql(&format!(
        "INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object( \
           'user_id', CASE WHEN n <= 5000 THEN s.user_id ELSE gen_random_uuid() END, \
           'id', gen_random_uuid(), 'device_id', null))).* \
         FROM sessions AS s, generate_series(1, 25000) AS n WHERE s.id = '{}' \
         ORDER BY random()",
        ana.phone.session_id
    ))
    .await;
    it.sql("ANALYZE sessions").await;
    // As statements are planned that are sent often: for any user.
    let url = it
        .database
        .url_with("plan_cache_mode", "force_generic_plan");
    let replica = Replica::launch(&url, &[]).await;
    replica.wait_until_serving().await;
    it.sql(
        "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database \
         WHERE datname = current_database()",
    )
    .await;

    let refresh_token = ana.phone.refresh_token.clone();
    let refresh = v1::RefreshRequest {
        refresh_token: refresh_token.clone(),
        request_id: request_id(),
        ..v1::RefreshRequest::default()
    };
    let mut auth = replica.auth();
    auth.refresh(refresh).await.expect("lives");
    let session_id = ana.phone.session_id.clone();
    let get = admin.request(v1::GetSessionRequest { session_id });
    let mut sessions = replica.session_admin();
    sessions.get_session(get).await.expect("is there");
    let session_id = ana.laptop.session_id.clone();
    let revoke = admin.request(v1::RevokeSessionRequest { session_id });
    sessions.revoke_session(revoke).await.expect("revokes");
    let logout = v1::LogoutRequest { refresh_token };
    auth.logout(logout).await.expect("logs out");

    let read = it
        .sql(&format!(
            "SELECT query, (shared_blks_hit + shared_blks_read) / calls \
             FROM pg_stat_statements WHERE {OF_CALLS} AND query NOT LIKE 'WITH old AS%'"
        ))
        .await;
    assert!(read.len() >= 4, "one each");
    for row in read {
        let (query, pages): (String, i64) = (row.get(0), row.get(1));
        assert!(pages < 200, "{pages} pages: {query}");
    }
}

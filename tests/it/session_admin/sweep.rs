//! The end of all sessions that a filter meets.

use prost_types::Timestamp;
use rollcall::proto::v1::{
    self, RevokeSessionsRequest, RevokeSessionsResponse, SessionFilter,
    session_admin_client::SessionAdminClient, session_filter::User,
};
use tonic::{Status, Streaming, transport::Channel};

use super::{
    conditions::{generations, online, role},
    find,
};
use crate::harness::{Harness, Replica, SignedIn, device, request_id};

/// How many sessions one batch looks at.
pub(super) const WINDOW: u64 = 1_000;

pub(super) fn of_client(client_id: &str) -> SessionFilter {
    SessionFilter {
        client_id: client_id.to_owned(),
        ..SessionFilter::default()
    }
}

pub(super) fn order(filter: SessionFilter) -> RevokeSessionsRequest {
    RevokeSessionsRequest {
        filter: Some(filter),
        ..RevokeSessionsRequest::default()
    }
}

pub(super) fn dry(filter: SessionFilter) -> RevokeSessionsRequest {
    RevokeSessionsRequest {
        validate_only: true,
        ..order(filter)
    }
}

pub(super) async fn begin(
    it: &Replica,
    admin: &SignedIn,
    order: RevokeSessionsRequest,
) -> Result<Streaming<RevokeSessionsResponse>, Status> {
    let request = admin.request(order);
    let reply = it.session_admin().revoke_sessions(request).await?;
    Ok(reply.into_inner())
}

/// Reads to the end.
pub(super) async fn read(
    mut stream: Streaming<RevokeSessionsResponse>,
) -> Result<Vec<RevokeSessionsResponse>, Status> {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

/// How many were met, after all is done.
pub(super) async fn sweep(it: &Replica, admin: &SignedIn, order: RevokeSessionsRequest) -> u64 {
    let stream = begin(it, admin, order).await.expect("begins");
    let messages = read(stream).await.expect("comes to its end");
    let (last, others) = messages.split_last().expect("a message");
    assert_eq!(last.cursor, "");
    assert!(others.iter().all(|message| !message.cursor.is_empty()));
    last.revoked_session_count
}

/// Live sessions like this one, of another client, so many of them.
pub(super) async fn multiply(it: &Harness, session: &SignedIn, count: u64) {
    let id = &session.session_id;
    it.sql(&format!(
        "INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object( \
           'id', gen_random_uuid(), 'client_id', 'mass', 'device_id', null))).* \
         FROM sessions AS s, generate_series(1, {count}) WHERE s.id = '{id}'"
    ))
    .await;
}

/// How a sweep ends whose caller loses something while its second batch is held up: no
/// further batch is ended.
pub(super) async fn refused_on_the_way(
    it: &Harness,
    admin: &SignedIn,
    lose: impl AsyncFnOnce(),
) -> Status {
    refused_on_the_way_at(it, it.session_admin(), admin, lose).await
}

/// The same at a replica that may be another.
pub(super) async fn refused_on_the_way_at(
    it: &Harness,
    mut client: SessionAdminClient<Channel>,
    admin: &SignedIn,
    lose: impl AsyncFnOnce(),
) -> Status {
    multiply(it, admin, 2_500).await;
    // In a subquery, so that those before it are not locked too.
    let second = "SELECT id FROM sessions WHERE id = (SELECT id FROM sessions \
         WHERE client_id = 'mass' ORDER BY id DESC LIMIT 1 OFFSET 1500)";
    let lock = it.database.lock(second).await;
    let request = admin.request(order(of_client("mass")));
    let reply = client.revoke_sessions(request).await.expect("begins");
    let mut stream = reply.into_inner();
    it.database.until_blocked("WITH examined", 1).await;
    lose().await;
    lock.batch_execute("COMMIT").await.expect("commits");
    let refused = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "goes on"),
            Err(refused) => break refused,
        }
    };
    let left = live(it, "mass").await;
    assert!((500..=501).contains(&left), "{left}");
    refused
}

pub(super) async fn live(it: &Harness, client_id: &str) -> i64 {
    let query = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL AND client_id";
    it.scalar(&format!("{query} = '{client_id}'")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_condition_ends_what_the_list_finds_and_the_dry_run_counts_it() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &["clerk"]).await;
    let said = |client_id: &str, ip_address: &str, user_agent: &str| v1::Device {
        client_id: client_id.to_owned(),
        ip_address: ip_address.to_owned(),
        user_agent: user_agent.to_owned(),
        ..device("")
    };
    let client = of_client("mail.app");
    let prefix = SessionFilter {
        ip_prefix: "203.0.113.0/24".to_owned(),
        ..SessionFilter::default()
    };
    let agent = SessionFilter {
        user_agent_contains: "netscape".to_owned(),
        ..SessionFilter::default()
    };
    let login = SessionFilter {
        user: Some(User::Login("ANA".to_owned())),
        ..SessionFilter::default()
    };
    let seen = SessionFilter {
        last_seen_time: Some(v1::TimeRange {
            start_time: Some(Timestamp::default()),
            end_time: None,
        }),
        ..SessionFilter::default()
    };
    for filter in [
        client,
        prefix,
        agent,
        login,
        seen,
        generations(None, Some(0)),
        role("clerk"),
        online(),
    ] {
        it.sign_in_on("ana", said("mail.app", "203.0.113.7", "Netscape/4"))
            .await;
        it.sign_in_on("ana", said("mail.app", "203.0.113.8", "Netscape/5"))
            .await;
        let own = &admin.session_id;
        let mut found = find(&it, &admin, filter.clone()).await;
        found.retain(|id| id != own);
        assert_eq!(found.len(), 2, "{filter:?}");
        let counted = sweep(&it, &admin, dry(filter.clone())).await;
        assert_eq!(counted, 2, "{filter:?}");
        assert_eq!(find(&it, &admin, filter.clone()).await.len(), {
            found.len() + usize::from(live(&it, "test").await == 1 && meets_own(&filter))
        });
        assert_eq!(sweep(&it, &admin, order(filter.clone())).await, 2);
        for id in &found {
            let (_, end_reason) = it.database.standing(id).await;
            assert_eq!(end_reason.as_deref(), Some("REVOKED_BY_ADMIN"));
        }
        let again = sweep(&it, &admin, order(filter.clone())).await;
        assert_eq!(again, 0, "{filter:?}");
        assert_eq!(live(&it, "test").await, 1, "the caller's own is spared");
    }
}

/// Whether a filter of that test meets the session that calls.
fn meets_own(filter: &SessionFilter) -> bool {
    filter.online || filter.generation.is_some() || filter.last_seen_time.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_opened_after_the_call_began_are_spared() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let (early, late) = (it.sign_in("ana").await, it.sign_in("ana").await);
    // Whatever their ids say: those are made with the clock of a replica.
    let later = format!(
        "UPDATE sessions SET created_at = now() + interval '1 h' WHERE id = '{}'",
        late.session_id
    );
    it.sql(&later).await;
    assert_eq!(sweep(&it, &admin, order(of_client("test"))).await, 1);
    assert!(it.database.standing(&early.session_id).await.1.is_some());
    it.refresh(&late.refresh_token, &request_id())
        .await
        .expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_that_its_caller_leaves_stops_and_goes_on_with_its_cursor() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    multiply(&it, &ana, 2_500).await;
    // The last that is looked at, so that the walk waits in its last batch.
    let oldest = "SELECT id FROM sessions WHERE client_id = 'mass' ORDER BY id LIMIT 1";
    let lock = it.database.lock(oldest).await;
    let mut stream = begin(&it, &admin, order(of_client("mass")))
        .await
        .expect("begins");
    let mut cursors = Vec::new();
    for batch in 1..=2 {
        let told = stream.message().await.expect("goes on").expect("a message");
        assert_eq!(told.examined_session_count, batch * WINDOW);
        cursors.push(told.cursor);
    }
    it.database.until_blocked("WITH examined", 1).await;
    drop(stream);
    it.database.until_done("WITH examined").await;
    lock.batch_execute("COMMIT").await.expect("commits");
    let left = live(&it, "mass").await;
    assert!((1..=502).contains(&left), "{left}");

    let rest = RevokeSessionsRequest {
        cursor: cursors.remove(0),
        ..order(of_client("mass"))
    };
    let stream = begin(&it, &admin, rest).await.expect("begins");
    let messages = read(stream).await.expect("comes to its end");
    let last = messages.last().expect("a message");
    assert_eq!(last.revoked_session_count, left.unsigned_abs());
    assert_eq!(last.examined_session_count, 2_502 - WINDOW);
    assert_eq!(live(&it, "mass").await, 0);
    let orders = "SELECT count(*) FROM audit_events WHERE kind = 'SESSIONS_REVOKED'";
    assert_eq!(it.scalar::<i64>(orders).await, 1, "one order in two calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_that_does_not_exist_has_nothing_to_end() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for user in [
        User::Login("nobody".to_owned()),
        User::UserId(super::NOBODY.to_owned()),
    ] {
        let filter = SessionFilter {
            user: Some(user),
            ..SessionFilter::default()
        };
        let stream = begin(&it, &admin, order(filter)).await.expect("begins");
        let messages = read(stream).await.expect("comes to its end");
        assert_eq!(messages, [RevokeSessionsResponse::default()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweeps_at_once_end_each_session_once() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    let second = it.sign_in("operator").await;
    multiply(&it, &admin, 2_500).await;
    let (one, two) = tokio::join!(
        sweep(&it, &admin, order(of_client("mass"))),
        sweep(&other, &second, order(of_client("mass"))),
    );
    assert_eq!(one + two, 2_500);
    let told = "SELECT count(*) FROM audit_events WHERE kind = 'SESSION_ENDED'";
    assert_eq!(it.scalar::<i64>(told).await, 2_500);
}

//! The audit trail: each act leaves its event, and nothing else does.

mod acts;
mod details;
mod filters;
mod other_releases;
mod retention;
mod watch;

use rollcall::proto::v1;
use tonic::Status;

use crate::harness::{Harness, Replica, SignedIn};

/// Events of a filter, newest first.
async fn list(
    it: &Replica,
    admin: &SignedIn,
    filter: v1::EventFilter,
) -> Result<Vec<v1::Event>, Status> {
    let request = admin.request(v1::ListEventsRequest {
        filter: Some(filter),
        page_size: 1_000,
        ..v1::ListEventsRequest::default()
    });
    Ok(it.audit().list_events(request).await?.into_inner().events)
}

/// Writes an event of this moment about a user, as another release may: what is older is purged.
async fn write(it: &Harness, user_id: &str, number: usize, kind: &str, detail: &str) {
    let millis = "to_hex((extract(epoch FROM now()) * 1000)::bigint)";
    it.sql(&format!(
        "INSERT INTO audit_events (user_id, id, created_at, kind, detail) VALUES ('{user_id}', \
         (lpad({millis}, 12, '0') || '70008' || '{number:015}')::uuid, now(), '{kind}', \
         $it${detail}$it$)"
    ))
    .await;
}

/// Ends a session as an operator.
async fn revoke(it: &Replica, admin: &SignedIn, session: &SignedIn) {
    let request = admin.request(v1::RevokeSessionRequest {
        session_id: session.session_id.clone(),
    });
    it.session_admin()
        .revoke_session(request)
        .await
        .expect("revokes");
}

fn of_kinds(kinds: &[v1::EventKind]) -> v1::EventFilter {
    v1::EventFilter {
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        ..v1::EventFilter::default()
    }
}

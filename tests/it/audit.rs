//! The audit trail: each act leaves its event, and nothing else does.

mod acts;
mod details;
mod filters;
mod other_releases;
mod retention;
mod watch;

use rollcall::proto::v1;
use tonic::Status;

use crate::harness::{Replica, SignedIn};

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

/// The id of an event of this moment, as SQL: what is older is purged.
fn new_id(number: usize) -> String {
    let millis = "to_hex((extract(epoch FROM now()) * 1000)::bigint)";
    format!("(lpad({millis}, 12, '0') || '70008' || '{number:015}')::uuid")
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

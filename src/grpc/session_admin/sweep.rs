//! `RevokeSessions`: what is asked for, and how far it is.

use std::time::Duration;

use futures_util::{Stream, stream};
use prost::Message;
use tonic::Status;

use crate::{
    grpc::{
        deadline::{Deadline, in_time},
        json::json,
        page::List,
        parse::Fields,
    },
    identity::{Effect, Identity, Progress, Sweep, SweepOrder},
    model::ids::SessionId,
    proto::v1,
};

/// What a cursor is good for: the same request.
pub(super) fn list(identity: &Identity, request: &v1::RevokeSessionsRequest) -> List {
    let scope = v1::RevokeSessionsRequest {
        cursor: String::new(),
        ..request.clone()
    };
    List::new(identity, "RevokeSessions", &scope.encode_to_vec())
}

pub(super) fn parse(
    fields: &mut Fields,
    list: &List,
    request: v1::RevokeSessionsRequest,
    online: Duration,
) -> SweepOrder {
    let wanted = "must be the cursor of a message of the same call";
    let after = list.place(fields, "cursor", &request.cursor, wanted);
    let wanted = request.filter.unwrap_or_default();
    if wanted.include_ended {
        fields.reject("filter.include_ended", "must not be given");
    }
    let text = json("SessionFilter", &wanted);
    if is_open(&wanted) {
        fields.reject("filter", "must have at least one condition");
    }
    let (login, filter) = fields.session_filter(wanted, online);
    SweepOrder {
        login,
        filter,
        after: after.map(SessionId),
        effect: match request.validate_only {
            true => Effect::Count,
            false => Effect::End { filter: text },
        },
    }
}

/// Whether no condition narrows the sessions down. A range that is open at both ends is none.
fn is_open(wanted: &v1::SessionFilter) -> bool {
    let narrow = |range: &v1::TimeRange| *range != v1::TimeRange::default();
    let narrower = |range: &v1::GenerationRange| *range != v1::GenerationRange::default();
    let conditions = v1::SessionFilter {
        include_ended: false,
        create_time: wanted.create_time.filter(narrow),
        last_seen_time: wanted.last_seen_time.filter(narrow),
        generation: wanted.generation.filter(narrower),
        ..wanted.clone()
    };
    conditions == v1::SessionFilter::default()
}

/// The stream of a sweep, which ends after an error.
pub(super) fn progress(
    sweep: Sweep,
    list: List,
    deadline: Option<Deadline>,
) -> impl Stream<Item = Result<v1::RevokeSessionsResponse, Status>> {
    stream::unfold(Some((sweep, list)), move |state| async move {
        let (mut sweep, list) = state?;
        match in_time(deadline, sweep.next()).await {
            Ok(Ok(Some(progress))) => Some((Ok(told(&list, progress)), Some((sweep, list)))),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(error.into()), None)),
            Err(late) => Some((Err(late), None)),
        }
    })
}

fn told(list: &List, progress: Progress) -> v1::RevokeSessionsResponse {
    v1::RevokeSessionsResponse {
        revoked_session_count: progress.met,
        examined_session_count: progress.examined,
        cursor: progress.rest.map(|id| list.token(id.0)).unwrap_or_default(),
    }
}

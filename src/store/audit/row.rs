//! The row of an event, and what may stand in it.

use diesel::prelude::Queryable;
use ipnet::IpNet;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::schema::audit_events;
use crate::model::{
    audit::{Act, Actor, Detail, Event, EventId, EventKind},
    ids::{SessionId, UserId},
};

/// The columns in the order of [`EventRow`].
pub(super) type Columns = (
    audit_events::id,
    audit_events::created_at,
    audit_events::kind,
    audit_events::user_id,
    audit_events::session_id,
    audit_events::actor_id,
    audit_events::actor_session_id,
    audit_events::request_id,
    audit_events::ip_address,
    audit_events::detail,
);

pub(super) const COLUMNS: Columns = (
    audit_events::id,
    audit_events::created_at,
    audit_events::kind,
    audit_events::user_id,
    audit_events::session_id,
    audit_events::actor_id,
    audit_events::actor_session_id,
    audit_events::request_id,
    audit_events::ip_address,
    audit_events::detail,
);

#[derive(Queryable)]
pub(super) struct EventRow {
    id: Uuid,
    created_at: OffsetDateTime,
    kind: String,
    user_id: Uuid,
    session_id: Option<Uuid>,
    actor_id: Option<Uuid>,
    actor_session_id: Option<Uuid>,
    request_id: String,
    ip_address: Option<IpNet>,
    detail: Value,
}

impl EventRow {
    fn actor(&self) -> Option<Actor> {
        match (self.actor_id?, self.actor_session_id) {
            (user_id, Some(session_id)) => Some(Actor::Operator {
                user_id: UserId(user_id),
                session_id: SessionId(session_id),
            }),
            (_, None) => Some(Actor::CommandLine),
        }
    }
}

/// Nothing in a row is an error: what another release wrote is shown as far as it is known.
impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let kind = EventKind::parse(&row.kind);
        Self {
            id: EventId(row.id),
            created_at: row.created_at,
            kind,
            user_id: (!row.user_id.is_nil()).then_some(UserId(row.user_id)),
            session_id: row.session_id.map(SessionId),
            act: Act {
                actor: row.actor(),
                request_id: row.request_id,
                ip_address: row.ip_address.map(|net| net.addr()),
            },
            detail: kind.and_then(|kind| Detail::from_json(kind, row.detail)),
        }
    }
}

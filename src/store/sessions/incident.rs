//! What is done about a token that two parties hold, or that has moved, each with its event.

use diesel::sql_types::{Bytea, Int8, Jsonb, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::{
        Error,
        audit::{By, IN_THE_LAST_MINUTE, INSERT, LIVES, SessionsEnded},
        statement::statement,
    },
    bytes,
};
use crate::model::{
    audit::{Act, Detail, EventKind},
    ids::{SessionId, UserId},
    session::EndReason,
    verdict::Lineage,
};

/// What an audit event of a session tells.
#[derive(Clone, Debug)]
pub struct Incident {
    /// By which call.
    pub act: Act,
    /// Whose session.
    pub user_id: UserId,
    /// Which session.
    pub session_id: SessionId,
    /// What happened: [`EventKind::RefreshTokenReused`] or
    /// [`EventKind::SessionBindingBroken`].
    pub kind: EventKind,
    /// From where and with what, and the last good refresh.
    pub detail: Detail,
}

/// A session that is to end for what was seen in its row.
#[derive(Debug)]
pub struct Judged {
    /// What the audit event tells.
    pub incident: Incident,
    /// The generations by which it was judged: where the row has moved on since, the
    /// judgement is void.
    pub lineage: Lineage,
    /// Why it ends.
    pub reason: EndReason,
}

struct Binds<'a> {
    user_id: Uuid,
    session_id: Uuid,
    kind: &'static str,
    detail: Value,
    by: By<'a>,
}

impl<'a> From<&'a Incident> for Binds<'a> {
    fn from(incident: &'a Incident) -> Self {
        Self {
            user_id: incident.user_id.0,
            session_id: incident.session_id.0,
            kind: incident.kind.as_str(),
            detail: incident.detail.to_json(),
            by: By::from(&incident.act),
        }
    }
}

struct JudgedBinds<'a> {
    event: Binds<'a>,
    reason: &'static str,
    generation: i64,
    current: Vec<u8>,
    told: SessionsEnded<'a>,
}

statement! {
    RevokeJudged(&JudgedBinds<'a>) -> Int8 = |it|
        "WITH ended AS (\
           UPDATE sessions AS s SET revoked_at = now(), end_reason = ", [Text: it.reason],
        "  WHERE s.user_id = ", [SqlUuid: it.event.user_id], " AND s.id = ",
        [SqlUuid: it.event.session_id], " AND s.generation = ", [Int8: it.generation],
        "    AND s.h_current = ", [Bytea: it.current], " AND s.revoked_at IS NULL \
           RETURNING s.user_id, s.id, ", {LIVES}, " AS lived\
         ), incident AS (", {INSERT}, "SELECT user_id, id, ", [Text: it.event.kind], ", ",
        [Jsonb: it.event.detail], ", ", (it.event.by), " FROM ended\
         ), told AS (", (it.told), ") SELECT count(*) FROM ended"
}

/// Ends a session for what was seen in its row, together with the audit events that tell
/// of it; `false` when the row has moved on since it was judged.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has ended.
pub async fn revoke_judged(conn: &mut AsyncPgConnection, judged: &Judged) -> Result<bool, Error> {
    let binds = JudgedBinds {
        event: Binds::from(&judged.incident),
        reason: judged.reason.as_str(),
        generation: judged.lineage.generation.into(),
        current: bytes(judged.lineage.current),
        told: SessionsEnded::new(&judged.incident.act, judged.reason),
    };
    let ended: i64 = RevokeJudged(&binds).get_result(conn).await?;
    Ok(ended == 1)
}

statement! {
    /// One a minute tells enough, and lets nobody fill the table.
    Record(&Binds<'a>) -> () = |it|
        {INSERT}, "SELECT ", [SqlUuid: it.user_id], ", ", [SqlUuid: it.session_id], ", ",
        [Text: it.kind], ", ", [Jsonb: it.detail], ", ", (it.by),
        " WHERE NOT EXISTS (SELECT FROM audit_events AS earlier \
         WHERE earlier.user_id = ", [SqlUuid: it.user_id], " AND ", {IN_THE_LAST_MINUTE},
        " AND earlier.session_id = ", [SqlUuid: it.session_id], " AND earlier.kind = ",
        [Text: it.kind], ")"
}

/// Writes the audit event of an incident that ends nothing, unless there is one of the last
/// minute.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn record(conn: &mut AsyncPgConnection, incident: &Incident) -> Result<(), Error> {
    Record(&Binds::from(incident)).execute(conn).await?;
    Ok(())
}

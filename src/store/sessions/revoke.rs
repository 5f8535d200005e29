//! The ends of sessions. What has ended keeps its first reason.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, NullableExpressionMethods,
    OptionalExtension, QueryDsl,
    dsl::now,
    sql_types::{Bytea, Int8, Jsonb, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{
        Error,
        audit::{LIVES, SessionsEnded},
        schema::sessions::{self, dsl},
        statement::statement,
    },
    SeenSession, bytes,
    row::{COLUMNS, SessionRow},
};
use crate::model::{
    audit::Act,
    ids::{SessionId, UserId},
    session::EndReason,
    verdict::Lineage,
};

struct RevokeBinds<'a> {
    id: Uuid,
    reason: &'static str,
    told: SessionsEnded<'a>,
}

statement! {
    Revoke(&RevokeBinds<'a>) -> (sessions::SqlType, Timestamptz) = |it|
        "WITH ended AS (\
           UPDATE sessions AS s SET revoked_at = now(), end_reason = ", [Text: it.reason],
        "  WHERE s.id = ", [SqlUuid: it.id], " AND s.revoked_at IS NULL \
           RETURNING ", {COLUMNS}, ", ", {LIVES}, " AS lived\
         ), told AS (", (it.told), ") SELECT ", {COLUMNS}, ", now() FROM ended AS s"
}

/// Ends a session of whichever user; `None` when there is none or it was ended before.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn revoke(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: SessionId,
    reason: EndReason,
) -> Result<Option<SeenSession>, Error> {
    let binds = RevokeBinds {
        id: id.0,
        reason: reason.as_str(),
        told: SessionsEnded::new(act, reason),
    };
    let row: Option<(SessionRow, OffsetDateTime)> =
        Revoke(&binds).get_result(conn).await.optional()?;
    row.map(SeenSession::try_from).transpose()
}

/// Ends a session of this user; `false` when there is none or it was ended before.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn revoke_of_user(
    conn: &mut AsyncPgConnection,
    user_id: UserId,
    id: SessionId,
    reason: EndReason,
) -> Result<bool, Error> {
    let ended = diesel::update(
        dsl::sessions
            .filter(dsl::user_id.eq(user_id.0))
            .filter(dsl::id.eq(id.0))
            .filter(dsl::revoked_at.is_null()),
    )
    .set((
        dsl::revoked_at.eq(now.into_sql::<Timestamptz>().nullable()),
        dsl::end_reason.eq(reason.as_str()),
    ))
    .execute(conn)
    .await?;
    Ok(ended == 1)
}

/// Ends all live sessions of a user and says how many they were.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn revoke_user_sessions(
    conn: &mut AsyncPgConnection,
    user_id: UserId,
    reason: EndReason,
) -> Result<usize, Error> {
    revoke_user_sessions_except(conn, user_id, &[], reason).await
}

/// Ends all live sessions of a user but those named and says how many they were.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn revoke_user_sessions_except(
    conn: &mut AsyncPgConnection,
    user_id: UserId,
    kept: &[SessionId],
    reason: EndReason,
) -> Result<usize, Error> {
    let kept: Vec<Uuid> = kept.iter().map(|id| id.0).collect();
    let at = now.into_sql::<Timestamptz>();
    // Also those that have expired: one may be under refresh, and come back to life.
    let lived: Vec<bool> = diesel::update(
        dsl::sessions
            .filter(dsl::user_id.eq(user_id.0))
            .filter(dsl::id.ne_all(kept))
            .filter(dsl::revoked_at.is_null()),
    )
    .set((
        dsl::revoked_at.eq(now.into_sql::<Timestamptz>().nullable()),
        dsl::end_reason.eq(reason.as_str()),
    ))
    .returning(
        dsl::idle_expires_at
            .gt(at)
            .and(dsl::absolute_expires_at.gt(at)),
    )
    .get_results(conn)
    .await?;
    Ok(lived.into_iter().filter(|lived| *lived).count())
}

/// The kind of the audit event that a reused token leaves.
pub const REFRESH_TOKEN_REUSED: &str = "REFRESH_TOKEN_REUSED";

/// The kind of the audit event that a call from elsewhere than the binding leaves.
pub const SESSION_BINDING_BROKEN: &str = "SESSION_BINDING_BROKEN";

/// What an audit event of a session tells.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Whose session.
    pub user_id: UserId,
    /// Which session.
    pub session_id: SessionId,
    /// What happened: [`REFRESH_TOKEN_REUSED`] or [`SESSION_BINDING_BROKEN`].
    pub kind: &'static str,
    /// From where and with what, and the last good refresh.
    pub detail: serde_json::Value,
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
    incident: &'a Incident,
    user_id: Uuid,
    session_id: Uuid,
    event_id: Uuid,
}

struct JudgedBinds<'a> {
    event: Binds<'a>,
    reason: &'static str,
    generation: i64,
    current: Vec<u8>,
}

statement! {
    RevokeJudged(&JudgedBinds<'a>) -> Int8 = |it|
        "WITH ended AS (\
           UPDATE sessions SET revoked_at = now(), end_reason = ", [Text: it.reason],
        "  WHERE user_id = ", [SqlUuid: it.event.user_id], " AND id = ", [SqlUuid: it.event.session_id],
        "    AND generation = ", [Int8: it.generation], " AND h_current = ", [Bytea: it.current],
        "    AND revoked_at IS NULL RETURNING user_id, id\
         ), told AS (\
           INSERT INTO audit_events (user_id, id, session_id, created_at, kind, detail) \
           SELECT user_id, ", [SqlUuid: it.event.event_id], ", id, now(), ",
        [Text: it.event.incident.kind], ", ", [Jsonb: it.event.incident.detail],
        "  FROM ended RETURNING 1\
         ) SELECT count(*) FROM told"
}

struct RecordBinds<'a> {
    event: Binds<'a>,
    since: Uuid,
}

statement! {
    /// One a minute tells enough, and lets nobody fill the table. The bound on the id, whose
    /// time is that of a replica's clock, keeps the search short.
    Record(&RecordBinds<'a>) -> () = |it|
        "INSERT INTO audit_events (user_id, id, session_id, created_at, kind, detail) SELECT ",
        [SqlUuid: it.event.user_id], ", ", [SqlUuid: it.event.event_id], ", ",
        [SqlUuid: it.event.session_id], ", now(), ", [Text: it.event.incident.kind], ", ",
        [Jsonb: it.event.incident.detail], " WHERE NOT EXISTS (SELECT FROM audit_events AS earlier \
         WHERE earlier.user_id = ", [SqlUuid: it.event.user_id], " AND earlier.id > ",
        [SqlUuid: it.since], " AND earlier.session_id = ", [SqlUuid: it.event.session_id],
        " AND earlier.kind = ", [Text: it.event.incident.kind],
        " AND earlier.created_at > now() - '1 minute'::interval)"
}

/// The least id of an event of two minutes before another: a UUID version 7 begins with its
/// time in milliseconds.
fn two_minutes_before(event_id: Uuid) -> Uuid {
    Uuid::from_u128(event_id.as_u128().saturating_sub(120_000 << 80))
}

/// Ends a session for what was seen in its row, together with the audit event that tells
/// of it; `false` when the row has moved on since it was judged.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has ended.
pub async fn revoke_judged(conn: &mut AsyncPgConnection, judged: &Judged) -> Result<bool, Error> {
    let binds = JudgedBinds {
        event: binds(&judged.incident),
        reason: judged.reason.as_str(),
        generation: judged.lineage.generation.into(),
        current: bytes(judged.lineage.current),
    };
    let told: i64 = RevokeJudged(&binds).get_result(conn).await?;
    Ok(told == 1)
}

/// Writes the audit event of an incident that ends nothing, unless there is one of the last
/// minute.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn record(conn: &mut AsyncPgConnection, incident: &Incident) -> Result<(), Error> {
    let event = binds(incident);
    let since = two_minutes_before(event.event_id);
    Record(&RecordBinds { event, since }).execute(conn).await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "its time orders a user's events")]
fn binds(incident: &Incident) -> Binds<'_> {
    Binds {
        incident,
        user_id: incident.user_id.0,
        session_id: incident.session_id.0,
        event_id: Uuid::now_v7(),
    }
}

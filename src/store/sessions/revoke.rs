//! The ends of sessions, with their events. What has ended keeps its first reason.

use diesel::{
    OptionalExtension,
    sql_types::{Array, Int8, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{
        Error,
        audit::{LIVES, SessionsEnded},
        schema::sessions,
        statement::statement,
    },
    SeenSession,
    row::{COLUMNS, SessionRow},
};
use crate::model::{
    audit::Act,
    ids::{SessionId, UserId},
    session::EndReason,
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

struct OfUserBinds<'a> {
    user_id: Uuid,
    id: Uuid,
    reason: &'static str,
    told: SessionsEnded<'a>,
}

statement! {
    RevokeOfUser(&OfUserBinds<'a>) -> Int8 = |it|
        "WITH ended AS (\
           UPDATE sessions AS s SET revoked_at = now(), end_reason = ", [Text: it.reason],
        "  WHERE s.user_id = ", [SqlUuid: it.user_id], " AND s.id = ", [SqlUuid: it.id],
        "    AND s.revoked_at IS NULL RETURNING s.user_id, s.id, ", {LIVES}, " AS lived\
         ), told AS (", (it.told), ") SELECT count(*) FROM ended"
}

/// Ends a session of this user; `false` when there is none or it was ended before.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn revoke_of_user(
    conn: &mut AsyncPgConnection,
    act: &Act,
    user_id: UserId,
    id: SessionId,
    reason: EndReason,
) -> Result<bool, Error> {
    let binds = OfUserBinds {
        user_id: user_id.0,
        id: id.0,
        reason: reason.as_str(),
        told: SessionsEnded::new(act, reason),
    };
    let ended: i64 = RevokeOfUser(&binds).get_result(conn).await?;
    Ok(ended == 1)
}

/// Ends all live sessions of a user and says how many they were.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn revoke_user_sessions(
    conn: &mut AsyncPgConnection,
    act: &Act,
    user_id: UserId,
    reason: EndReason,
) -> Result<usize, Error> {
    revoke_user_sessions_except(conn, act, user_id, &[], reason).await
}

struct ExceptBinds<'a> {
    user_id: Uuid,
    kept: Vec<Uuid>,
    reason: &'static str,
    told: SessionsEnded<'a>,
}

statement! {
    /// Also those that have expired: one may be under refresh, and come back to life.
    RevokeExcept(&ExceptBinds<'a>) -> Int8 = |it|
        "WITH ended AS (\
           UPDATE sessions AS s SET revoked_at = now(), end_reason = ", [Text: it.reason],
        "  WHERE s.user_id = ", [SqlUuid: it.user_id], " AND s.id <> ALL(",
        [Array<SqlUuid>: it.kept], ") AND s.revoked_at IS NULL \
           RETURNING s.user_id, s.id, ", {LIVES}, " AS lived\
         ), told AS (", (it.told), ") SELECT count(*) FILTER (WHERE lived) FROM ended"
}

/// Ends all live sessions of a user but those named and says how many they were.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn revoke_user_sessions_except(
    conn: &mut AsyncPgConnection,
    act: &Act,
    user_id: UserId,
    kept: &[SessionId],
    reason: EndReason,
) -> Result<usize, Error> {
    let binds = ExceptBinds {
        user_id: user_id.0,
        kept: kept.iter().map(|id| id.0).collect(),
        reason: reason.as_str(),
        told: SessionsEnded::new(act, reason),
    };
    let ended: i64 = RevokeExcept(&binds).get_result(conn).await?;
    Ok(usize::try_from(ended).unwrap_or_default())
}

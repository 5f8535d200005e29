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
        schema::sessions::{self, dsl},
        statement::statement,
    },
    SeenSession, bytes,
    row::SessionRow,
};
use crate::model::{
    ids::{SessionId, UserId},
    session::EndReason,
    verdict::Lineage,
};

/// Ends a session of whichever user; `None` when there is none or it was ended before.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn revoke(
    conn: &mut AsyncPgConnection,
    id: SessionId,
    reason: EndReason,
) -> Result<Option<SeenSession>, Error> {
    let row: Option<(SessionRow, OffsetDateTime)> = diesel::update(
        dsl::sessions
            .filter(dsl::id.eq(id.0))
            .filter(dsl::revoked_at.is_null()),
    )
    .set((
        dsl::revoked_at.eq(now.into_sql::<Timestamptz>().nullable()),
        dsl::end_reason.eq(reason.as_str()),
    ))
    .returning((sessions::all_columns, now.into_sql::<Timestamptz>()))
    .get_result(conn)
    .await
    .optional()?;
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

/// A reuse that was seen in a session's row.
#[derive(Debug)]
pub struct Reused {
    /// Whose session.
    pub user_id: UserId,
    /// Which session.
    pub session_id: SessionId,
    /// The generations by which it was judged: where the row has moved on since, the
    /// judgement is void.
    pub judged: Lineage,
    /// What the audit event tells: what was replayed, and the last good refresh.
    pub detail: serde_json::Value,
}

struct Binds<'a> {
    reused: &'a Reused,
    user_id: Uuid,
    session_id: Uuid,
    event_id: Uuid,
    generation: i64,
    current: Vec<u8>,
}

statement! {
    RevokeReused(&Binds<'a>) -> Int8 = |it|
        "WITH ended AS (\
           UPDATE sessions SET revoked_at = now(), end_reason = 'TOKEN_REUSED' \
           WHERE user_id = ", [SqlUuid: it.user_id], " AND id = ", [SqlUuid: it.session_id],
        "    AND generation = ", [Int8: it.generation], " AND h_current = ", [Bytea: it.current],
        "    AND revoked_at IS NULL RETURNING user_id, id\
         ), told AS (\
           INSERT INTO audit_events (user_id, id, session_id, created_at, kind, detail) \
           SELECT user_id, ", [SqlUuid: it.event_id], ", id, now(), ", [Text: KIND_REUSED],
        ", ", [Jsonb: it.reused.detail], " FROM ended RETURNING 1\
         ) SELECT count(*) FROM told"
}

/// The kind of the audit event that a reuse leaves.
const KIND_REUSED: &str = "REFRESH_TOKEN_REUSED";

/// Ends a session whose refresh token was reused, together with the audit event that
/// tells of it; `false` when the row has moved on since it was judged.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has ended.
#[expect(clippy::disallowed_methods, reason = "its time orders a user's events")]
pub async fn revoke_reused(conn: &mut AsyncPgConnection, reused: &Reused) -> Result<bool, Error> {
    let binds = Binds {
        reused,
        user_id: reused.user_id.0,
        session_id: reused.session_id.0,
        event_id: Uuid::now_v7(),
        generation: reused.judged.generation.into(),
        current: bytes(reused.judged.current),
    };
    let told: i64 = RevokeReused(&binds).get_result(conn).await?;
    Ok(told == 1)
}

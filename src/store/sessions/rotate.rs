//! The rotation of a refresh token: one statement.

use std::time::Duration;

use diesel::{
    OptionalExtension,
    pg::data_types::PgInterval,
    sql_types::{Array, Bytea, Inet, Int8, Interval, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use uuid::Uuid;

use super::{
    super::{Error, schema::sessions, statement::statement},
    Entitled, bytes,
    row::{COLUMNS, SessionRow},
};
use crate::model::{
    ids::{SessionId, UserId},
    refresh_token::Commitment,
    session::Origin,
};

/// A refresh that is asked for.
#[derive(Debug)]
pub struct Rotation {
    /// Whose session.
    pub user_id: UserId,
    /// Which session.
    pub session_id: SessionId,
    /// The generation of the token.
    pub generation: u32,
    /// `h`: the commitment that the token carries.
    pub commitment: Commitment,
    /// `h'`: the commitment of this request.
    pub next: Commitment,
    /// For how long the session then lives unless it is refreshed again.
    pub idle: Duration,
    /// From where.
    pub origin: Origin,
}

struct Binds {
    user_id: Uuid,
    session_id: Uuid,
    generation: i64,
    commitment: Vec<u8>,
    next: Vec<u8>,
    idle: PgInterval,
    user_agent: String,
    ip_address: Option<IpNet>,
}

statement! {
    /// Matches only the generation that the token is of, while the session lives;
    /// the row's lock makes the losers of a race look again and match nothing.
    Rotate(&Binds) -> (sessions::SqlType, Array<Text>) = |it|
        "UPDATE sessions AS s SET generation = s.generation + 1, h_previous = s.h_current, \
         h_current = ", [Bytea: it.next], ", rotated_at = now(), last_seen_at = now(), \
         last_user_agent = coalesce(nullif(", [Text: it.user_agent], ", ''), s.last_user_agent), last_ip_address = ",
        [Nullable<Inet>: it.ip_address], ", idle_expires_at = \
         least(now() + ", [Interval: it.idle], "::interval, s.absolute_expires_at) \
         FROM users AS u \
         WHERE s.user_id = ", [SqlUuid: it.user_id], " AND s.id = ", [SqlUuid: it.session_id],
        " AND s.generation = ", [Int8: it.generation], " AND s.h_current = ",
        [Bytea: it.commitment], " AND s.revoked_at IS NULL AND now() < s.idle_expires_at \
         AND now() < s.absolute_expires_at AND u.id = s.user_id AND u.disabled_at IS NULL \
         AND s.created_at >= u.sessions_valid_after \
         RETURNING ", {COLUMNS}, ", u.roles"
}

/// Succeeds a generation of a session by the next; `None` when the session does not
/// stand at that generation, or does not live.
///
/// # Errors
///
/// When the database cannot be asked; it then stands at the old or the new generation.
pub async fn rotate(
    conn: &mut AsyncPgConnection,
    rotation: &Rotation,
) -> Result<Option<Entitled>, Error> {
    let binds = Binds {
        user_id: rotation.user_id.0,
        session_id: rotation.session_id.0,
        generation: rotation.generation.into(),
        commitment: bytes(rotation.commitment),
        next: bytes(rotation.next),
        idle: interval(rotation.idle),
        user_agent: rotation.origin.user_agent.clone(),
        ip_address: rotation.origin.ip_address.map(IpNet::from),
    };
    let row: Option<(SessionRow, Vec<String>)> =
        Rotate(&binds).get_result(conn).await.optional()?;
    row.map(Entitled::try_from).transpose()
}

/// A duration as Postgres counts it, in microseconds.
pub(in crate::store) fn interval(duration: Duration) -> PgInterval {
    PgInterval::from_microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

//! The rotation of a session to its next generation: one statement.

use std::time::Duration;

use diesel::{
    OptionalExtension,
    pg::data_types::PgInterval,
    sql_types::{Array, Bool, Bytea, Inet, Int8, Interval, Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use uuid::Uuid;

use super::{
    super::{
        Error,
        audit::{By, INSERT},
        schema::sessions,
        statement::statement,
    },
    Entitled, bytes,
    row::{COLUMNS, SessionRow},
};
use crate::model::{
    audit::{Act, Detail, EventKind},
    ids::{SessionId, UserId},
    refresh_token::Commitment,
    session::Origin,
};

/// A next generation that is asked for.
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
    /// How old the generation must be, where that matters.
    pub min_interval: Option<Duration>,
    /// Whether access tokens of earlier generations end with it.
    pub supersedes: bool,
    /// What the audit event of a broken binding tells, where it is to be noted only.
    /// Without it, a session whose binding `origin` breaks does not rotate.
    pub noted: Option<Detail>,
}

const BINDING_BROKEN: &str = EventKind::SessionBindingBroken.as_str();

struct Binds<'a> {
    rotation: &'a Rotation,
    user_id: Uuid,
    session_id: Uuid,
    generation: i64,
    commitment: Vec<u8>,
    next: Vec<u8>,
    idle: PgInterval,
    min_interval: Option<PgInterval>,
    ip_address: Option<IpNet>,
    noted: Option<serde_json::Value>,
    is_noted: bool,
    by: By<'a>,
}

/// Declares a statement that rotates, with pieces before it, for what a binding does not
/// hold up, and after it: whatever comes with a rotation, the rotation itself is the same.
macro_rules! rotation {
    ($(#[$doc:meta])* $name:ident |$it:ident| [$($before:tt),*] [$($binding:tt),*] [$($after:tt),*]) => {
        statement! {
            $(#[$doc])*
            $name(&Binds<'a>) -> (sessions::SqlType, Array<Text>) = |$it|
                $($before,)*
                "UPDATE sessions AS s SET generation = s.generation + 1, h_previous = s.h_current, \
                 h_current = ", [Bytea: $it.next], ", rotated_at = now(), last_seen_at = now(), \
                 last_user_agent = coalesce(nullif(", [Text: $it.rotation.origin.user_agent],
                ", ''), s.last_user_agent), last_ip_address = ", [Nullable<Inet>: $it.ip_address],
                ", idle_expires_at = \
                 least(now() + ", [Interval: $it.idle], "::interval, s.absolute_expires_at) \
                 FROM users AS u \
                 WHERE s.user_id = ", [SqlUuid: $it.user_id], " AND s.id = ", [SqlUuid: $it.session_id],
                " AND s.generation = ", [Int8: $it.generation], " AND s.h_current = ",
                [Bytea: $it.commitment], " AND s.revoked_at IS NULL AND now() < s.idle_expires_at \
                 AND now() < s.absolute_expires_at AND u.id = s.user_id AND u.disabled_at IS NULL \
                 AND s.created_at >= u.sessions_valid_after \
                 AND (", [Nullable<Interval>: $it.min_interval], "::interval IS NULL \
                   OR s.rotated_at <= now() - ", [Nullable<Interval>: $it.min_interval], "::interval) \
                 AND (s.binding_reaction IS NULL OR ", $($binding,)*
                "(NOT s.bound_user_agent OR s.user_agent = ", [Text: $it.rotation.origin.user_agent],
                ") AND (s.bound_ip_prefix_length IS NULL OR ", [Nullable<Inet>: $it.ip_address],
                " <<= set_masklen(s.ip_address, s.bound_ip_prefix_length))) \
                 RETURNING ", {COLUMNS}, ", u.roles"
                $(, $after)*
        }
    };
}

rotation! {
    /// Matches only the generation that the token is of, while the session lives;
    /// the row's lock makes the losers of a race look again and match nothing.
    Rotate |it| [] [] []
}

rotation! {
    /// The same, and what it leaves elsewhere. A statement of its own, since most
    /// rotations leave nothing.
    RotateAndTell |it|
    ["WITH rotated AS ("]
    [[Bool: it.is_noted], " OR "]
    [
        "), superseded AS (\
           INSERT INTO superseded_tokens (user_id, session_id, generation, superseded_at) \
           SELECT user_id, id, generation, rotated_at FROM rotated WHERE ",
        [Bool: it.rotation.supersedes],
        " ON CONFLICT (user_id, session_id) DO UPDATE \
             SET generation = excluded.generation, superseded_at = excluded.superseded_at\
         ), told AS (", {INSERT}, "SELECT user_id, id, ", [Text: BINDING_BROKEN], ", ",
        [Nullable<Jsonb>: it.noted], ", ", (it.by), " FROM rotated WHERE ",
        [Bool: it.is_noted], ") SELECT ", {COLUMNS}, ", s.roles FROM rotated AS s"
    ]
}

/// Succeeds a generation of a session by the next; `None` when the session does not
/// stand at that generation, does not live, was rotated too short a time ago, or is bound
/// to elsewhere.
///
/// # Errors
///
/// When the database cannot be asked; it then stands at the old or the new generation.
pub async fn rotate(
    conn: &mut AsyncPgConnection,
    act: &Act,
    rotation: &Rotation,
) -> Result<Option<Entitled>, Error> {
    let binds = Binds {
        rotation,
        user_id: rotation.user_id.0,
        session_id: rotation.session_id.0,
        generation: rotation.generation.into(),
        commitment: bytes(rotation.commitment),
        next: bytes(rotation.next),
        idle: interval(rotation.idle),
        min_interval: rotation.min_interval.map(interval),
        ip_address: rotation.origin.ip_address.map(IpNet::from),
        noted: rotation.noted.as_ref().map(Detail::to_json),
        by: By::from(act),
        is_noted: rotation.noted.is_some(),
    };
    let row: Option<(SessionRow, Vec<String>)> = if rotation.supersedes || binds.is_noted {
        RotateAndTell(&binds).get_result(conn).await.optional()?
    } else {
        Rotate(&binds).get_result(conn).await.optional()?
    };
    row.map(Entitled::try_from).transpose()
}

/// A duration as Postgres counts it, in microseconds.
pub(in crate::store) fn interval(duration: Duration) -> PgInterval {
    PgInterval::from_microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

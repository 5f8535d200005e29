//! The opening of a session at sign-in.

mod binds;

use std::time::Duration;

use diesel::sql_types::{
    Array, Bool, Bytea, Inet, Int2, Int8, Interval, Jsonb, Nullable, Text, Uuid as SqlUuid,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::{
    super::{
        Error,
        audit::{INSERT, LIVES},
        schema::sessions,
        statement::statement,
        users,
    },
    Entitled, SeenSession,
    row::{COLUMNS, SessionRow},
};
use crate::model::{
    audit::Act,
    binding::Binding,
    ids::{SessionId, UserId},
    password::PasswordHash,
    refresh_token::Commitment,
    role::Roles,
    session::{Device, Session},
    session_limits::{SessionLimit, SessionLimits},
    token_mode::TokenMode,
};
use binds::Binds;

/// A session that is asked for.
#[derive(Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What the password was checked against: where it has changed since, no session
    /// is opened.
    pub password_hash: PasswordHash,
    /// How many sessions the user had opened when the password was checked.
    pub opened: i64,
    /// On which device. A live session of the same user, client and device id ends.
    pub device: Device,
    /// The commitment of generation 0.
    pub commitment: Commitment,
    /// For how long it lives unless it is refreshed.
    pub idle: Duration,
    /// For how long it lives at most.
    pub absolute: Duration,
    /// How many there may be.
    pub limits: SessionLimits,
    /// Which tokens its client holds.
    pub token_mode: TokenMode,
    /// What it is bound to.
    pub binding: Option<Binding>,
}

/// What became of a session that was asked for.
#[derive(Debug)]
pub enum Opening {
    /// It is open.
    Opened {
        /// The session.
        session: Entitled,
        /// Those that it took the place of.
        ended: Vec<SeenSession>,
    },
    /// The user has as many as are allowed, and more are refused.
    Full(SessionLimit),
    /// Another one of the user was opened meanwhile: [`open_in_turn`] opens it.
    Late,
    /// The user was disabled, deleted or given another password since the password was
    /// checked.
    Void,
}

/// The verdicts of [`Open`].
const OPEN: &str = "OPEN";
const LATE: &str = "LATE";
const FULL_OF_USER: &str = "USER";
const FULL_OF_CLIENT: &str = "CLIENT";

statement! {
    /// The share lock on the user makes a sign-in and a disabling, deletion or
    /// change of password wait for each other: whichever is second sees the first.
    ///
    /// What is counted here is what the snapshot has, so `turn` lets nothing happen unless
    /// all sessions that the user ever opened are in it. The insert reads from `ended`, so
    /// that the earlier session of the device has ended when the unique index looks.
    Open(&Binds<'a>) -> (Text, Array<Text>, Nullable<sessions::SqlType>) = |it|
        "WITH account AS (\
           SELECT id, roles, greatest(now(), sessions_valid_after) AS opened_at FROM users \
           WHERE id = ", [SqlUuid: it.user_id], " AND disabled_at IS NULL \
             AND password_hash = ", [Text: it.password_hash], " FOR SHARE\
         ), turn AS (\
           UPDATE user_sign_ins AS t \
           SET opened = t.opened + 1, attempts = 0, failures = 0, failed_at = NULL FROM account \
           WHERE t.user_id = account.id AND t.opened = coalesce(", [Nullable<Int8>: it.opened],
        ", t.opened) RETURNING t.user_id\
         ), other AS (\
           SELECT s.id, s.last_seen_at, s.client_id = ", [Text: it.device.client_id],
        " AS of_client FROM sessions AS s \
           WHERE s.user_id = ", [SqlUuid: it.user_id], " AND s.revoked_at IS NULL AND ", {LIVES},
        "    AND (s.client_id = ", [Text: it.device.client_id], " AND s.device_id = ",
        [Nullable<Text>: it.device.device_id], ") IS NOT TRUE\
         ), ranked AS (\
           SELECT id, last_seen_at, of_client AND row_number() OVER (PARTITION BY of_client \
             ORDER BY last_seen_at DESC, id DESC) >= ", [Int8: it.per_client], " AS over_client \
           FROM other\
         ), placed AS (\
           SELECT id, over_client, row_number() OVER (\
             ORDER BY over_client, last_seen_at DESC, id DESC) AS place FROM ranked\
         ), surplus AS (\
           SELECT id, over_client FROM placed WHERE over_client OR place >= ", [Int8: it.per_user],
        "  ORDER BY place DESC LIMIT 100\
         ), room AS (\
           SELECT turn.user_id, CASE WHEN turn.user_id IS NULL THEN 'LATE' \
             WHEN ", [Bool: it.refuse], " AND EXISTS (SELECT FROM surplus WHERE over_client) \
               THEN 'CLIENT' WHEN ", [Bool: it.refuse], " AND EXISTS (SELECT FROM surplus) \
               THEN 'USER' ELSE 'OPEN' END AS verdict FROM account LEFT JOIN turn ON true\
         ), ended AS (\
           UPDATE sessions AS s SET revoked_at = now(), end_reason = CASE \
             WHEN s.id IN (SELECT id FROM surplus) THEN 'DISPLACED' ELSE 'REPLACED' END FROM room \
           WHERE room.verdict = 'OPEN' AND s.user_id = ", [SqlUuid: it.user_id],
        "    AND s.revoked_at IS NULL AND ((s.client_id = ", [Text: it.device.client_id],
        "      AND s.device_id = ", [Nullable<Text>: it.device.device_id], ") \
             OR s.id IN (SELECT id FROM surplus)) RETURNING ", {COLUMNS}, ", ", {LIVES}, " AS lived\
         ), kept AS (\
           SELECT s.client_id, s.device_id, s.user_agent, s.ip_address, s.last_ip_address \
           FROM sessions AS s WHERE s.user_id = ", [SqlUuid: it.user_id],
        "  ORDER BY s.id DESC LIMIT 1000\
         ), news AS (\
           SELECT count(client_id) > 0 AND NOT coalesce(bool_or(client_id = ", [Text: it.device.client_id],
        "      AND CASE WHEN ", [Nullable<Text>: it.device.device_id], "::text IS NULL THEN user_agent = ",
        [Text: it.device.origin.user_agent], " ELSE device_id IS NOT DISTINCT FROM ",
        [Nullable<Text>: it.device.device_id], " END), false) AS device, count(client_id) > 0 \
             AND NOT coalesce(bool_or(ip_address <<= net OR last_ip_address <<= net), false) \
             AND bool_and(net IS NOT NULL) AS network \
           FROM (SELECT ", [Nullable<Inet>: it.network], "::inet AS net) AS here LEFT JOIN kept ON true\
         ), earlier AS (SELECT count(*) FROM ended), opened AS (\
           INSERT INTO sessions AS s (user_id, id, client_id, device_id, display_name, \
             user_agent, ip_address, created_at, absolute_expires_at, generation, h_current, \
             rotated_at, last_seen_at, last_user_agent, last_ip_address, idle_expires_at, \
             token_mode, bound_user_agent, bound_ip_prefix_length, binding_reaction) \
           SELECT account.id, ", [SqlUuid: it.id], ", ", [Text: it.device.client_id], ", ",
        [Nullable<Text>: it.device.device_id], ", ", [Text: it.device.display_name],
        ", ", [Text: it.device.origin.user_agent], ", ", [Nullable<Inet>: it.ip_address],
        ", opened_at, opened_at + ", [Interval: it.absolute], "::interval, 0, ", [Bytea: it.commitment],
        ", opened_at, opened_at, ", [Text: it.device.origin.user_agent], ", ",
        [Nullable<Inet>: it.ip_address], ", opened_at + least(", [Interval: it.idle], "::interval, ",
        [Interval: it.absolute], "::interval), ", [Text: it.token_mode], ", ",
        [Bool: it.bound_user_agent], ", ", [Nullable<Int2>: it.bound_ip_prefix_length], ", ",
        [Nullable<Text>: it.binding_reaction], " FROM account, room, earlier \
           WHERE room.verdict = 'OPEN' RETURNING ", {COLUMNS},
        "), sign_in AS (\
           SELECT s.user_id, s.id, news.device OR news.network AS is_new, ", [Jsonb: it.detail],
        "::jsonb || jsonb_build_object('new_device', news.device, 'new_network', news.network) \
             AS detail FROM opened AS s, news\
         ), what AS (\
           SELECT user_id, id, 'SIGNED_IN' AS kind, detail FROM sign_in \
           UNION ALL SELECT user_id, id, 'NEW_DEVICE', detail FROM sign_in WHERE is_new \
           UNION ALL SELECT user_id, id, 'SESSION_ENDED', \
             jsonb_build_object('reason', end_reason) FROM ended WHERE lived \
           UNION ALL SELECT user_id, NULL, 'SIGN_IN_FAILED', jsonb_build_object(\
             'reason', 'SESSION_LIMIT', 'failed_attempts', 0, 'client_id', ",
        [Text: it.device.client_id], "::text) FROM room WHERE verdict IN ('USER', 'CLIENT')\
         ), told AS (", {INSERT}, "SELECT user_id, id, kind, detail, ", (it.by),
        " FROM what) SELECT room.verdict, account.roles, ", {COLUMNS},
        " FROM account CROSS JOIN room LEFT JOIN (SELECT ", {COLUMNS},
        " FROM opened AS s UNION ALL SELECT ", {COLUMNS},
        " FROM ended AS s WHERE lived) AS s ON true"
}

/// Opens a session and ends those that it takes the place of: the earlier one of the same
/// device, and the least recently seen where the user has as many as are allowed, a hundred
/// at once where the limit was lowered. Tells of all of it.
///
/// # Errors
///
/// When the database cannot be asked, or a replica of the release before opened one on the
/// same device ([`Error::unique_violation`] of `sessions_live_device`): then
/// [`open_in_turn`] opens it.
pub async fn open(
    conn: &mut AsyncPgConnection,
    act: &Act,
    new: &NewSession,
) -> Result<Opening, Error> {
    open_after(conn, act, new, Some(new.opened)).await
}

/// [`open`] after the user's other sign-ins: it locks the user first, so that its
/// statement sees every session that was opened before.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn open_in_turn(
    conn: &mut AsyncPgConnection,
    act: &Act,
    new: &NewSession,
) -> Result<Opening, Error> {
    conn.transaction(async |conn| {
        users::lock(conn, new.user_id).await?;
        open_after(conn, act, new, None).await
    })
    .await
}

async fn open_after(
    conn: &mut AsyncPgConnection,
    act: &Act,
    new: &NewSession,
    opened: Option<i64>,
) -> Result<Opening, Error> {
    let binds = Binds::new(act, new, opened);
    let rows: Vec<(String, Vec<String>, Option<SessionRow>)> = Open(&binds).load(conn).await?;
    let Some((verdict, roles, _)) = rows.as_slice().first() else {
        return Ok(Opening::Void);
    };
    match verdict.as_str() {
        OPEN => {}
        LATE => return Ok(Opening::Late),
        FULL_OF_USER => return Ok(Opening::Full(SessionLimit::User)),
        FULL_OF_CLIENT => return Ok(Opening::Full(SessionLimit::Client)),
        other => {
            let what = format!("the verdict {other:?} on a new session");
            return Err(Error::Corrupt { what });
        }
    }
    let roles = Roles::from_stored(roles.clone());
    let sessions = rows.into_iter().filter_map(|(_, _, row)| row);
    let sessions = sessions
        .map(Session::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let (mut opened, ended): (Vec<_>, Vec<_>) = sessions
        .into_iter()
        .partition(|session| session.id == new.id);
    let Some(session) = opened.pop() else {
        return Ok(Opening::Void);
    };
    let now = session.created_at;
    let ended = ended
        .into_iter()
        .map(|session| SeenSession { session, now });
    Ok(Opening::Opened {
        ended: ended.collect(),
        session: Entitled { session, roles },
    })
}

//! The opening of a session at sign-in.

use std::time::Duration;

use diesel::{
    OptionalExtension,
    pg::data_types::PgInterval,
    sql_types::{Array, Bool, Bytea, Inet, Int2, Interval, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use uuid::Uuid;

use super::{
    super::{Error, schema::sessions, statement::statement, users},
    Entitled, bytes,
    rotate::interval,
    row::{COLUMNS, SessionRow},
};
use crate::model::{
    binding::Binding,
    ids::{SessionId, UserId},
    password::PasswordHash,
    refresh_token::Commitment,
    session::Device,
    token_mode::TokenMode,
};

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
    /// On which device. A live session of the same user, client and device id ends.
    pub device: Device,
    /// The commitment of generation 0.
    pub commitment: Commitment,
    /// For how long it lives unless it is refreshed.
    pub idle: Duration,
    /// For how long it lives at most.
    pub absolute: Duration,
    /// Which tokens its client holds.
    pub token_mode: TokenMode,
    /// What it is bound to.
    pub binding: Option<Binding>,
}

struct Binds<'a> {
    new: &'a NewSession,
    password_hash: &'a str,
    user_id: Uuid,
    id: Uuid,
    ip_address: Option<IpNet>,
    commitment: Vec<u8>,
    idle: PgInterval,
    absolute: PgInterval,
    token_mode: &'static str,
    bound_user_agent: bool,
    bound_ip_prefix_length: Option<i16>,
    binding_reaction: Option<&'static str>,
}

statement! {
    /// The share lock on the user makes a sign-in and a disabling, deletion or
    /// change of password wait for each other: whichever is second sees the first.
    /// The insert reads from `replaced`, so that the earlier session of the device
    /// has ended when the unique index looks.
    Open(&Binds<'a>) -> (sessions::SqlType, Array<Text>) = |it|
        "WITH account AS (\
           SELECT id, roles, greatest(now(), sessions_valid_after) AS opened_at FROM users \
           WHERE id = ", [SqlUuid: it.user_id], " AND disabled_at IS NULL \
             AND password_hash = ", [Text: it.password_hash], " FOR SHARE\
         ), replaced AS (\
           UPDATE sessions AS s SET revoked_at = now(), end_reason = 'REPLACED' FROM account \
           WHERE s.user_id = account.id AND s.client_id = ", [Text: it.new.device.client_id],
        "    AND s.device_id = ", [Nullable<Text>: it.new.device.device_id],
        "    AND s.revoked_at IS NULL RETURNING s.id\
         ), earlier AS (SELECT count(*) FROM replaced), opened AS (\
           INSERT INTO sessions AS s (user_id, id, client_id, device_id, display_name, \
             user_agent, ip_address, created_at, absolute_expires_at, generation, h_current, \
             rotated_at, last_seen_at, last_user_agent, last_ip_address, idle_expires_at, \
             token_mode, bound_user_agent, bound_ip_prefix_length, binding_reaction) \
           SELECT account.id, ", [SqlUuid: it.id], ", ", [Text: it.new.device.client_id], ", ",
        [Nullable<Text>: it.new.device.device_id], ", ", [Text: it.new.device.display_name],
        ", ", [Text: it.new.device.origin.user_agent], ", ", [Nullable<Inet>: it.ip_address],
        ", opened_at, opened_at + ", [Interval: it.absolute], "::interval, 0, ", [Bytea: it.commitment],
        ", opened_at, opened_at, ", [Text: it.new.device.origin.user_agent], ", ",
        [Nullable<Inet>: it.ip_address], ", opened_at + least(", [Interval: it.idle], "::interval, ",
        [Interval: it.absolute], "::interval), ", [Text: it.token_mode], ", ",
        [Bool: it.bound_user_agent], ", ", [Nullable<Int2>: it.bound_ip_prefix_length], ", ",
        [Nullable<Text>: it.binding_reaction], " FROM account, earlier RETURNING ", {COLUMNS},
        ") SELECT ", {COLUMNS}, ", account.roles FROM opened AS s, account"
}

/// Opens a session and ends the earlier one of the same device; `None` when the user
/// was disabled, deleted or given another password since the password was checked.
///
/// # Errors
///
/// When the database cannot be asked, or another sign-in on the same device came
/// first ([`Error::unique_violation`] of `sessions_live_device`): then
/// [`open_in_turn`] opens it.
pub async fn open(
    conn: &mut AsyncPgConnection,
    new: &NewSession,
) -> Result<Option<Entitled>, Error> {
    let binds = Binds {
        new,
        password_hash: new.password_hash.as_phc(),
        user_id: new.user_id.0,
        id: new.id.0,
        ip_address: new.device.origin.ip_address.map(IpNet::from),
        commitment: bytes(new.commitment),
        idle: interval(new.idle),
        absolute: interval(new.absolute),
        token_mode: new.token_mode.as_str(),
        bound_user_agent: new.binding.is_some_and(|binding| binding.user_agent),
        bound_ip_prefix_length: new.binding.and_then(|b| b.ip_prefix_length).map(i16::from),
        binding_reaction: new.binding.map(|binding| binding.reaction.as_str()),
    };
    let row: Option<(SessionRow, Vec<String>)> = Open(&binds).get_result(conn).await.optional()?;
    row.map(Entitled::try_from).transpose()
}

/// [`open`] after the user's other sign-ins: it locks the user first, so that its
/// statement sees every session that was opened before.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn open_in_turn(
    conn: &mut AsyncPgConnection,
    new: &NewSession,
) -> Result<Option<Entitled>, Error> {
    conn.transaction(async |conn| {
        users::lock(conn, new.user_id).await?;
        open(conn, new).await
    })
    .await
}

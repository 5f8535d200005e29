//! The keys that sign access tokens, sealed.
//!
//! However many replicas find the same step due, it happens once: a key that is made runs
//! into a unique index where there is one already, and a key changes its state only from
//! the one that was seen.

mod change;
mod row;

use std::time::Duration;

use diesel::{
    ExpressionMethods, QueryDsl,
    pg::data_types::PgInterval,
    sql_types::{Bytea, Interval, Nullable, Text, Timestamptz, Untyped},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;

pub use change::{Emergency, Rotation, drop_and_rotate, expire, replace_next, reseal, rotate};

use super::{Error, schema::signing_keys::dsl, sessions::interval, statement::statement};
use crate::model::signing_key::{Algorithm, SigningKey};
use row::{KeyRow, KeySql};

/// What a key is recognised by, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// The private half, from which the public one derives: of a key that signs or will.
    Private(Vec<u8>),
    /// The public half: of a key that has signed.
    Public(Vec<u8>),
}

/// A key with its sealed half.
#[derive(Clone, Debug)]
pub struct SealedKey {
    /// What is known of it.
    pub key: SigningKey,
    /// What it is recognised by.
    pub sealed: Sealed,
}

/// The keys that are not gone, at a moment.
#[derive(Clone, Debug)]
pub struct Published {
    /// The keys.
    pub keys: Vec<SealedKey>,
    /// The database's time; where there is no key it is of no use, and 1970.
    pub now: OffsetDateTime,
}

impl Published {
    /// The key that signs.
    #[must_use]
    pub fn active(&self) -> Option<&SealedKey> {
        self.keys.iter().find(|stored| stored.key.is_active())
    }

    /// The key that will.
    #[must_use]
    pub fn next(&self) -> Option<&SealedKey> {
        self.keys.iter().find(|stored| stored.key.is_next())
    }
}

/// A key pair that was made a moment ago.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The thumbprint.
    pub kid: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The public half.
    pub public_key: Vec<u8>,
    /// The private half, sealed.
    pub sealed_private: Vec<u8>,
}

const NEXT: &str = "next";
const ACTIVE: &str = "active";
const RETIRING: &str = "retiring";
const GONE: &str = "gone";

statement! {
    /// Not one of a call's statements, which its alias shows.
    FindPublished(&()) -> (KeySql, Bytea, Nullable<Bytea>, Timestamptz) = |_it|
        "SELECT kid, algorithm, state, created_at, activated_at, retired_at, expires_at, dropped, \
         sealed_private, sealed_public, now() \
         FROM signing_keys AS published WHERE state <> 'gone' ORDER BY created_at, kid"
}

/// The keys that are not gone, oldest first.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn find_published(conn: &mut AsyncPgConnection) -> Result<Published, Error> {
    type Row = (KeyRow, Vec<u8>, Option<Vec<u8>>, OffsetDateTime);
    let rows: Vec<Row> = FindPublished(&()).load(conn).await?;
    let now = rows
        .as_slice()
        .first()
        .map_or(OffsetDateTime::UNIX_EPOCH, |(.., now)| *now);
    let keys = rows
        .into_iter()
        .map(|(row, private, public, _)| row.with_half(private, public));
    Ok(Published {
        keys: keys.collect::<Result<_, _>>()?,
        now,
    })
}

struct FormerBinds {
    for_as_long: PgInterval,
}

statement! {
    /// Not one of a call's statements, which its alias shows.
    FindFormer(&FormerBinds) -> (KeySql, Bytea, Nullable<Bytea>) = |it|
        "SELECT kid, algorithm, state, created_at, activated_at, retired_at, expires_at, dropped, \
         sealed_private, sealed_public FROM signing_keys AS published \
         WHERE state = 'gone' AND NOT dropped AND sealed_public IS NOT NULL AND expires_at > now() - ",
        [Interval: it.for_as_long], "::interval"
}

/// The keys that have signed, and have been gone for no longer than this; not those that
/// were dropped.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn find_former(
    conn: &mut AsyncPgConnection,
    for_as_long: Duration,
) -> Result<Vec<SealedKey>, Error> {
    let binds = FormerBinds {
        for_as_long: interval(for_as_long),
    };
    let rows: Vec<(KeyRow, Vec<u8>, Option<Vec<u8>>)> = FindFormer(&binds).load(conn).await?;
    let keys = rows
        .into_iter()
        .map(|(row, private, public)| row.with_half(private, public));
    keys.collect()
}

/// Every key there ever was, newest first.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn list(conn: &mut AsyncPgConnection) -> Result<Vec<SigningKey>, Error> {
    let rows: Vec<KeyRow> = dsl::signing_keys
        .select((
            dsl::kid,
            dsl::algorithm,
            dsl::state,
            dsl::created_at,
            dsl::activated_at,
            dsl::retired_at,
            dsl::expires_at,
            dsl::dropped,
        ))
        .order((dsl::created_at.desc(), dsl::kid.desc()))
        .load(conn)
        .await?;
    rows.into_iter().map(SigningKey::try_from).collect()
}

struct Binds<'a> {
    key: &'a NewKey,
    algorithm: &'static str,
    state: &'static str,
}

statement! {
    /// A key of that state which is there already, or is being made, keeps this one out.
    Insert(&Binds<'a>) -> Untyped = |it|
        "INSERT INTO signing_keys (kid, algorithm, public_key, sealed_private, state, created_at, \
         activated_at) SELECT ", [Text: it.key.kid], ", ", [Text: it.algorithm], ", ",
        [Bytea: it.key.public_key], ", ", [Bytea: it.key.sealed_private], ", state, now(), \
         CASE state WHEN 'active' THEN now() END FROM (VALUES (", [Text: it.state],
        ")) AS made (state) ON CONFLICT DO NOTHING"
}

/// Makes `key` the one that signs, unless there is one; `false` then. However many
/// replicas call it at once, one is told `true`.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn insert_active(conn: &mut AsyncPgConnection, key: &NewKey) -> Result<bool, Error> {
    insert(conn, key, ACTIVE).await
}

/// Makes `key` the next one, unless there is one; `false` then. However many replicas
/// call it at once, one is told `true`.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn insert_next(conn: &mut AsyncPgConnection, key: &NewKey) -> Result<bool, Error> {
    insert(conn, key, NEXT).await
}

async fn insert(
    conn: &mut AsyncPgConnection,
    key: &NewKey,
    state: &'static str,
) -> Result<bool, Error> {
    let algorithm = key.algorithm.as_str();
    let binds = Binds {
        key,
        algorithm,
        state,
    };
    let inserted = Insert(&binds).execute(conn).await?;
    Ok(inserted == 1)
}

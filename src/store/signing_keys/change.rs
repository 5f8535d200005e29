//! The changes of keys from one state to the next, each in one transaction, from the
//! states that were seen or not at all.
//!
//! A transaction first locks what is published, in one order, so that none meets another
//! halfway; of several that race the first wins, and the others find other states.

use std::time::Duration;

use diesel::{
    ExpressionMethods, IntoSql, NullableExpressionMethods, QueryDsl,
    data_types::PgInterval,
    dsl::now,
    sql_types::{Bytea, Int8, Interval, Jsonb, Text, Timestamptz, Untyped},
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

use super::{
    super::{
        Error,
        audit::{self, By, INSERT, NOBODY},
        sessions::interval,
        statement::statement,
    },
    ACTIVE, GONE, NEXT, NewKey, RETIRING, Sealed, dsl, insert_next,
};
use crate::model::audit::{Act, Detail, EventKind, NewEvent, SigningKeyRotation};

/// A rotation that is due.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// The `kid` of the key that signs, and retires.
    pub active: &'a str,
    /// Its public half, sealed.
    pub sealed_public: &'a [u8],
    /// For how long it stays published.
    pub retention: Duration,
    /// The `kid` of the next key, which signs from then on.
    pub next: &'a str,
    /// The next key after it.
    pub made: &'a NewKey,
}

/// A rotation that does not wait, since the keys that have signed are compromised.
#[derive(Clone, Copy, Debug)]
pub struct Emergency<'a> {
    /// The `kid` of the key that signs, and is dropped with those that are retiring.
    pub active: &'a str,
    /// The `kid` of the next key, which signs from then on.
    pub next: &'a str,
    /// The next key after it.
    pub made: &'a NewKey,
}

/// Retires the active key, lets the next one sign, and makes another next; `false` when
/// they are not those any more.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn rotate(
    conn: &mut AsyncPgConnection,
    act: &Act,
    rotation: &Rotation<'_>,
) -> Result<bool, Error> {
    conn.transaction(async |conn| {
        let published = lock_published(conn).await?;
        if !stands(&published, rotation.active, ACTIVE) || !stands(&published, rotation.next, NEXT)
        {
            return Ok(false);
        }
        let binds = RetireBinds {
            rotation,
            retention: interval(rotation.retention),
        };
        let retired = Retire(&binds).execute(conn).await?;
        expect_one(retired, rotation.active)?;
        promote(conn, act, rotation.next, false).await?;
        insert_next(conn, rotation.made).await?;
        Ok(true)
    })
    .await
}

/// Drops the active key and those that are retiring, lets the next one sign, and makes
/// another next; `false` when they are not those any more.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn drop_and_rotate(
    conn: &mut AsyncPgConnection,
    act: &Act,
    emergency: &Emergency<'_>,
) -> Result<bool, Error> {
    conn.transaction(async |conn| {
        let published = lock_published(conn).await?;
        if !stands(&published, emergency.active, ACTIVE)
            || !stands(&published, emergency.next, NEXT)
        {
            return Ok(false);
        }
        Drop(&()).execute(conn).await?;
        promote(conn, act, emergency.next, true).await?;
        insert_next(conn, emergency.made).await?;
        Ok(true)
    })
    .await
}

/// Replaces the next key, which has signed nothing; `false` when it is not that one any
/// more.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn replace_next(
    conn: &mut AsyncPgConnection,
    next: &str,
    made: &NewKey,
) -> Result<bool, Error> {
    conn.transaction(async |conn| {
        let gone = diesel::update(dsl::signing_keys.filter(dsl::kid.eq(next)))
            .filter(dsl::state.eq(NEXT))
            .set((
                dsl::state.eq(GONE),
                dsl::retired_at.eq(now.into_sql::<Timestamptz>().nullable()),
                dsl::expires_at.eq(now.into_sql::<Timestamptz>().nullable()),
                dsl::sealed_private.eq(Vec::new()),
            ))
            .execute(conn)
            .await?;
        if gone == 0 {
            return Ok(false);
        }
        insert_next(conn, made).await
    })
    .await
}

/// Ends the publication of the keys whose last token has expired, and says how many they
/// were.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn expire(conn: &mut AsyncPgConnection) -> Result<usize, Error> {
    let expired = dsl::signing_keys
        .filter(dsl::state.eq(RETIRING))
        .filter(dsl::expires_at.le(now.into_sql::<Timestamptz>().nullable()));
    Ok(diesel::update(expired)
        .set(dsl::state.eq(GONE))
        .execute(conn)
        .await?)
}

/// Replaces the sealed half of a key by the same half, sealed anew, and tells of it by `told`;
/// `false` when it is not what was seen any more.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn reseal(
    conn: &mut AsyncPgConnection,
    told: Option<&Act>,
    kid: &str,
    seen: &Sealed,
    anew: &[u8],
) -> Result<bool, Error> {
    conn.transaction(async |conn| {
        let replaced = replace(conn, kid, seen, anew).await?;
        if let (Some(act), true) = (told, replaced) {
            let event = NewEvent {
                kind: EventKind::SigningKeysResealed,
                user_id: None,
                session_id: None,
                detail: None,
            };
            audit::record(conn, act, &event).await?;
        }
        Ok(replaced)
    })
    .await
}

async fn replace(
    conn: &mut AsyncPgConnection,
    kid: &str,
    seen: &Sealed,
    anew: &[u8],
) -> Result<bool, Error> {
    let key = diesel::update(dsl::signing_keys.filter(dsl::kid.eq(kid)));
    let met = match seen {
        Sealed::Private(seen) => {
            key.filter(dsl::sealed_private.eq(seen))
                .set(dsl::sealed_private.eq(anew))
                .execute(conn)
                .await?
        }
        Sealed::Public(seen) => {
            key.filter(dsl::sealed_public.eq(seen))
                .set(dsl::sealed_public.eq(anew))
                .execute(conn)
                .await?
        }
    };
    Ok(met == 1)
}

/// The ids and states of the keys that are not gone, none of which anybody else changes
/// until the transaction ends.
async fn lock_published(conn: &mut AsyncPgConnection) -> Result<Vec<(String, String)>, Error> {
    Ok(dsl::signing_keys
        .filter(dsl::state.ne(GONE))
        .order(dsl::kid)
        .select((dsl::kid, dsl::state))
        .for_update()
        .load(conn)
        .await?)
}

fn stands(published: &[(String, String)], kid: &str, state: &str) -> bool {
    published.iter().any(|key| key.0 == kid && key.1 == state)
}

struct RetireBinds<'a> {
    rotation: &'a Rotation<'a>,
    retention: PgInterval,
}

statement! {
    Retire(&RetireBinds<'a>) -> Untyped = |it|
        "UPDATE signing_keys SET state = 'retiring', retired_at = now(), expires_at = now() + ",
        [Interval: it.retention], "::interval, sealed_private = '', sealed_public = ",
        [Bytea: it.rotation.sealed_public], " WHERE kid = ", [Text: it.rotation.active], " AND state = 'active'"
}

statement! {
    Drop(&()) -> Untyped = |_it|
        "UPDATE signing_keys SET state = 'gone', dropped = true, sealed_private = '', \
         retired_at = coalesce(retired_at, now()), expires_at = now() \
         WHERE state IN ('active', 'retiring')"
}

struct PromoteBinds<'a> {
    kid: &'a str,
    detail: Value,
    by: By<'a>,
}

statement! {
    Promote(&PromoteBinds<'a>) -> Int8 = |it|
        "WITH promoted AS (\
           UPDATE signing_keys SET state = 'active', activated_at = now() WHERE kid = ",
        [Text: it.kid], " AND state = 'next' RETURNING kid\
         ), told AS (", {INSERT}, "SELECT ", {NOBODY}, ", NULL::uuid, 'SIGNING_KEY_ROTATED', ", [Jsonb: it.detail], ", ", (it.by),
        " FROM promoted) SELECT count(*) FROM promoted"
}

async fn promote(
    conn: &mut AsyncPgConnection,
    act: &Act,
    kid: &str,
    emergency: bool,
) -> Result<(), Error> {
    let detail = Detail::SigningKeyRotation(SigningKeyRotation {
        kid: kid.to_owned(),
        emergency,
    });
    let binds = PromoteBinds {
        kid,
        detail: detail.to_json(),
        by: By::from(act),
    };
    let promoted: i64 = Promote(&binds).get_result(conn).await?;
    expect_one(usize::try_from(promoted).unwrap_or_default(), kid)
}

/// A key that was locked in a state and then not met in it: the transaction is undone.
fn expect_one(met: usize, kid: &str) -> Result<(), Error> {
    if met == 1 {
        return Ok(());
    }
    Err(Error::Corrupt {
        what: format!("signing key {kid} changed while it was locked"),
    })
}

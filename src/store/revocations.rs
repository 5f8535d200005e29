//! What happened lately to tokens that may not have expired, for services that check
//! them alone: read from the rows that say it, so that no path which ends a session has to
//! remember to tell.

use std::time::Duration;

use diesel::{
    pg::data_types::PgInterval,
    prelude::Queryable,
    sql_types::{Array, Int8, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::{StreamExt, pin_mut};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Error, sessions::interval, statement::statement};
use crate::model::{
    ids::{SessionId, UserId},
    revocation::{Revocation, Revoked},
    role::Roles,
};

/// Since when to look.
#[derive(Clone, Copy, Debug)]
pub enum Since {
    /// For this long.
    Ago(Duration),
    /// Since this time of the database's clock, itself included.
    Time(OffsetDateTime),
}

/// What a look found.
#[derive(Debug)]
pub struct Seen {
    /// When it was, by the database's clock. Whatever was committed before is in it.
    pub now: OffsetDateTime,
    /// The published signing keys, in a form to compare with that of another look.
    pub keys: String,
    /// What happened since, in no order.
    pub revocations: Vec<Revocation>,
}

struct Binds {
    time: Option<OffsetDateTime>,
    ago: PgInterval,
}

/// One row of [`See`]: what, whose, which session, from which generation on, which roles,
/// which key, when.
#[derive(Queryable)]
struct Row {
    kind: String,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    generation: Option<i64>,
    roles: Option<Vec<String>>,
    key: Option<String>,
    at: OffsetDateTime,
}

type RowSql = (
    Text,
    Nullable<SqlUuid>,
    Nullable<SqlUuid>,
    Nullable<Int8>,
    Nullable<Array<Text>>,
    Nullable<Text>,
    Timestamptz,
);

statement! {
    /// One look at every kind, so that one time holds for all.
    See(&Binds) -> RowSql = |it|
        "WITH since AS MATERIALIZED (SELECT coalesce(", [Nullable<Timestamptz>: it.time], ", now() - ",
        [Interval: it.ago], "::interval) AS at) \
         SELECT 'NOW' AS kind, NULL::uuid AS user_id, NULL::uuid AS session_id, \
           NULL::bigint AS generation, NULL::text[] AS roles, \
           (SELECT string_agg(kid || ' ' || state, ',' ORDER BY kid) FROM signing_keys \
            WHERE state <> 'gone') AS key, now() AS at \
         UNION ALL SELECT 'SESSION', user_id, id, NULL, NULL, NULL, revoked_at FROM sessions \
           WHERE revoked_at >= (SELECT at FROM since) \
         UNION ALL SELECT 'ROLES', id, NULL, NULL, roles, NULL, roles_changed_at FROM users \
           WHERE roles_changed_at >= (SELECT at FROM since) \
         UNION ALL SELECT 'SUPERSEDED', user_id, session_id, generation, NULL, NULL, superseded_at \
           FROM superseded_tokens WHERE superseded_at >= (SELECT at FROM since) \
         UNION ALL SELECT 'KEY', NULL, NULL, NULL, NULL, kid, expires_at FROM signing_keys \
           WHERE dropped AND expires_at >= (SELECT at FROM since)"
}

/// What happened since some time, and what time it is.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn see(conn: &mut AsyncPgConnection, since: Since) -> Result<Seen, Error> {
    let binds = match since {
        Since::Ago(ago) => Binds {
            time: None,
            ago: interval(ago),
        },
        Since::Time(time) => Binds {
            time: Some(time),
            ago: interval(Duration::ZERO),
        },
    };
    let rows: Vec<Row> = See(&binds).load(conn).await?;
    let mut now = None;
    let mut revocations = Vec::with_capacity(rows.len());
    for row in rows {
        if row.kind == "NOW" {
            now = Some((row.at, row.key.unwrap_or_default()));
        } else {
            revocations.push(row.try_into()?);
        }
    }
    let (now, keys) = now.ok_or_else(|| corrupt("the look at revocations"))?;
    Ok(Seen {
        now,
        keys,
        revocations,
    })
}

impl TryFrom<Row> for Revocation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let user_id = row.user_id.map(UserId);
        let session_id = row.session_id.map(SessionId);
        let generation = row.generation.and_then(|number| u32::try_from(number).ok());
        let revoked = match row.kind.as_str() {
            "SESSION" => session_id
                .zip(user_id)
                .map(|(session_id, user_id)| Revoked::Session {
                    session_id,
                    user_id,
                }),
            "ROLES" => user_id
                .zip(row.roles)
                .map(|(user_id, roles)| Revoked::Roles {
                    user_id,
                    roles: Roles::from_stored(roles),
                }),
            "SUPERSEDED" => {
                session_id
                    .zip(generation)
                    .map(|(session_id, generation)| Revoked::Superseded {
                        session_id,
                        generation,
                    })
            }
            _ => row.key.map(|kid| Revoked::Key { kid }),
        };
        Ok(Self {
            at: row.at,
            revoked: revoked.ok_or_else(|| corrupt("a revocation"))?,
        })
    }
}

fn corrupt(what: &str) -> Error {
    Error::Corrupt {
        what: what.to_owned(),
    }
}

/// Has this connection hear of [`notify`] from any other.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn listen(conn: &mut AsyncPgConnection) -> Result<(), Error> {
    diesel::sql_query("LISTEN rollcall_revocations")
        .execute(conn)
        .await?;
    Ok(())
}

/// Wakes every connection that listens. It only hurries them.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn notify(conn: &mut AsyncPgConnection) -> Result<(), Error> {
    diesel::sql_query("NOTIFY rollcall_revocations")
        .execute(conn)
        .await?;
    Ok(())
}

/// Completes when a connection that listens was woken, or is of no more use.
pub async fn notified(conn: &mut AsyncPgConnection) {
    let notifications = conn.notifications_stream();
    pin_mut!(notifications);
    notifications.next().await;
}

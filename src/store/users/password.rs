//! Passwords of users, as their hashes.

use diesel::{
    ExpressionMethods, IntoSql, QueryDsl,
    dsl::now,
    sql_types::{Int8, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::super::{
    Error,
    audit::{By, INSERT},
    schema::users,
    statement::statement,
};
use crate::model::{
    audit::{Act, EventKind},
    ids::UserId,
    password::PasswordHash,
};

struct SetBinds<'a> {
    id: Uuid,
    password_hash: &'a str,
    kind: &'static str,
    by: By<'a>,
}

statement! {
    Set(&SetBinds<'a>) -> Int8 = |it|
        "WITH changed AS (\
           UPDATE users SET password_hash = ", [Text: it.password_hash], ", updated_at = now() \
           WHERE id = ", [SqlUuid: it.id], " RETURNING id\
         ), told AS (", {INSERT}, "SELECT id, NULL::uuid, ", [Text: it.kind], ", '{}'::jsonb, ", (it.by),
        " FROM changed) SELECT count(*) FROM changed"
}

/// Sets the password of a user, whatever it was, which an event of this kind tells; `false`
/// when there is no such user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn set_password(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    password_hash: &PasswordHash,
    kind: EventKind,
) -> Result<bool, Error> {
    let binds = SetBinds {
        id: id.0,
        password_hash: password_hash.as_phc(),
        kind: kind.as_str(),
        by: By::from(act),
    };
    let met: i64 = Set(&binds).get_result(conn).await?;
    Ok(met == 1)
}

struct ChangeBinds<'a> {
    set: SetBinds<'a>,
    verified: &'a str,
}

statement! {
    Change(&ChangeBinds<'a>) -> Int8 = |it|
        "WITH changed AS (\
           UPDATE users SET password_hash = ", [Text: it.set.password_hash], ", updated_at = now() \
           WHERE id = ", [SqlUuid: it.set.id], " AND password_hash = ", [Text: it.verified],
        "    AND disabled_at IS NULL RETURNING id\
         ), told AS (", {INSERT}, "SELECT id, NULL::uuid, ", [Text: it.set.kind], ", '{}'::jsonb, ",
        (it.set.by), " FROM changed) SELECT count(*) FROM changed"
}

/// Replaces the password of an enabled user by another if it still is `verified`; `false`
/// otherwise.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn change_password(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    verified: &PasswordHash,
    password_hash: &PasswordHash,
) -> Result<bool, Error> {
    let set = SetBinds {
        id: id.0,
        password_hash: password_hash.as_phc(),
        kind: EventKind::PasswordChanged.as_str(),
        by: By::from(act),
    };
    let binds = ChangeBinds {
        set,
        verified: verified.as_phc(),
    };
    let met: i64 = Change(&binds).get_result(conn).await?;
    Ok(met == 1)
}

/// Replaces the hash of an enabled user's password by another hash of the same password if
/// it still is `verified`; `false` otherwise. No event tells of it: nobody did anything.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn upgrade_password(
    conn: &mut AsyncPgConnection,
    id: UserId,
    verified: &PasswordHash,
    password_hash: &PasswordHash,
) -> Result<bool, Error> {
    let met = diesel::update(
        users::table
            .filter(users::id.eq(id.0))
            .filter(users::password_hash.eq(verified.as_phc()))
            .filter(users::disabled_at.is_null()),
    )
    .set((
        users::password_hash.eq(password_hash.as_phc()),
        users::updated_at.eq(now.into_sql::<Timestamptz>()),
    ))
    .execute(conn)
    .await?;
    Ok(met == 1)
}

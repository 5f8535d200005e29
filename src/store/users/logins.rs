//! Logins besides those that users were created with.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl,
    sql_types::{Int8, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    super::{Error, audit, password_resets, schema::user_logins, statement::statement},
    get, lock,
};
use crate::model::{
    audit::Act,
    ids::UserId,
    login::{Login, LoginKind},
    user::User,
};

/// What became of a login to add.
#[derive(Debug)]
pub enum Added {
    /// The user, who has it.
    Here(User),
    /// Another user has it.
    Taken,
    /// The user has as many as are allowed.
    Full,
}

/// What became of a login to remove.
#[derive(Debug)]
pub enum Removed {
    /// The user, who does not have it any more.
    Gone(User),
    /// The user was created with it.
    Fixed,
    /// The user does not have it.
    NotThere,
}

/// The most logins of one user.
const MAX_LOGINS: i64 = 10;

struct AddBinds<'a> {
    id: Uuid,
    key: &'a str,
    kind: &'static str,
    typed: &'a str,
    by: audit::By<'a>,
}

/// What an event says of a login, of the columns of its row.
const DETAIL: &str = "jsonb_build_object('login', typed, 'kind', kind, \
     'created_at', (extract(epoch FROM created_at) * 1000000)::bigint)";

statement! {
    Add(&AddBinds<'a>) -> Int8 = |it|
        "WITH added AS (INSERT INTO user_logins (login, user_id, kind, typed) SELECT ",
        [Text: it.key], ", ", [SqlUuid: it.id], ", ", [Text: it.kind], ", ", [Text: it.typed],
        " WHERE (SELECT count(*) FROM user_logins WHERE user_id = ", [SqlUuid: it.id], ") < ",
        [Int8: MAX_LOGINS],
        " ON CONFLICT DO NOTHING RETURNING user_id, typed, kind, created_at\
         ), touched AS (\
           UPDATE users SET updated_at = now() FROM added WHERE users.id = added.user_id\
         ), told AS (", {audit::INSERT}, "SELECT user_id, NULL::uuid, 'LOGIN_ADDED', ", {DETAIL},
        ", ", (it.by), " FROM added) SELECT count(*) FROM added"
}

/// Adds a login to a user, unless the user has it; `None` when there is no such user.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn add_login(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    login: &Login,
    kind: LoginKind,
) -> Result<Option<Added>, Error> {
    conn.transaction(async |conn| {
        // So that of two that are added at once the second is counted too.
        if !lock(conn, id).await? {
            return Ok(None);
        }
        let binds = AddBinds {
            id: id.0,
            key: login.key(),
            kind: kind.as_str(),
            typed: login.typed(),
            by: audit::By::from(act),
        };
        let added: i64 = Add(&binds).get_result(conn).await?;
        let owner = if added == 1 {
            Some(id)
        } else {
            find_owner(conn, login.key()).await?
        };
        match owner {
            Some(owner) if owner == id => Ok(get(conn, id).await?.map(Added::Here)),
            Some(_) => Ok(Some(Added::Taken)),
            None => Ok(Some(Added::Full)),
        }
    })
    .await
}

struct RemoveBinds<'a> {
    id: Uuid,
    key: &'a str,
    by: audit::By<'a>,
}

statement! {
    Remove(&RemoveBinds<'a>) -> Int8 = |it|
        "WITH removed AS (DELETE FROM user_logins WHERE login = ", [Text: it.key],
        " AND user_id = ", [SqlUuid: it.id],
        " AND typed IS NOT NULL RETURNING user_id, typed, kind, created_at\
         ), touched AS (\
           UPDATE users SET updated_at = now() FROM removed WHERE users.id = removed.user_id\
         ), told AS (", {audit::INSERT}, "SELECT user_id, NULL::uuid, 'LOGIN_REMOVED', ", {DETAIL},
        ", ", (it.by), " FROM removed) SELECT count(*) FROM removed"
}

/// Removes a login from a user; `None` when there is no such user.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn remove_login(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    login_key: &str,
) -> Result<Option<Removed>, Error> {
    conn.transaction(async |conn| {
        if !lock(conn, id).await? {
            return Ok(None);
        }
        let binds = RemoveBinds {
            id: id.0,
            key: login_key,
            by: audit::By::from(act),
        };
        let removed: i64 = Remove(&binds).get_result(conn).await?;
        if removed == 1 {
            // It may have been delivered there.
            password_resets::void(conn, id).await?;
            return Ok(get(conn, id).await?.map(Removed::Gone));
        }
        let owner = find_owner(conn, login_key).await?;
        Ok(Some(if owner == Some(id) {
            Removed::Fixed
        } else {
            Removed::NotThere
        }))
    })
    .await
}

/// Who has a login in the form that is matched.
async fn find_owner(
    conn: &mut AsyncPgConnection,
    login_key: &str,
) -> Result<Option<UserId>, Error> {
    let owner: Option<Uuid> = user_logins::table
        .filter(user_logins::login.eq(login_key))
        .select(user_logins::user_id)
        .first(conn)
        .await
        .optional()?;
    Ok(owner.map(UserId))
}

//! Users and their logins.

mod import;
mod list;
mod logins;
mod password;
mod row;
mod write;

pub use import::{ImportedUser, Refusal, import};
pub use list::{Filter, list};
pub use logins::{Added, Removed, add_login, remove_login};
pub use password::{change_password, set_password, upgrade_password};
pub(super) use row::{COLUMNS, UserRow, UserSql};
pub use write::{Change, NewUser, create, delete, expire_sessions, forget_failures, lock, update};

use diesel::{
    ExpressionMethods, JoinOnDsl, OptionalExtension, PgArrayExpressionMethods, QueryDsl,
    dsl::{exists, select},
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    Error,
    schema::{user_logins, users},
    statement::statement,
};
use crate::model::{
    ids::UserId,
    password::PasswordHash,
    role::{ADMIN, Roles},
    user::User,
};

/// What a sign-in checks.
#[derive(Debug)]
pub struct Credentials {
    /// Whose they are.
    pub user_id: UserId,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
    /// Whether the user is kept from signing in.
    pub disabled: bool,
    /// What the user may do.
    pub roles: Roles,
}

/// The credentials behind a login in its case-mapped form.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn find_credentials(
    conn: &mut AsyncPgConnection,
    login_key: &str,
) -> Result<Option<Credentials>, Error> {
    let row: Option<(Uuid, String, bool, Vec<String>)> = user_logins::table
        .inner_join(users::table.on(users::id.eq(user_logins::user_id)))
        .filter(user_logins::login.eq(login_key))
        .select((
            users::id,
            users::password_hash,
            users::disabled_at.is_not_null(),
            users::roles,
        ))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(id, password_hash, disabled, roles)| Credentials {
        user_id: UserId(id),
        password_hash: PasswordHash::from_phc(password_hash),
        disabled,
        roles: Roles::from_stored(roles),
    }))
}

statement! {
    FindWithPassword(&Uuid) -> (UserSql, Text) = |id|
        "SELECT ", {COLUMNS}, ", users.password_hash FROM users WHERE users.id = ", [SqlUuid: *id]
}

/// A user, and what the user's password is checked against.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn find_with_password(
    conn: &mut AsyncPgConnection,
    id: UserId,
) -> Result<Option<(User, PasswordHash)>, Error> {
    let row: Option<(UserRow, String)> =
        FindWithPassword(&id.0).get_result(conn).await.optional()?;
    row.map(|(row, hash)| Ok((row.try_into()?, PasswordHash::from_phc(hash))))
        .transpose()
}

statement! {
    Get(&Uuid) -> UserSql = |id|
        "SELECT ", {COLUMNS}, " FROM users WHERE users.id = ", [SqlUuid: *id]
}

/// A user.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn get(conn: &mut AsyncPgConnection, id: UserId) -> Result<Option<User>, Error> {
    let row: Option<UserRow> = Get(&id.0).get_result(conn).await.optional()?;
    row.map(User::try_from).transpose()
}

struct LoginKey<'a>(&'a str);

statement! {
    FindByLogin(&LoginKey<'a>) -> UserSql = |login_key|
        "SELECT ", {COLUMNS}, " FROM user_logins AS named JOIN users ON users.id = named.user_id \
         WHERE named.login = ", [Text: login_key.0]
}

/// The user behind a login in its case-mapped form.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn find_by_login(
    conn: &mut AsyncPgConnection,
    login_key: &str,
) -> Result<Option<User>, Error> {
    let key = LoginKey(login_key);
    let row: Option<UserRow> = FindByLogin(&key).get_result(conn).await.optional()?;
    row.map(User::try_from).transpose()
}

/// Whether there is an operator who is not disabled. It may look at every user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn has_operator(conn: &mut AsyncPgConnection) -> Result<bool, Error> {
    let operators = users::table
        .filter(users::disabled_at.is_null())
        .filter(users::roles.contains(vec![ADMIN]));
    Ok(select(exists(operators)).get_result(conn).await?)
}

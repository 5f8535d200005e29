//! Users and their logins.

mod row;
mod write;

pub use write::{
    Change, NewUser, create, delete, expire_sessions, lock, replace_password, set_password, update,
};

use diesel::{
    ExpressionMethods, JoinOnDsl, OptionalExtension, PgArrayExpressionMethods, QueryDsl,
    dsl::{exists, select},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use row::UserRow;
use uuid::Uuid;

use super::{
    Error, Page,
    schema::{user_logins, users},
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

/// A user, and what the user's password is checked against.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn find_with_password(
    conn: &mut AsyncPgConnection,
    id: UserId,
) -> Result<Option<(User, PasswordHash)>, Error> {
    let row: Option<(UserRow, String)> = users::table
        .filter(users::id.eq(id.0))
        .select((row::COLUMNS, users::password_hash))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(row, password_hash)| (row.into(), PasswordHash::from_phc(password_hash))))
}

/// A user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn get(conn: &mut AsyncPgConnection, id: UserId) -> Result<Option<User>, Error> {
    let row: Option<UserRow> = users::table
        .filter(users::id.eq(id.0))
        .select(row::COLUMNS)
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(User::from))
}

/// The user behind a login in its case-mapped form.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn find_by_login(
    conn: &mut AsyncPgConnection,
    login_key: &str,
) -> Result<Option<User>, Error> {
    let row: Option<UserRow> = user_logins::table
        .inner_join(users::table.on(users::id.eq(user_logins::user_id)))
        .filter(user_logins::login.eq(login_key))
        .select(row::COLUMNS)
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(User::from))
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

/// One page of users, newest first.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn list(conn: &mut AsyncPgConnection, page: Page<UserId>) -> Result<Vec<User>, Error> {
    let mut query = users::table
        .select(row::COLUMNS)
        .order(users::id.desc())
        .limit(page.limit.into())
        .into_boxed();
    if let Some(after) = page.after {
        query = query.filter(users::id.lt(after.0));
    }
    let rows: Vec<UserRow> = query.load(conn).await?;
    Ok(rows.into_iter().map(User::from).collect())
}

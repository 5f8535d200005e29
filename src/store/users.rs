//! Users and their logins.

mod row;
mod write;

pub use write::{
    Change, NewUser, create, delete, expire_sessions, lock, replace_password, set_password, update,
};

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use row::UserRow;

use super::{
    Error, Page,
    schema::{user_logins, users},
};
use crate::model::{ids::UserId, password::PasswordHash, user::User};

/// What a sign-in checks.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose they are.
    pub user_id: UserId,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
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

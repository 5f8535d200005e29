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
    OptionalExtension,
    sql_types::{Bool, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{Error, statement::statement};
use crate::model::{ids::UserId, password::PasswordHash, role::ADMIN, user::User};

/// What a sign-in checks.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose they are.
    pub user_id: UserId,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
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

struct HeldRole<'a>(&'a str);

statement! {
    HasOperator(&HeldRole<'a>) -> Bool = |role|
        "SELECT EXISTS (SELECT FROM users AS u WHERE u.disabled_at IS NULL AND ", [Text: role.0],
        " = ANY (u.roles) AND NOT EXISTS (\
           SELECT FROM user_sign_ins AS t WHERE t.user_id = u.id AND t.attempts >= 100))"
}

/// Whether there is an operator who can sign in: who is neither disabled nor locked. It may
/// look at every user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn has_operator(conn: &mut AsyncPgConnection) -> Result<bool, Error> {
    Ok(HasOperator(&HeldRole(ADMIN)).get_result(conn).await?)
}

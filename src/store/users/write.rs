//! Changes of users.

use diesel::{
    ExpressionMethods, IntoSql, OptionalExtension, QueryDsl,
    dsl::now,
    sql_types::{Array, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    super::{Error, schema::users, sign_ins, statement::statement},
    row::{COLUMNS, NEW_COLUMNS, UserRow, UserSql},
};
use crate::model::{ids::UserId, login::Login, password::PasswordHash, role::Roles, user::User};

/// A user to create.
#[derive(Debug)]
pub struct NewUser {
    /// The id.
    pub id: UserId,
    /// The login.
    pub login: Login,
    /// What people call the user.
    pub display_name: String,
    /// What the user may do.
    pub roles: Roles,
    /// The hash of the password.
    pub password_hash: PasswordHash,
}

struct NewBinds<'a> {
    new: &'a NewUser,
    id: Uuid,
    login: &'a str,
    login_key: &'a str,
    roles: &'a [String],
    password_hash: &'a str,
}

statement! {
    Create(&NewBinds<'a>) -> UserSql = |it|
        "WITH claimed AS (\
           INSERT INTO user_logins (login, user_id) VALUES (",
        [Text: it.login_key], ", ", [SqlUuid: it.id],
        ") ON CONFLICT DO NOTHING RETURNING user_id\
         ) INSERT INTO users (id, login, display_name, roles, password_hash, created_at, \
             updated_at, sessions_valid_after) \
           SELECT user_id, ", [Text: it.login], ", ", [Text: it.new.display_name], ", ",
        [Array<Text>: it.roles], ", ", [Text: it.password_hash],
        ", now(), now(), now() FROM claimed RETURNING ", {NEW_COLUMNS}
}

/// Creates a user; `None` when the login is taken.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn create(conn: &mut AsyncPgConnection, new: &NewUser) -> Result<Option<User>, Error> {
    let binds = NewBinds {
        new,
        id: new.id.0,
        login: new.login.typed(),
        login_key: new.login.key(),
        roles: new.roles.names(),
        password_hash: new.password_hash.as_phc(),
    };
    let row: Option<UserRow> = Create(&binds).get_result(conn).await.optional()?;
    row.map(User::try_from).transpose()
}

/// A change of a user; what is `None` stays.
#[derive(Debug)]
pub struct Change {
    /// Which user.
    pub id: UserId,
    /// What people call the user.
    pub display_name: Option<String>,
    /// What the user may do.
    pub roles: Option<Roles>,
    /// Whether the user is kept from signing in.
    pub disabled: Option<bool>,
}

struct Binds<'a> {
    change: &'a Change,
    roles: Option<&'a [String]>,
}

statement! {
    Update(&Binds<'a>) -> UserSql = |it|
        "UPDATE users SET updated_at = now(), display_name = coalesce(",
        [Nullable<Text>: it.change.display_name], ", display_name), roles = coalesce(",
        [Nullable<Array<Text>>: it.roles], ", roles), roles_changed_at = CASE WHEN ",
        [Nullable<Array<Text>>: it.roles], " <> roles THEN now() ELSE roles_changed_at END, disabled_at = CASE coalesce(",
        [Nullable<Bool>: it.change.disabled],
        ", disabled_at IS NOT NULL) WHEN true THEN coalesce(disabled_at, now()) END \
         WHERE id = ", [SqlUuid: it.change.id.0], " RETURNING ", {COLUMNS}
}

/// Changes a user; `None` when there is none.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn update(conn: &mut AsyncPgConnection, change: &Change) -> Result<Option<User>, Error> {
    let binds = Binds {
        change,
        roles: change.roles.as_ref().map(Roles::names),
    };
    let row: Option<UserRow> = Update(&binds).get_result(conn).await.optional()?;
    row.map(User::try_from).transpose()
}

/// Locks a user's row until the transaction ends: no session of the user can be opened
/// meanwhile. `false` when there is no such user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn lock(conn: &mut AsyncPgConnection, id: UserId) -> Result<bool, Error> {
    let locked: Option<Uuid> = users::table
        .filter(users::id.eq(id.0))
        .select(users::id)
        .for_no_key_update()
        .first(conn)
        .await
        .optional()?;
    Ok(locked.is_some())
}

/// Lets every session of a user end that was created before this moment; `false` when
/// there is no such user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn expire_sessions(conn: &mut AsyncPgConnection, id: UserId) -> Result<bool, Error> {
    let met = diesel::update(users::table.filter(users::id.eq(id.0)))
        .set(users::sessions_valid_after.eq(now.into_sql::<Timestamptz>()))
        .execute(conn)
        .await?;
    Ok(met == 1)
}

/// Sets the password of a user, whatever it was; `false` when there is no such user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn set_password(
    conn: &mut AsyncPgConnection,
    id: UserId,
    password_hash: &PasswordHash,
) -> Result<bool, Error> {
    let met = diesel::update(users::table.filter(users::id.eq(id.0)))
        .set((
            users::password_hash.eq(password_hash.as_phc()),
            users::updated_at.eq(now.into_sql::<Timestamptz>()),
        ))
        .execute(conn)
        .await?;
    Ok(met == 1)
}

/// Replaces the password of an enabled user if it still is `verified`; `false`
/// otherwise.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn replace_password(
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

statement! {
    ForgetFailures(&Uuid) -> () = |id|
        "UPDATE user_sign_ins SET attempts = 0, failures = 0, failed_at = NULL \
         WHERE user_id = ", [SqlUuid: *id], " AND attempts > 0"
}

/// Lets a user's passwords be checked again, however many were wrong.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn forget_failures(conn: &mut AsyncPgConnection, id: UserId) -> Result<(), Error> {
    ForgetFailures(&id.0).execute(conn).await?;
    Ok(())
}

statement! {
    Delete(&Uuid) -> SqlUuid = |id|
        "WITH freed AS (DELETE FROM user_logins WHERE user_id = ", [SqlUuid: *id],
        "), voided AS (DELETE FROM password_reset_tokens WHERE user_id = ", [SqlUuid: *id],
        "), forgotten AS (", {sign_ins::FORGET}, [SqlUuid: *id],
        ") DELETE FROM users WHERE id = ", [SqlUuid: *id], " RETURNING id"
}

/// Deletes a user whose row is locked, what is known of the sign-ins, and frees the logins;
/// `false` when there is no such user. The
/// sessions stay, to be ended after.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn delete(conn: &mut AsyncPgConnection, id: UserId) -> Result<bool, Error> {
    let deleted: Option<Uuid> = Delete(&id.0).get_result(conn).await.optional()?;
    Ok(deleted.is_some())
}

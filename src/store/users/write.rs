//! Changes of users.

use diesel::{
    ExpressionMethods, IntoSql, OptionalExtension, QueryDsl,
    dsl::now,
    sql_types::{Array, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    super::{
        Error,
        audit::{By, INSERT, USER_SNAPSHOT},
        schema::users,
        sign_ins,
        statement::statement,
    },
    row::{COLUMNS, NEW_COLUMNS, UserRow, UserSql},
};
use crate::model::{
    audit::Act, ids::UserId, login::Login, password::PasswordHash, role::Roles, user::User,
};

/// What events tell of a user.
const SNAPSHOT_COLUMNS: &str =
    "id, login, display_name, roles, disabled_at, created_at, updated_at";

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
    by: By<'a>,
}

statement! {
    Create(&NewBinds<'a>) -> UserSql = |it|
        "WITH claimed AS (\
           INSERT INTO user_logins (login, user_id) VALUES (",
        [Text: it.login_key], ", ", [SqlUuid: it.id],
        ") ON CONFLICT DO NOTHING RETURNING user_id\
         ), created AS (INSERT INTO users (id, login, display_name, roles, password_hash, created_at, \
             updated_at, sessions_valid_after) \
           SELECT user_id, ", [Text: it.login], ", ", [Text: it.new.display_name], ", ",
        [Array<Text>: it.roles], ", ", [Text: it.password_hash],
        ", now(), now(), now() FROM claimed RETURNING ", {SNAPSHOT_COLUMNS},
        "), told AS (", {INSERT}, "SELECT id, NULL::uuid, 'USER_CREATED', jsonb_build_object('user', ",
        {USER_SNAPSHOT}, "), ", (it.by), " FROM created) SELECT ", {NEW_COLUMNS}, " FROM created AS users"
}

/// Creates a user; `None` when the login is taken.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn create(
    conn: &mut AsyncPgConnection,
    act: &Act,
    new: &NewUser,
) -> Result<Option<User>, Error> {
    let binds = NewBinds {
        new,
        id: new.id.0,
        login: new.login.typed(),
        login_key: new.login.key(),
        roles: new.roles.names(),
        password_hash: new.password_hash.as_phc(),
        by: By::from(act),
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
    by: By<'a>,
}

statement! {
    /// What is set to what it was is not told.
    Update(&Binds<'a>) -> UserSql = |it|
        "WITH earlier AS (\
           SELECT id, display_name, roles, disabled_at FROM users WHERE id = ",
        [SqlUuid: it.change.id.0], " FOR NO KEY UPDATE\
         ), changed AS (\
           UPDATE users AS u SET updated_at = now(), display_name = coalesce(",
        [Nullable<Text>: it.change.display_name], ", u.display_name), roles = coalesce(",
        [Nullable<Array<Text>>: it.roles], ", u.roles), roles_changed_at = CASE WHEN ",
        [Nullable<Array<Text>>: it.roles], " <> u.roles THEN now() ELSE u.roles_changed_at END, \
             disabled_at = CASE coalesce(", [Nullable<Bool>: it.change.disabled],
        ", u.disabled_at IS NOT NULL) WHEN true THEN coalesce(u.disabled_at, now()) END \
           FROM earlier AS e WHERE u.id = e.id \
           RETURNING u.id, u.login, u.display_name, u.roles, u.disabled_at, u.created_at, \
             u.updated_at, e.roles AS earlier_roles, array_remove(ARRAY[\
               CASE WHEN u.display_name <> e.display_name THEN 'display_name' END, \
               CASE WHEN u.roles <> e.roles THEN 'roles' END, \
               CASE WHEN (u.disabled_at IS NULL) <> (e.disabled_at IS NULL) THEN 'disabled' END\
             ], NULL) AS fields\
         ), told AS (", {INSERT}, "SELECT id, NULL::uuid, 'USER_UPDATED', jsonb_build_object('user', ",
        {USER_SNAPSHOT}, ", 'changed_fields', to_jsonb(fields), 'earlier_roles', \
           CASE WHEN 'roles' = ANY(fields) THEN to_jsonb(earlier_roles) ELSE '[]' END), ", (it.by),
        " FROM changed WHERE cardinality(fields) > 0) SELECT ", {COLUMNS}, " FROM changed AS users"
}

/// Changes a user; `None` when there is none.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn update(
    conn: &mut AsyncPgConnection,
    act: &Act,
    change: &Change,
) -> Result<Option<User>, Error> {
    let binds = Binds {
        change,
        roles: change.roles.as_ref().map(Roles::names),
        by: By::from(act),
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

struct DeleteBinds<'a> {
    id: Uuid,
    by: By<'a>,
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
    Delete(&DeleteBinds<'a>) -> SqlUuid = |it|
        "WITH freed AS (DELETE FROM user_logins WHERE user_id = ", [SqlUuid: it.id],
        "), voided AS (DELETE FROM password_reset_tokens WHERE user_id = ", [SqlUuid: it.id],
        "), forgotten AS (", {sign_ins::FORGET}, [SqlUuid: it.id],
        "), deleted AS (DELETE FROM users WHERE id = ", [SqlUuid: it.id], " RETURNING ", {SNAPSHOT_COLUMNS},
        "), told AS (", {INSERT}, "SELECT id, NULL::uuid, 'USER_DELETED', jsonb_build_object('user', ",
        {USER_SNAPSHOT}, "), ", (it.by), " FROM deleted) SELECT id FROM deleted"
}

/// Deletes a user whose row is locked, what is known of the sign-ins, and frees the logins;
/// `false` when there is no such user. The
/// sessions stay, to be ended after.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn delete(conn: &mut AsyncPgConnection, act: &Act, id: UserId) -> Result<bool, Error> {
    let binds = DeleteBinds {
        id: id.0,
        by: By::from(act),
    };
    let deleted: Option<Uuid> = Delete(&binds).get_result(conn).await.optional()?;
    Ok(deleted.is_some())
}

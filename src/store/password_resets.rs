//! The tokens that reset passwords: one row a user, in which the token itself is not.

use std::time::Duration;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl,
    pg::data_types::PgInterval,
    sql_types::{Interval, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Error, audit,
    schema::password_reset_tokens,
    sessions::interval,
    statement::statement,
    users::{COLUMNS, UserRow, UserSql},
};
use crate::model::{audit::Act, ids::UserId, password_reset_token::PasswordResetToken, user::User};

struct IssueBinds<'a> {
    user_id: Uuid,
    id: Uuid,
    lifetime: PgInterval,
    by: audit::By<'a>,
}

statement! {
    /// The share lock makes it and what voids tokens wait for each other.
    Issue(&IssueBinds<'a>) -> Timestamptz = |it|
        "WITH account AS (SELECT id FROM users WHERE id = ", [SqlUuid: it.user_id],
        " FOR SHARE), issued AS (\
           INSERT INTO password_reset_tokens (user_id, id, expires_at) \
           SELECT account.id, ", [SqlUuid: it.id], ", now() + ", [Interval: it.lifetime],
        "::interval FROM account \
           ON CONFLICT (user_id) DO UPDATE SET id = excluded.id, expires_at = excluded.expires_at \
           RETURNING user_id, expires_at\
         ), told AS (", {audit::INSERT},
        "SELECT user_id, NULL::uuid, 'PASSWORD_RESET_TOKEN_ISSUED', jsonb_build_object(\
           'expires_at', (extract(epoch FROM expires_at) * 1000000)::bigint), ", (it.by),
        " FROM issued) SELECT expires_at FROM issued"
}

/// Makes a token the one of its user, and says until when; `None` when there is no such user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn issue(
    conn: &mut AsyncPgConnection,
    act: &Act,
    token: PasswordResetToken,
    lifetime: Duration,
) -> Result<Option<OffsetDateTime>, Error> {
    let binds = IssueBinds {
        user_id: token.user_id.0,
        id: token.id,
        lifetime: interval(lifetime),
        by: audit::By::from(act),
    };
    Ok(Issue(&binds).get_result(conn).await.optional()?)
}

statement! {
    FindUser(&PasswordResetToken) -> UserSql = |token|
        "SELECT ", {COLUMNS}, " FROM password_reset_tokens AS t \
         JOIN users ON users.id = t.user_id WHERE t.user_id = ", [SqlUuid: token.user_id.0],
        " AND t.id = ", [SqlUuid: token.id],
        " AND now() < t.expires_at AND users.disabled_at IS NULL"
}

/// The user of a token that can be used.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn find_user(
    conn: &mut AsyncPgConnection,
    token: PasswordResetToken,
) -> Result<Option<User>, Error> {
    let row: Option<UserRow> = FindUser(&token).get_result(conn).await.optional()?;
    row.map(User::try_from).transpose()
}

struct RefuseBinds<'a> {
    user_id: Uuid,
    by: audit::By<'a>,
}

statement! {
    /// Once a minute, as anybody who has such a token can bring it about.
    Refuse(&RefuseBinds<'a>) -> () = |it|
        {audit::INSERT}, "SELECT id, NULL::uuid, 'PASSWORD_RESET_REFUSED', '{}'::jsonb, ", (it.by),
        " FROM users WHERE id = ", [SqlUuid: it.user_id], " AND NOT EXISTS (\
           SELECT FROM audit_events AS earlier WHERE earlier.user_id = ", [SqlUuid: it.user_id],
        "    AND ", {audit::IN_THE_LAST_MINUTE}, " AND earlier.kind = 'PASSWORD_RESET_REFUSED')"
}

/// Tells that a token which cannot be used was presented.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn refuse(
    conn: &mut AsyncPgConnection,
    act: &Act,
    token: PasswordResetToken,
) -> Result<(), Error> {
    let binds = RefuseBinds {
        user_id: token.user_id.0,
        by: audit::By::from(act),
    };
    Refuse(&binds).execute(conn).await?;
    Ok(())
}

statement! {
    Consume(&PasswordResetToken) -> SqlUuid = |token|
        "DELETE FROM password_reset_tokens AS t USING users WHERE t.user_id = ",
        [SqlUuid: token.user_id.0], " AND t.id = ", [SqlUuid: token.id],
        " AND now() < t.expires_at AND users.id = t.user_id AND users.disabled_at IS NULL \
         RETURNING t.id"
}

/// Uses a token up whose user's row is locked; `false` where it cannot be used.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn consume(
    conn: &mut AsyncPgConnection,
    token: PasswordResetToken,
) -> Result<bool, Error> {
    let consumed: Option<Uuid> = Consume(&token).get_result(conn).await.optional()?;
    Ok(consumed.is_some())
}

/// Voids the token of a user whose row is locked, if there is one.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn void(conn: &mut AsyncPgConnection, id: UserId) -> Result<(), Error> {
    let of_user = password_reset_tokens::table.filter(password_reset_tokens::user_id.eq(id.0));
    diesel::delete(of_user).execute(conn).await?;
    Ok(())
}

//! Users whose passwords are not checked, and the end of that.

use diesel::{
    ExpressionMethods, QueryDsl,
    sql_types::{Int8, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::super::{
    Error,
    audit::{By, INSERT},
    schema::user_sign_ins,
    statement::statement,
};
use crate::model::{audit::Act, ids::UserId};

/// How many passwords in a row were checked of the user whose row a statement calls `u`. The
/// user is locked where they are at least as many as are allowed.
pub const ATTEMPTS_OF_U: &str =
    "coalesce((SELECT t.attempts FROM user_sign_ins AS t WHERE t.user_id = u.id), 0)";

/// Deletes what is known of a user's sign-ins; the id of the user follows.
pub(in crate::store) const FORGET: &str = "DELETE FROM user_sign_ins WHERE user_id = ";

/// Forgets the passwords of a user that were checked in vain, since there is a new one, or a
/// right one was given.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn reset(conn: &mut AsyncPgConnection, id: UserId) -> Result<(), Error> {
    diesel::update(user_sign_ins::table.filter(user_sign_ins::user_id.eq(id.0)))
        .set((
            user_sign_ins::attempts.eq(0),
            user_sign_ins::failures.eq(0),
            user_sign_ins::failed_at.eq(None::<time::OffsetDateTime>),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

struct Binds<'a> {
    id: Uuid,
    by: By<'a>,
}

statement! {
    Unlock(&Binds<'a>) -> Int8 = |it|
        "WITH unlocked AS (\
           UPDATE user_sign_ins SET attempts = 0, failures = 0, failed_at = NULL WHERE user_id = ",
        [SqlUuid: it.id], " AND attempts > 0 RETURNING user_id\
         ), told AS (", {INSERT},
        "SELECT user_id, NULL::uuid, 'USER_UNLOCKED', '{}'::jsonb, ", (it.by),
        " FROM unlocked) SELECT count(*) FROM unlocked"
}

/// Lets a user's passwords be checked again; `false` where none had failed.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn unlock(conn: &mut AsyncPgConnection, act: &Act, id: UserId) -> Result<bool, Error> {
    let by = By::from(act);
    let unlocked: i64 = Unlock(&Binds { id: id.0, by }).get_result(conn).await?;
    Ok(unlocked == 1)
}

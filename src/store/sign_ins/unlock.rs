//! Users whose passwords are not checked, and the end of that.

use diesel::sql_types::{Int8, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::super::{
    Error,
    audit::{By, INSERT},
    statement::statement,
    users::Credentials,
};
use crate::model::{audit::Act, ids::UserId};

/// Deletes what is known of a user's sign-ins; the id of the user follows.
pub(in crate::store) const FORGET: &str = "DELETE FROM user_sign_ins WHERE user_id = ";

struct Binds<'a> {
    id: Uuid,
    by: By<'a>,
}

struct SettleBinds<'a> {
    user_id: Uuid,
    password_hash: &'a str,
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

statement! {
    /// The count is not of another password that was set meanwhile.
    Settle(&SettleBinds<'a>) -> () = |it|
        "UPDATE user_sign_ins AS t SET attempts = 0, failures = 0, failed_at = NULL \
         FROM users AS u WHERE u.id = ", [SqlUuid: it.user_id], " AND u.disabled_at IS NULL \
           AND u.password_hash = ", [Text: it.password_hash], " AND t.user_id = u.id"
}

/// Forgets the wrong passwords before one that was found right.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn settle(conn: &mut AsyncPgConnection, checked: &Credentials) -> Result<(), Error> {
    let binds = SettleBinds {
        user_id: checked.user_id.0,
        password_hash: checked.password_hash.as_phc(),
    };
    Settle(&binds).execute(conn).await?;
    Ok(())
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

//! How the sign-ins of users go: the passwords that were checked in vain.
//!
//! A check is counted before it is made, in the statement that finds what the password is
//! checked against, so that over all replicas no more are made than are allowed. Whatever is
//! wrong with a sign-in, it takes the same two statements, each of which writes: what
//! nobody's login has no row for is written to one of `NOBODIES`.

mod fail;
mod unlock;

pub use fail::{Failure, fail};
pub(super) use unlock::FORGET;
pub use unlock::{settle, unlock};

use std::hash::{DefaultHasher, Hash, Hasher};

use diesel::sql_types::{Array, Bool, Int4, Int8, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{Error, statement::statement, users::Credentials};
use crate::model::{attempts::DELAYS, ids::UserId, password::PasswordHash};

/// How many rows there are for those who have none: enough that few wait for each other.
const NOBODIES: u128 = 256;

/// A check of a password that is asked for.
#[derive(Debug)]
pub struct Attempt {
    /// What was found.
    pub found: Found,
    /// The row that it is counted in.
    row: Uuid,
}

/// Whose password is to be checked.
#[derive(Debug)]
pub enum Found {
    /// Nobody has the login.
    Nobody,
    /// The user is kept from signing in: nothing is to be checked.
    Disabled(UserId),
    /// Too many in a row were wrong, or one was a moment ago: nothing is to be checked.
    Locked(UserId),
    /// The check is counted, and is to be made.
    Begun(Begun),
}

/// A check that is counted.
#[derive(Debug)]
pub struct Begun {
    /// What the password is checked against.
    pub credentials: Credentials,
    /// Which one it is since the last right password, from 1.
    number: i32,
    /// How many sessions the user had opened.
    pub opened: i64,
}

struct Binds<'a> {
    login_key: &'a str,
    services_only: bool,
    user_id: Uuid,
    max_attempts: i32,
    delays: &'a [i32],
    nobody: Uuid,
}

/// What comes after the CTE `known`, whom the password is of: the rule, and the count.
const RULE: &str = "), place AS (\
       SELECT coalesce((SELECT id FROM known WHERE NOT disabled), rule.nobody) AS user_id, \
         EXISTS (SELECT FROM known WHERE NOT disabled)::integer AS attempts FROM rule\
     ), begun AS (\
       INSERT INTO user_sign_ins AS t (user_id, attempts, failures, opened) \
       SELECT user_id, attempts, 0, 0 FROM place \
       ON CONFLICT (user_id) DO UPDATE SET attempts = CASE \
           WHEN t.attempts + excluded.attempts >= (SELECT max_attempts FROM rule) THEN 100 \
           ELSE t.attempts + excluded.attempts END, \
         failed_at = CASE WHEN (SELECT delays FROM rule)[CASE WHEN t.failures > 0 THEN \
             least(greatest(t.failures, t.attempts - 1), cardinality((SELECT delays FROM rule))) \
           END] > 0 THEN now() ELSE t.failed_at END \
       WHERE t.attempts < (SELECT max_attempts FROM rule) AND (t.failed_at IS NULL \
         OR now() >= t.failed_at + coalesce((SELECT delays FROM rule)[CASE WHEN t.failures > 0 THEN \
             least(greatest(t.failures, t.attempts - 1), cardinality((SELECT delays FROM rule))) \
           END], 0) * '1 second'::interval) \
       RETURNING t.attempts, t.opened\
     ) SELECT place.user_id, known.id, known.password_hash, coalesce(known.disabled, false), \
         begun.attempts, begun.opened \
       FROM place LEFT JOIN known ON true LEFT JOIN begun ON true";

/// What [`RULE`] answers.
type RowSql = (
    SqlUuid,
    Nullable<SqlUuid>,
    Nullable<Text>,
    Bool,
    Nullable<Int4>,
    Nullable<Int8>,
);

type Row = (
    Uuid,
    Option<Uuid>,
    Option<String>,
    bool,
    Option<i32>,
    Option<i64>,
);

statement! {
    /// A hundred attempts stand for as many as are allowed, so that what is locked shows.
    /// Once wrong passwords bring a delay, the beginning of a check renews it as well, so
    /// that of many at once one is made. Once one was wrong, those whose outcome is not known
    /// yet count as wrong, all but one: else a burst would begin before it is delayed. While
    /// none was, nothing does: many right passwords at once delay nobody.
    Begin(&Binds<'a>) -> RowSql = |it|
        "WITH known AS (\
           SELECT u.id, u.password_hash, u.disabled_at IS NOT NULL AS disabled \
           FROM user_logins AS l JOIN users AS u ON u.id = l.user_id \
           WHERE l.login = ", [Text: it.login_key], " AND (u.roles && '{service,admin}' OR NOT ",
        [Bool: it.services_only], ")), rule AS (SELECT ",
        [Int4: it.max_attempts], "::integer AS max_attempts, ",
        [Array<Int4>: it.delays], "::integer[] AS delays, ", [SqlUuid: it.nobody],
        "::uuid AS nobody", {RULE}
}

statement! {
    BeginOfUser(&Binds<'a>) -> RowSql = |it|
        "WITH known AS (\
           SELECT u.id, u.password_hash, u.disabled_at IS NOT NULL AS disabled \
           FROM users AS u WHERE u.id = ", [SqlUuid: it.user_id], "), rule AS (SELECT ",
        [Int4: it.max_attempts], "::integer AS max_attempts, ",
        [Array<Int4>: it.delays], "::integer[] AS delays, ", [SqlUuid: it.nobody],
        "::uuid AS nobody", {RULE}
}

/// Finds what the password of a login, in its case-mapped form, is to be checked against,
/// and counts the check. With `services_only` the login of anybody else is nobody's.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn begin(
    conn: &mut AsyncPgConnection,
    login_key: &str,
    services_only: bool,
    max_attempts: u32,
) -> Result<Attempt, Error> {
    let binds = Binds {
        login_key,
        services_only,
        user_id: Uuid::nil(),
        max_attempts: number(max_attempts),
        delays: &DELAYS,
        nobody: nobody(login_key),
    };
    let row: Row = Begin(&binds).get_result(conn).await?;
    Ok(row.into())
}

/// The same for the password of a user.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn begin_of_user(
    conn: &mut AsyncPgConnection,
    id: UserId,
    max_attempts: u32,
) -> Result<Attempt, Error> {
    let binds = Binds {
        login_key: "",
        services_only: false,
        user_id: id.0,
        max_attempts: number(max_attempts),
        delays: &DELAYS,
        nobody: nobody(""),
    };
    let row: Row = BeginOfUser(&binds).get_result(conn).await?;
    Ok(row.into())
}

impl From<Row> for Attempt {
    fn from((row, id, password_hash, disabled, attempts, opened): Row) -> Self {
        let begun = attempts.zip(opened);
        let found = match (id.map(UserId).zip(password_hash), begun) {
            (None, _) => Found::Nobody,
            (Some((id, _)), _) if disabled => Found::Disabled(id),
            (Some((id, _)), None) => Found::Locked(id),
            (Some((user_id, password_hash)), Some((number, opened))) => Found::Begun(Begun {
                credentials: Credentials {
                    user_id,
                    password_hash: PasswordHash::from_phc(password_hash),
                },
                number,
                opened,
            }),
        };
        Self { found, row }
    }
}

/// The row of a login that has none. No user has its id, which is no UUID of version 7.
fn nobody(login_key: &str) -> Uuid {
    let mut hasher = DefaultHasher::new();
    login_key.hash(&mut hasher);
    Uuid::from_u128(1 + u128::from(hasher.finish()) % NOBODIES)
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

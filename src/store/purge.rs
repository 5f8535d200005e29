//! The removal of rows that are of no use any more, a window of a table at a time.
//!
//! A window is a part of a primary key, so that a round reads each table once, needs no
//! index of its own, and no statement is long, however much or little is due. What somebody
//! holds is skipped, and found in a later round.

use std::time::Duration;

use diesel::{
    pg::data_types::PgInterval,
    sql_types::{Int8, Interval, Nullable, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    Error,
    sessions::interval,
    statement::{limit, statement},
};

limit! {
    /// How many rows a statement looks at, and deletes, at most.
    WINDOW, LIMIT = 1_000
}

/// What is purged by windows.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// Sessions that expired, or were ended, longer ago than `age`.
    Sessions {
        /// How long ago.
        age: Duration,
    },
    /// Password-reset tokens that have expired.
    PasswordResetTokens,
    /// What is kept of the sign-ins of users that do not exist any more.
    SignIns,
}

/// Where in a primary key a window ended: the parts that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    user_id: Uuid,
    id: Uuid,
}

/// What became of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// How many rows were deleted.
    pub count: usize,
    /// Where the next window begins; `None` after the last.
    pub next: Option<Place>,
}

/// How many rows, how many deleted, and the last.
type Row = (i64, i64, Option<Uuid>, Option<Uuid>);
type RowSql = (Int8, Int8, Nullable<SqlUuid>, Nullable<SqlUuid>);

impl From<Row> for Purged {
    fn from((examined, count, user_id, id): Row) -> Self {
        let is_full = usize::try_from(examined) == Ok(WINDOW);
        let last = user_id.zip(id);
        Self {
            count: usize::try_from(count).unwrap_or_default(),
            next: last
                .filter(|_| is_full)
                .map(|(user_id, id)| Place { user_id, id }),
        }
    }
}

struct SessionBinds {
    after: Place,
    age: PgInterval,
}

statement! {
    /// Ids come first, then the rows by their ids: the planner takes an array of unknown
    /// length for a short one, and looks each up.
    Sessions(&SessionBinds) -> RowSql = |it|
        "WITH old AS MATERIALIZED (\
           SELECT user_id, id, coalesce(revoked_at, least(idle_expires_at, absolute_expires_at)) \
             < now() - ", [Interval: it.age], "::interval AS due FROM sessions \
           WHERE (user_id, id) > (", [SqlUuid: it.after.user_id], ", ", [SqlUuid: it.after.id], ") \
           ORDER BY user_id, id ", {LIMIT}, "), due AS MATERIALIZED (\
           SELECT s.id FROM sessions AS s WHERE s.id = ANY (ARRAY(SELECT id FROM old WHERE due)) \
             AND coalesce(s.revoked_at, least(s.idle_expires_at, s.absolute_expires_at)) < now() - ",
        [Interval: it.age], "::interval FOR UPDATE SKIP LOCKED\
         ), purged AS (\
           DELETE FROM sessions AS s WHERE s.id = ANY (ARRAY(SELECT id FROM due)) RETURNING 1\
         ), last AS (SELECT user_id, id FROM old ORDER BY user_id DESC, id DESC LIMIT 1) \
         SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM purged), \
           (SELECT user_id FROM last), (SELECT id FROM last)"
}

/// Declares a statement that deletes the rows of a table with the key `user_id` which meet a
/// condition on the table called `t`.
macro_rules! of_users {
    ($(#[$doc:meta])* $name:ident, $table:literal, $due:literal) => {
        statement! {
            $(#[$doc])*
            $name(&Place) -> RowSql = |it|
                "WITH old AS MATERIALIZED (SELECT t.user_id FROM ", $table, " AS t WHERE t.user_id > ",
                [SqlUuid: it.user_id], " ORDER BY t.user_id ", {LIMIT}, "), due AS MATERIALIZED (\
                   SELECT t.user_id FROM ", $table, " AS t \
                   WHERE t.user_id = ANY (ARRAY(SELECT user_id FROM old)) AND ", $due,
                "  FOR UPDATE OF t SKIP LOCKED\
                 ), purged AS (\
                   DELETE FROM ", $table, " AS t \
                   WHERE t.user_id = ANY (ARRAY(SELECT user_id FROM due)) RETURNING 1\
                 ), last AS (SELECT user_id FROM old ORDER BY user_id DESC LIMIT 1) \
                 SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM purged), \
                   (SELECT user_id FROM last), (SELECT user_id FROM last)"
        }
    };
}

of_users! {
    PasswordResetTokens, "password_reset_tokens", "t.expires_at < now()"
}

of_users! {
    /// A user's row is never made again: its id is never given again. The rows of nobody stay,
    /// as they say what was told lately; the number is `NOBODIES`.
    SignIns, "user_sign_ins", "t.user_id > '00000000-0000-0000-0000-000000000100' \
       AND NOT EXISTS (SELECT FROM users AS u WHERE u.id = t.user_id)"
}

/// Deletes what is of no use any more in the window of a table after a place.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn window(
    conn: &mut AsyncPgConnection,
    table: Table,
    after: Place,
) -> Result<Purged, Error> {
    let row: Row = match table {
        Table::Sessions { age } => {
            let age = interval(age);
            let binds = SessionBinds { after, age };
            Sessions(&binds).get_result(conn).await?
        }
        Table::PasswordResetTokens => PasswordResetTokens(&after).get_result(conn).await?,
        Table::SignIns => SignIns(&after).get_result(conn).await?,
    };
    Ok(row.into())
}

struct KeyBinds {
    age: PgInterval,
}

statement! {
    /// Not one of a call's statements, which its alias shows.
    SigningKeys(&KeyBinds) -> Int8 = |it|
        "WITH old AS (\
           DELETE FROM signing_keys AS published WHERE state = 'gone' AND expires_at < now() - ",
        [Interval: it.age], "::interval RETURNING 1\
         ) SELECT count(*) FROM old"
}

/// Deletes the signing keys that have been gone for longer than `age`, and answers how many
/// they were. There are a handful: no window is needed.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn signing_keys(conn: &mut AsyncPgConnection, age: Duration) -> Result<usize, Error> {
    let binds = KeyBinds { age: interval(age) };
    let purged: i64 = SigningKeys(&binds).get_result(conn).await?;
    Ok(usize::try_from(purged).unwrap_or_default())
}

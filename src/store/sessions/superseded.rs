//! Which access tokens of a session count, where only the newest does.

use std::time::Duration;

use diesel::{
    pg::data_types::PgInterval,
    sql_types::{Int8, Interval},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    super::{
        Error,
        statement::{limit, statement},
    },
    rotate::interval,
};

limit! {
    /// How many rows [`purge_superseded`] deletes at most: so few that each is found by its key.
    PURGE_BATCH, LIMIT = 100
}

struct Binds {
    age: PgInterval,
}

statement! {
    /// Skips what a refresh or another replica holds, so that nobody waits for it.
    Purge(&Binds) -> Int8 = |it|
        "WITH old AS (\
           SELECT user_id, session_id FROM superseded_tokens \
           WHERE superseded_at < now() - ", [Interval: it.age], "::interval \
           ORDER BY superseded_at ", {LIMIT}, " FOR UPDATE SKIP LOCKED\
         ), purged AS (\
           DELETE FROM superseded_tokens AS t USING old \
           WHERE t.user_id = old.user_id AND t.session_id = old.session_id RETURNING 1\
         ) SELECT count(*) FROM purged"
}

/// Deletes what says which tokens were superseded more than `age` ago, at most
/// [`PURGE_BATCH`] rows, and answers how many they were. Once `age` is the lifetime of an access token,
/// the tokens that they are about have expired.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn purge_superseded(conn: &mut AsyncPgConnection, age: Duration) -> Result<usize, Error> {
    let binds = Binds { age: interval(age) };
    let purged: i64 = Purge(&binds).get_result(conn).await?;
    Ok(usize::try_from(purged).unwrap_or_default())
}

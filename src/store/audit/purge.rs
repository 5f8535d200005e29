//! The end of events.

use std::time::Duration;

use diesel::{
    pg::data_types::PgInterval,
    sql_types::{Int8, Interval},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    super::{
        Error,
        sessions::interval,
        statement::{limit, statement},
    },
    piece::{END_OF_FIRST_ID, FIRST_ID_OF},
};

limit! {
    /// How many events [`purge`] deletes at most.
    PURGE_BATCH, LIMIT = 1_000
}

struct Binds {
    retention: PgInterval,
}

statement! {
    /// Skips what another replica holds. The bound on the id finds the oldest by an index.
    Purge(&Binds) -> Int8 = |it|
        "WITH old AS (SELECT user_id, id FROM audit_events WHERE id < ", {FIRST_ID_OF}, "now() - ",
        [Interval: it.retention], "::interval", {END_OF_FIRST_ID}, " ORDER BY id ", {LIMIT},
        " FOR UPDATE SKIP LOCKED), purged AS (\
           DELETE FROM audit_events AS e USING old \
           WHERE e.user_id = old.user_id AND e.id = old.id RETURNING 1\
         ) SELECT count(*) FROM purged"
}

/// Deletes the oldest events that are older than `retention`, at most [`PURGE_BATCH`], and
/// answers how many they were.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn purge(conn: &mut AsyncPgConnection, retention: Duration) -> Result<usize, Error> {
    let binds = Binds {
        retention: interval(retention),
    };
    let purged: i64 = Purge(&binds).get_result(conn).await?;
    Ok(usize::try_from(purged).unwrap_or_default())
}

//! Up to when all events are there.

use std::time::Duration;

use diesel::{
    pg::data_types::PgInterval,
    sql_types::{Interval, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;

use super::super::{Error, sessions::interval, statement::statement};

/// For how long a transaction may have begun without being seen among those that run: between
/// the reading of its clock and the entry in the table of activities.
const SLACK: Duration = Duration::from_millis(500);

struct Binds {
    overlap: PgInterval,
    slack: PgInterval,
}

statement! {
    /// A time is safe where nothing runs that began before it. Where an engine shows no
    /// activity, not even this one, nothing is but what is older than the overlap. Nothing of
    /// ours takes longer: what does, a dump say, holds nothing up for longer.
    Fence(&Binds) -> Timestamptz = |it|
        "SELECT greatest(now() - ", [Interval: it.overlap], "::interval, \
           least(now() - ", [Interval: it.slack], "::interval, \
             CASE WHEN bool_or(pid = pg_backend_pid()) \
               THEN min(xact_start) FILTER (WHERE pid <> pg_backend_pid()) \
               ELSE '-infinity' END)) \
         FROM pg_stat_activity WHERE datname = current_database()"
}

/// A time before which no event can be added any more, as the next statement sees them. An
/// event's time is the beginning of its transaction, so this is that of the oldest transaction
/// which runs, or a moment ago, and no longer ago than `overlap`, the longest a transaction
/// can take.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn fence(
    conn: &mut AsyncPgConnection,
    overlap: Duration,
) -> Result<OffsetDateTime, Error> {
    let binds = Binds {
        overlap: interval(overlap),
        slack: interval(SLACK),
    };
    Ok(Fence(&binds).get_result(conn).await?)
}

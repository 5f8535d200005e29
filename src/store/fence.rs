//! Up to when all is there that transactions write with the time at which they began.

use std::time::Duration;

use diesel::{
    pg::data_types::PgInterval,
    sql_types::{Array, Integer, Interval, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;

use super::{Error, sessions::interval, statement::statement};

/// For how long a transaction may have begun without being seen among those that run: between
/// the reading of its clock and the entry in the table of activities.
pub const SLACK: Duration = Duration::from_millis(500);

struct Binds {
    overlap: PgInterval,
    slack: PgInterval,
}

statement! {
    /// A time is safe where nothing runs that began before it. What has written holds it back
    /// for as long as it takes, since a COMMIT may wait for a standby; what has not, a dump
    /// say, for no longer than the overlap, as nothing of ours goes on for longer without
    /// having written. What does not show when it began, another role's say, may have begun
    /// as long ago; and where an engine shows no activity, not even this one, so may anything.
    /// Autovacuum is nobody's, and writes none of our rows.
    FindFence(&Binds) -> (Timestamptz, Array<Integer>) = |it|
        "SELECT least(now() - ", [Interval: it.slack], "::interval, \
           CASE WHEN bool_or(a.pid = pg_backend_pid()) \
             THEN min(CASE WHEN a.backend_xid IS NULL THEN greatest(a.xact_start, o.oldest) \
                 ELSE coalesce(a.xact_start, o.oldest) END) \
               FILTER (WHERE a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL \
                 AND (a.xact_start IS NOT NULL OR coalesce(a.state, 'disabled') = 'disabled')) \
             ELSE min(o.oldest) END), \
           coalesce(array_agg(a.pid) FILTER (WHERE a.backend_xid IS NOT NULL \
             AND a.xact_start < o.oldest + ", [Interval: it.slack], "::interval), '{}') \
         FROM (SELECT now() - ", [Interval: it.overlap], "::interval AS oldest) AS o \
         LEFT JOIN pg_stat_activity AS a ON a.datname = current_database()"
}

/// Up to when all is there, as the next statement sees it.
#[derive(Clone, Debug)]
pub struct Fence {
    /// A time before which nothing can be added any more: events, and ends of sessions. Their
    /// time is the beginning of their transaction, so this is that of the oldest transaction
    /// which runs, or a moment ago. Of what runs and has not written, or does not show when it
    /// began, it is the overlap ago at most, the longest that a transaction takes until its
    /// COMMIT. What runs through another node of an engine that shows only its own, or was
    /// prepared for a second phase, is not reckoned with.
    pub time: OffsetDateTime,
    /// The processes of the server whose transactions have written and take about as long as
    /// the overlap already, or longer.
    pub hanging: Vec<i32>,
}

/// Looks up to when all is there.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn fence(conn: &mut AsyncPgConnection, overlap: Duration) -> Result<Fence, Error> {
    let binds = Binds {
        overlap: interval(overlap),
        slack: interval(SLACK),
    };
    let (time, hanging) = FindFence(&binds).get_result(conn).await?;
    Ok(Fence { time, hanging })
}

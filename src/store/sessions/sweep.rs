//! The ends of all sessions that a filter meets, a window of them at a time.

use std::time::Duration;

use diesel::{
    QueryResult,
    pg::{Pg, data_types::PgInterval},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Int8, Interval, Nullable, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{
        Error,
        audit::{LIVES, SessionsEnded},
        statement::limit,
    },
    Filter,
    filter::Conditions,
    rotate::interval,
};
use crate::model::{audit::Act, ids::SessionId, session::EndReason};

limit! {
    /// How many sessions one statement looks at: so few that it is short, though none is met.
    WINDOW, LIMIT = 1_000
}

/// Which sessions are to be met in a window.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Those that this meets,
    pub filter: &'a Filter,
    /// but for this one,
    pub spared: SessionId,
    /// and for those that were opened after this time.
    pub opened_until: OffsetDateTime,
    /// Where the window before ended.
    pub after: Option<SessionId>,
    /// How long the transaction of a refresh can take.
    pub overlap: Duration,
}

/// What a window was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many sessions were looked at: fewer than [`WINDOW`] in the last window.
    pub examined: usize,
    /// How many of them were met.
    pub met: usize,
    /// The last that was looked at.
    pub last: Option<SessionId>,
}

/// The ids of the window come first, then the sessions by their ids: the planner takes an
/// array of unknown length for a short one, and looks each up, whatever the filter. It
/// locks them in the order of the ids, so that no two sweeps wait for each other.
///
/// What ends sessions meets those too that have just expired: one may be under refresh, and
/// come back to life.
struct Sweep<'a> {
    /// What tells of the ends, where sessions end.
    told: Option<SessionsEnded<'a>>,
    window: Window<'a>,
    conditions: Conditions<'a>,
    after: Uuid,
    overlap: PgInterval,
}

impl QueryId for Sweep<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Sweep<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH examined AS MATERIALIZED (SELECT w.id FROM sessions AS w WHERE w.id < ");
        out.push_bind_param::<SqlUuid, _>(&self.after)?;
        if let Some(user_id) = &self.window.filter.user_id {
            out.push_sql(" AND w.user_id = ");
            out.push_bind_param::<SqlUuid, _>(&user_id.0)?;
        }
        out.push_sql(" ORDER BY w.id DESC ");
        out.push_sql(LIMIT);
        out.push_sql("), ended AS (");
        if self.told.is_some() {
            out.push_sql(
                "UPDATE sessions AS s SET revoked_at = now(), end_reason = 'REVOKED_BY_ADMIN'",
            );
        } else {
            out.push_sql("SELECT ");
            out.push_sql(LIVES);
            out.push_sql(" AS lived FROM sessions AS s");
        }
        out.push_sql(" WHERE s.id = ANY (ARRAY(SELECT id FROM examined)) AND s.id <> ");
        out.push_bind_param::<SqlUuid, _>(&self.window.spared.0)?;
        out.push_sql(" AND s.created_at <= ");
        out.push_bind_param::<Timestamptz, _>(&self.window.opened_until)?;
        self.walk_live(&mut out)?;
        self.conditions.walk_ast(out.reborrow())?;
        if let Some(told) = &self.told {
            out.push_sql(" RETURNING s.user_id, s.id, ");
            out.push_sql(LIVES);
            out.push_sql(" AS lived), told AS (");
            told.walk_ast(out.reborrow())?;
        }
        out.push_sql(
            ") SELECT (SELECT count(*) FROM examined), \
             (SELECT count(*) FILTER (WHERE lived) FROM ended), \
             (SELECT id FROM examined ORDER BY id LIMIT 1)",
        );
        Ok(())
    }
}

impl Sweep<'_> {
    fn walk_live<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(" AND s.revoked_at IS NULL");
        if self.told.is_none() {
            out.push_sql(" AND ");
            out.push_sql(LIVES);
            return Ok(());
        }
        out.push_sql(" AND s.absolute_expires_at > now() AND s.idle_expires_at > now() - ");
        out.push_bind_param::<Interval, _>(&self.overlap)?;
        out.push_sql("::interval");
        Ok(())
    }
}

impl Query for Sweep<'_> {
    type SqlType = (Int8, Int8, Nullable<SqlUuid>);
}

/// Ends the live sessions of a window that are met, and tells of each.
///
/// # Errors
///
/// When the database cannot be asked; then none of them has ended.
pub async fn sweep(
    conn: &mut AsyncPgConnection,
    act: &Act,
    window: &Window<'_>,
) -> Result<Swept, Error> {
    let told = SessionsEnded::new(act, EndReason::RevokedByAdmin);
    run(conn, Some(told), window).await
}

/// Counts the sessions that [`sweep`] would end.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn count_swept(
    conn: &mut AsyncPgConnection,
    window: &Window<'_>,
) -> Result<Swept, Error> {
    run(conn, None, window).await
}

async fn run(
    conn: &mut AsyncPgConnection,
    told: Option<SessionsEnded<'_>>,
    window: &Window<'_>,
) -> Result<Swept, Error> {
    let sweep = Sweep {
        told,
        window: *window,
        conditions: Conditions::of_any_state(window.filter),
        overlap: interval(window.overlap),
        // No session has the last of all ids.
        after: window.after.map_or(Uuid::max(), |id| id.0),
    };
    let (examined, met, last): (i64, i64, Option<Uuid>) = sweep.get_result(conn).await?;
    Ok(Swept {
        examined: usize::try_from(examined).unwrap_or_default(),
        met: usize::try_from(met).unwrap_or_default(),
        last: last.map(SessionId),
    })
}

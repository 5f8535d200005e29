//! Pages of sessions, newest first.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Int8, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{Error, Page, schema::sessions},
    Filter, SeenSession,
    filter::Conditions,
    row::{COLUMNS, SessionRow},
};
use crate::model::ids::SessionId;

/// Has a text of its own for each set of conditions, and is prepared once for each.
struct List<'a> {
    conditions: Conditions<'a>,
    after: Uuid,
    limit: i64,
}

impl QueryId for List<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for List<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(COLUMNS);
        out.push_sql(", now() FROM sessions AS s WHERE s.id < ");
        out.push_bind_param::<SqlUuid, _>(&self.after)?;
        self.conditions.walk_ast(out.reborrow())?;
        out.push_sql(" ORDER BY s.id DESC LIMIT ");
        out.push_bind_param::<Int8, _>(&self.limit)
    }
}

impl Query for List<'_> {
    type SqlType = (sessions::SqlType, Timestamptz);
}

/// One page of sessions, newest first, and the database's time.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    page: Page<SessionId>,
) -> Result<Vec<SeenSession>, Error> {
    let list = List {
        conditions: Conditions::new(filter),
        // No session has the last of all ids.
        after: page.after.map_or(Uuid::max(), |id| id.0),
        limit: page.limit.into(),
    };
    let rows: Vec<(SessionRow, OffsetDateTime)> = list.load(conn).await?;
    rows.into_iter().map(SeenSession::try_from).collect()
}

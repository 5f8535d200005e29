//! Events, found by what they are about.

use diesel::{
    ExpressionMethods, QueryDsl,
    dsl::{IntoBoxed, Select},
    pg::Pg,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use time::Duration;

use super::{
    super::{
        Error, Page,
        schema::audit_events::{self, dsl},
        sessions::Range,
    },
    row::{COLUMNS, Columns, EventRow},
};
use crate::model::{
    audit::{Event, EventId, EventKind},
    ids::{SessionId, UserId},
};

/// Which events; what is left empty does not count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About whom.
    pub user_id: Option<UserId>,
    /// About which session.
    pub session_id: Option<SessionId>,
    /// Done by which operator.
    pub actor_user_id: Option<UserId>,
    /// Of one of these kinds.
    pub kinds: Vec<EventKind>,
    /// Happened in this range.
    pub created: Range,
}

/// The events of a filter, to be bounded, ordered and limited.
type Matching<'a> = IntoBoxed<'a, Select<audit_events::table, Columns>, Pg>;

/// One page of events, newest first.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    page: Page<EventId>,
) -> Result<Vec<Event>, Error> {
    let mut query = matching(filter)
        .order(dsl::id.desc())
        .limit(page.limit.into());
    if let Some(after) = page.after {
        query = query.filter(dsl::id.lt(after.0));
    }
    let rows: Vec<EventRow> = query.load(conn).await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// The events of a filter from one id on and before another, oldest first.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn list_between(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    from: EventId,
    before: EventId,
    limit: u16,
) -> Result<Vec<Event>, Error> {
    let query = matching(filter)
        .filter(dsl::id.ge(from.0))
        .filter(dsl::id.lt(before.0))
        .order(dsl::id.asc())
        .limit(limit.into());
    let rows: Vec<EventRow> = query.load(conn).await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// A range of time is one of ids as well, which an index finds.
fn matching(filter: &Filter) -> Matching<'_> {
    let mut query = dsl::audit_events.select(COLUMNS).into_boxed();
    if let Some(user_id) = filter.user_id {
        query = query.filter(dsl::user_id.eq(user_id.0));
    }
    if let Some(session_id) = filter.session_id {
        query = query.filter(dsl::session_id.eq(session_id.0));
    }
    if let Some(actor_id) = filter.actor_user_id {
        query = query.filter(dsl::actor_id.eq(actor_id.0));
    }
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
    match kinds[..] {
        [] => {}
        [kind] => query = query.filter(dsl::kind.eq(kind)),
        _ => query = query.filter(dsl::kind.eq_any(kinds)),
    }
    if let Some(start) = filter.created.start {
        query = query
            .filter(dsl::created_at.ge(start))
            .filter(dsl::id.ge(EventId::first_of(start).0));
    }
    if let Some(end) = filter.created.end {
        // Ids have whole milliseconds only.
        let after = end.saturating_add(Duration::MILLISECOND);
        query = query
            .filter(dsl::created_at.lt(end))
            .filter(dsl::id.lt(EventId::first_of(after).0));
    }
    query
}

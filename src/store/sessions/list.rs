//! Pages of sessions, newest first.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, PgNetExpressionMethods,
    PgTextExpressionMethods, QueryDsl, dsl::now, sql_types::Timestamptz,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use time::OffsetDateTime;

use super::{
    super::{
        Error, Page,
        schema::sessions::{self, dsl},
    },
    SeenSession,
    row::SessionRow,
};
use crate::model::ids::{SessionId, UserId};

/// Which sessions; what is left empty does not count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Whose.
    pub user_id: Option<UserId>,
    /// Whether those that expired or were ended are listed too.
    pub include_ended: bool,
    /// Exactly this device id.
    pub device_id: Option<String>,
    /// Exactly this client id.
    pub client_id: Option<String>,
    /// Last seen, or opened, at an address in this prefix.
    pub ip_prefix: Option<IpNet>,
    /// A text in the user agent, whatever the case.
    pub user_agent_contains: Option<String>,
    /// Opened in this range.
    pub created: Range,
    /// Last used in this range.
    pub last_seen: Range,
}

/// A span of time that may be open at either end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    /// The earliest time that is in it.
    pub start: Option<OffsetDateTime>,
    /// The first time that is after it.
    pub end: Option<OffsetDateTime>,
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
    let at = now.into_sql::<Timestamptz>();
    let mut query = dsl::sessions
        .select((sessions::all_columns, at))
        .order(dsl::id.desc())
        .limit(page.limit.into())
        .into_boxed();
    if let Some(after) = page.after {
        query = query.filter(dsl::id.lt(after.0));
    }
    if let Some(user_id) = filter.user_id {
        query = query.filter(dsl::user_id.eq(user_id.0));
    }
    if !filter.include_ended {
        query = query
            .filter(dsl::revoked_at.is_null())
            .filter(dsl::idle_expires_at.gt(at))
            .filter(dsl::absolute_expires_at.gt(at));
    }
    if let Some(device_id) = &filter.device_id {
        query = query.filter(dsl::device_id.eq(device_id));
    }
    if let Some(client_id) = &filter.client_id {
        query = query.filter(dsl::client_id.eq(client_id));
    }
    if let Some(prefix) = filter.ip_prefix {
        query = query.filter(
            dsl::ip_address
                .is_contained_by_or_eq(prefix)
                .or(dsl::last_ip_address.is_contained_by_or_eq(prefix)),
        );
    }
    if let Some(text) = &filter.user_agent_contains {
        let pattern = format!("%{}%", escape_like(text));
        query = query.filter(
            dsl::user_agent
                .ilike(pattern.clone())
                .or(dsl::last_user_agent.ilike(pattern)),
        );
    }
    if let Some(start) = filter.created.start {
        query = query.filter(dsl::created_at.ge(start));
    }
    if let Some(end) = filter.created.end {
        query = query.filter(dsl::created_at.lt(end));
    }
    if let Some(start) = filter.last_seen.start {
        query = query.filter(dsl::last_seen_at.ge(start));
    }
    if let Some(end) = filter.last_seen.end {
        query = query.filter(dsl::last_seen_at.lt(end));
    }
    let rows: Vec<(SessionRow, OffsetDateTime)> = query.load(conn).await?;
    rows.into_iter().map(SeenSession::try_from).collect()
}

/// `text` as a LIKE pattern that matches only itself.
pub(in crate::store) fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

//! Pages of users, newest first.

use std::time::Duration;

use diesel::{
    QueryResult,
    pg::{Pg, data_types::PgInterval},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Interval, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    super::{
        Error, Page,
        sessions::{Range, escape_like, interval},
    },
    row::{COLUMNS, UserRow, UserSql},
};
use crate::model::{ids::UserId, user::User};

/// Which users; what is left empty does not count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The beginning of a login, in the form that is matched.
    pub login_prefix: Option<String>,
    /// A text in the display name, whatever the case of A to Z.
    pub display_name_contains: Option<String>,
    /// A role that they have.
    pub role: Option<String>,
    /// Whether they are disabled.
    pub disabled: Option<bool>,
    /// Whether they are locked.
    pub locked: Option<bool>,
    /// For how long at most none of their live sessions was used.
    pub online: Option<Duration>,
    /// When they were created.
    pub created: Range,
}

/// One page of users, newest first.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    page: Page<UserId>,
) -> Result<Vec<User>, Error> {
    let list = List {
        filter,
        login_range: filter.login_prefix.as_deref().map(login_range),
        pattern: filter.display_name_contains.as_deref().map(pattern),
        online: filter.online.map(interval),
        after: page.after.map(|id| id.0),
        limit: page.limit.into(),
    };
    let rows: Vec<UserRow> = list.get_results(conn).await?;
    rows.into_iter().map(User::try_from).collect()
}

/// From the first text that begins like `prefix` to what comes after the last: two bounds,
/// which find the index whatever the plan knows of the prefix.
fn login_range(prefix: &str) -> (String, String) {
    (prefix.to_owned(), format!("{prefix}{}", char::MAX))
}

fn pattern(text: &str) -> String {
    format!("%{}%", escape_like(text))
}

/// A statement whose text depends on which conditions are given.
struct List<'a> {
    filter: &'a Filter,
    login_range: Option<(String, String)>,
    pattern: Option<String>,
    online: Option<PgInterval>,
    after: Option<Uuid>,
    limit: i64,
}

/// Prepared once per connection and text.
impl QueryId for List<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for List<'_> {
    type SqlType = UserSql;
}

impl QueryFragment<Pg> for List<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(COLUMNS);
        out.push_sql(" FROM users WHERE true");
        if let Some(after) = &self.after {
            out.push_sql(" AND users.id < ");
            out.push_bind_param::<SqlUuid, _>(after)?;
        }
        self.names(out.reborrow())?;
        self.states(out.reborrow())?;
        out.push_sql(" ORDER BY users.id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl List<'_> {
    fn names<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if let Some((from, to)) = &self.login_range {
            out.push_sql(
                " AND users.id IN (SELECT n.user_id FROM user_logins AS n WHERE n.login ~>=~ ",
            );
            out.push_bind_param::<Text, _>(from)?;
            out.push_sql(" AND n.login ~<~ ");
            out.push_bind_param::<Text, _>(to)?;
            out.push_sql(")");
        }
        if let Some(pattern) = &self.pattern {
            out.push_sql(" AND users.display_name COLLATE \"C\" ILIKE ");
            out.push_bind_param::<Text, _>(pattern)?;
        }
        if let Some(role) = &self.filter.role {
            out.push_sql(" AND users.roles @> ARRAY[");
            out.push_bind_param::<Text, _>(role)?;
            out.push_sql("]");
        }
        Ok(())
    }

    fn states<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self.filter.disabled {
            Some(true) => out.push_sql(" AND users.disabled_at IS NOT NULL"),
            Some(false) => out.push_sql(" AND users.disabled_at IS NULL"),
            None => {}
        }
        if let Some(locked) = self.filter.locked {
            out.push_sql(if locked { " AND " } else { " AND NOT " });
            out.push_sql(
                "EXISTS (SELECT FROM user_sign_ins AS k WHERE k.user_id = users.id \
                 AND k.attempts >= 100)",
            );
        }
        if let Some(online) = &self.online {
            out.push_sql(
                " AND EXISTS (SELECT FROM sessions AS s WHERE s.user_id = users.id \
                 AND s.revoked_at IS NULL AND now() < s.idle_expires_at \
                 AND now() < s.absolute_expires_at AND s.last_seen_at >= now() - ",
            );
            out.push_bind_param::<Interval, _>(online)?;
            out.push_sql("::interval)");
        }
        if let Some(start) = &self.filter.created.start {
            out.push_sql(" AND users.created_at >= ");
            out.push_bind_param::<Timestamptz, _>(start)?;
        }
        if let Some(end) = &self.filter.created.end {
            out.push_sql(" AND users.created_at < ");
            out.push_bind_param::<Timestamptz, _>(end)?;
        }
        Ok(())
    }
}

//! Which sessions: the one place that makes conditions of a filter.

use std::time::Duration;

use diesel::{
    QueryResult,
    pg::{Pg, data_types::PgInterval},
    query_builder::{AstPass, QueryFragment},
    serialize::ToSql,
    sql_types::{HasSqlType, Inet, Int8, Interval, Text, Timestamptz, Uuid as SqlUuid},
};
use ipnet::IpNet;
use time::OffsetDateTime;

use super::rotate::interval;
use crate::model::ids::UserId;

/// Which sessions; what is left empty does not count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Whose.
    pub user_id: Option<UserId>,
    /// Whether those that expired or were ended are meant too.
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
    /// Refreshed so often.
    pub generation: GenerationRange,
    /// The user has this role.
    pub role: Option<String>,
    /// Live, and last used no longer ago than this.
    pub online: Option<Duration>,
}

/// A span of time that may be open at either end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    /// The earliest time that is in it.
    pub start: Option<OffsetDateTime>,
    /// The first time that is after it.
    pub end: Option<OffsetDateTime>,
}

/// A range of generations that may be open at either end.
#[derive(Clone, Copy, Debug, Default)]
pub struct GenerationRange {
    /// The first that is in it.
    pub first: Option<u32>,
    /// The last that is in it.
    pub last: Option<u32>,
}

/// The conditions of a [`Filter`] on the table called `s`, each after an ` AND `.
pub(super) struct Conditions<'a> {
    filter: &'a Filter,
    live_only: bool,
    pattern: Option<String>,
    first: Option<i64>,
    last: Option<i64>,
    online: Option<PgInterval>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(filter: &'a Filter) -> Self {
        let pattern = filter.user_agent_contains.as_ref();
        Self {
            filter,
            live_only: !filter.include_ended || filter.online.is_some(),
            pattern: pattern.map(|text| format!("%{}%", escape_like(text))),
            first: filter.generation.first.map(i64::from),
            last: filter.generation.last.map(i64::from),
            online: filter.online.map(interval),
        }
    }

    /// The conditions but for whether a session lives.
    pub(super) fn of_any_state(filter: &'a Filter) -> Self {
        Self {
            live_only: false,
            ..Self::new(filter)
        }
    }
}

impl QueryFragment<Pg> for Conditions<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let it = self.filter;
        let out = &mut out;
        if self.live_only {
            out.push_sql(" AND s.revoked_at IS NULL AND s.idle_expires_at > now()");
            out.push_sql(" AND s.absolute_expires_at > now()");
        }
        let user_id = it.user_id.as_ref().map(|id| &id.0);
        and::<SqlUuid, _>(out, [" AND s.user_id = ", ""], user_id)?;
        and::<Text, _>(out, [" AND s.device_id = ", ""], it.device_id.as_ref())?;
        and::<Text, _>(out, [" AND s.client_id = ", ""], it.client_id.as_ref())?;
        let within = [" AND (s.ip_address <<= ", " OR s.last_ip_address <<= ", ")"];
        and_either::<Inet, _>(out, within, it.ip_prefix.as_ref())?;
        let like = [
            " AND (s.user_agent ILIKE ",
            " OR s.last_user_agent ILIKE ",
            ")",
        ];
        and_either::<Text, _>(out, like, self.pattern.as_ref())?;
        for (from, until, range) in [
            (" AND s.created_at >= ", " AND s.created_at < ", &it.created),
            (
                " AND s.last_seen_at >= ",
                " AND s.last_seen_at < ",
                &it.last_seen,
            ),
        ] {
            and::<Timestamptz, _>(out, [from, ""], range.start.as_ref())?;
            and::<Timestamptz, _>(out, [until, ""], range.end.as_ref())?;
        }
        and::<Int8, _>(out, [" AND s.generation >= ", ""], self.first.as_ref())?;
        and::<Int8, _>(out, [" AND s.generation <= ", ""], self.last.as_ref())?;
        let has_role = [
            " AND EXISTS (SELECT FROM users AS u WHERE u.id = s.user_id AND ",
            " = ANY (u.roles))",
        ];
        and::<Text, _>(out, has_role, it.role.as_ref())?;
        let seen = [" AND s.last_seen_at >= now() - ", "::interval"];
        and::<Interval, _>(out, seen, self.online.as_ref())
    }
}

/// A condition on a value, where there is one.
fn and<'b, T, U>(
    out: &mut AstPass<'_, 'b, Pg>,
    [before, after]: [&str; 2],
    value: Option<&'b U>,
) -> QueryResult<()>
where
    Pg: HasSqlType<T>,
    U: ToSql<T, Pg>,
{
    if let Some(value) = value {
        out.push_sql(before);
        out.push_bind_param::<T, _>(value)?;
        out.push_sql(after);
    }
    Ok(())
}

/// The same with the value in two places.
fn and_either<'b, T, U>(
    out: &mut AstPass<'_, 'b, Pg>,
    [before, between, after]: [&str; 3],
    value: Option<&'b U>,
) -> QueryResult<()>
where
    Pg: HasSqlType<T>,
    U: ToSql<T, Pg>,
{
    and(out, [before, between], value)?;
    if let Some(value) = value {
        out.push_bind_param::<T, _>(value)?;
        out.push_sql(after);
    }
    Ok(())
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

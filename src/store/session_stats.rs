//! How many sessions live and who is online: one row, counted by one replica at a time.

use std::time::Duration;

use diesel::{
    OptionalExtension,
    pg::data_types::PgInterval,
    sql_types::{Interval, Jsonb, Nullable, Timestamptz, Untyped},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Error, sessions::interval, statement::statement};

/// How many times longer than a count took to wait at least before the next.
const REST: i32 = 20;

/// The numbers.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionStats {
    /// How many sessions can be refreshed.
    pub live_sessions: u64,
    /// How many users have one.
    pub live_users: u64,
    /// How many users are online.
    pub online_users: u64,
    /// By application, most live sessions first: 100 at most.
    pub clients: Vec<ClientStats>,
    /// By day in UTC, the present one first: 31.
    pub days: Vec<DailyStats>,
}

/// The numbers of an application.
#[derive(Clone, Debug, Deserialize)]
pub struct ClientStats {
    /// Which.
    pub client_id: String,
    /// How many of its sessions can be refreshed.
    pub live_sessions: u64,
    /// How many users are online with it.
    pub online_users: u64,
}

/// The numbers of a day.
#[derive(Clone, Debug, Deserialize)]
pub struct DailyStats {
    /// Which: `2026-11-25`.
    pub date: String,
    /// How many sessions were opened.
    pub opened_sessions: u64,
    /// How many were ended before they expired.
    pub ended_sessions: u64,
}

/// What a count saw, and when.
#[derive(Debug)]
pub struct Counted {
    at: OffsetDateTime,
    stats: serde_json::Value,
}

struct ClaimBinds {
    pause: PgInterval,
    rest: i32,
}

statement! {
    /// Makes the row where it is missing, as after a restore without it.
    Claim(&ClaimBinds) -> Untyped = |it|
        "INSERT INTO session_stats AS kept (id, begun_at) VALUES (1, now()) \
         ON CONFLICT (id) DO UPDATE SET begun_at = now() \
         WHERE kept.begun_at < now() - greatest(", [Interval: it.pause], "::interval, kept.took * ",
        [diesel::sql_types::Int4: it.rest], ")"
}

/// Claims the next count, when the one before began longer ago than `pause`; `false` when
/// it is not due. Of several replicas that ask at once, one is told `true`.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn claim(conn: &mut AsyncPgConnection, pause: Duration) -> Result<bool, Error> {
    let binds = ClaimBinds {
        pause: interval(pause),
        rest: REST,
    };
    Ok(Claim(&binds).execute(conn).await? == 1)
}

struct CountBinds {
    online: PgInterval,
}

statement! {
    /// One pass over the sessions, which is grouped in three ways at once.
    Count(&CountBinds) -> (Timestamptz, Jsonb) = |it|
        "WITH seen AS (\
           SELECT user_id, client_id, live, live AND last_seen_at >= now() - ",
        [Interval: it.online], "::interval AS online, \
             (created_at AT TIME ZONE 'UTC')::date AS opened_on, \
             CASE WHEN revoked_at < least(idle_expires_at, absolute_expires_at) \
               THEN (revoked_at AT TIME ZONE 'UTC')::date END AS ended_on \
           FROM (SELECT *, revoked_at IS NULL AND idle_expires_at > now() \
                   AND absolute_expires_at > now() AS live FROM sessions) AS s\
         ), grouped AS MATERIALIZED (\
           SELECT grouping(user_id) = 0 AS of_user, user_id, client_id, opened_on, ended_on, \
             count(*) AS total, count(*) FILTER (WHERE live) AS live, bool_or(online) AS online \
           FROM seen GROUP BY GROUPING SETS ((user_id, client_id), (opened_on), (ended_on))\
         ), by_user AS MATERIALIZED (\
           SELECT sum(live) AS live, bool_or(online) AS online FROM grouped WHERE of_user \
           GROUP BY user_id\
         ), by_client AS (\
           SELECT client_id, sum(live)::bigint AS live_sessions, \
             count(*) FILTER (WHERE online) AS online_users FROM grouped WHERE of_user \
           GROUP BY client_id HAVING sum(live) > 0 ORDER BY 2 DESC, 1 LIMIT 100\
         ), by_day AS (\
           SELECT to_char(day, 'YYYY-MM-DD') AS date, coalesce(opened.total, 0) AS opened_sessions, \
             coalesce(ended.total, 0) AS ended_sessions \
           FROM generate_series(0, 30) AS ago \
             CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE 'UTC')::date - ago AS day) AS that \
             LEFT JOIN grouped AS opened ON opened.opened_on = day \
             LEFT JOIN grouped AS ended ON ended.ended_on = day\
         ) SELECT now(), jsonb_build_object(\
           'live_sessions', (SELECT coalesce(sum(live), 0) FROM by_user), \
           'live_users', (SELECT count(*) FROM by_user WHERE live > 0), \
           'online_users', (SELECT count(*) FROM by_user WHERE online), \
           'clients', (SELECT coalesce(jsonb_agg(c ORDER BY live_sessions DESC, client_id), '[]') \
             FROM by_client AS c), \
           'days', (SELECT jsonb_agg(d ORDER BY date DESC) FROM by_day AS d))"
}

/// Counts; a user is online who has used a live session for no longer ago than `online`.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn count(conn: &mut AsyncPgConnection, online: Duration) -> Result<Counted, Error> {
    let binds = CountBinds {
        online: interval(online),
    };
    let (at, stats) = Count(&binds).get_result(conn).await?;
    Ok(Counted { at, stats })
}

struct KeepBinds<'a> {
    took: PgInterval,
    counted: &'a Counted,
}

statement! {
    Keep(&KeepBinds<'a>) -> Untyped = |it|
        "UPDATE session_stats AS kept SET took = ", [Interval: it.took], ", computed_at = ",
        [Timestamptz: it.counted.at], ", stats = ", [Jsonb: it.counted.stats],
        " WHERE id = 1 AND (computed_at IS NULL OR computed_at < ", [Timestamptz: it.counted.at], ")"
}

/// Keeps what was counted, unless a later count was kept; `false` then.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn keep(
    conn: &mut AsyncPgConnection,
    counted: &Counted,
    took: Duration,
) -> Result<bool, Error> {
    let binds = KeepBinds {
        took: interval(took),
        counted,
    };
    Ok(Keep(&binds).execute(conn).await? == 1)
}

struct GiveUpBinds {
    took: PgInterval,
}

statement! {
    GiveUp(&GiveUpBinds) -> Untyped = |it|
        "UPDATE session_stats AS kept SET took = ", [Interval: it.took], " WHERE id = 1"
}

/// Keeps how long a count took that did not come to its end, so that the next waits too.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn give_up(conn: &mut AsyncPgConnection, took: Duration) -> Result<(), Error> {
    let binds = GiveUpBinds {
        took: interval(took),
    };
    GiveUp(&binds).execute(conn).await?;
    Ok(())
}

statement! {
    Get(&()) -> (Nullable<Timestamptz>, Nullable<Jsonb>) = |_it|
        "SELECT computed_at, stats FROM session_stats WHERE id = 1"
}

/// The last count, and when it was; `None` when there was none.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn get(
    conn: &mut AsyncPgConnection,
) -> Result<Option<(OffsetDateTime, SessionStats)>, Error> {
    type Row = (Option<OffsetDateTime>, Option<serde_json::Value>);
    let row: Option<Row> = Get(&()).get_result(conn).await.optional()?;
    let Some((Some(at), Some(stats))) = row else {
        return Ok(None);
    };
    let stats = serde_json::from_value(stats).map_err(|_| Error::Corrupt {
        what: "the numbers of sessions".to_owned(),
    })?;
    Ok(Some((at, stats)))
}

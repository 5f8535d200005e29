//! What the statements that tell of something are made of.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{Inet, Nullable, Text, Uuid as SqlUuid},
};
use ipnet::IpNet;
use uuid::Uuid;

use crate::model::{
    audit::{Act, Actor},
    session::EndReason,
};

/// How an event is inserted: after it come SELECT, the id of the user or [`NOBODY`], the
/// id of the session or NULL, the kind, the detail, and then a [`By`].
pub(in crate::store) const INSERT: &str = "INSERT INTO audit_events (user_id, session_id, kind, \
     detail, id, created_at, actor_id, actor_session_id, request_id, ip_address) ";

/// The `user_id` of an event that is about no user.
pub(in crate::store) const NOBODY: &str = "'00000000-0000-0000-0000-000000000000'::uuid";

/// Milliseconds of a time, as ids have them: it comes between the two.
macro_rules! millis {
    (before) => {
        "(lpad(to_hex((extract(epoch FROM date_trunc('milliseconds', "
    };
    (after) => {
        ")) * 1000)::bigint), 12, '0')"
    };
}

/// The least id of an event of a time, which comes between this and [`END_OF_FIRST_ID`].
pub(in crate::store) const FIRST_ID_OF: &str = millis!(before);
/// The end of the least id of a time.
pub(in crate::store) const END_OF_FIRST_ID: &str =
    concat!(millis!(after), " || '00000000000000000000')::uuid");

/// An id of this moment, a UUID version 7 (RFC 9562) by the database's clock: 48 bits of
/// milliseconds, and of a random UUID what comes after its version. Milliseconds are cut off
/// and not rounded, so that ids and times find the same events.
const NEW_ID: &str = concat!(
    millis!(before),
    "now()",
    millis!(after),
    " || '7' || right(replace(gen_random_uuid()::text, '-', ''), 19))::uuid"
);

/// Whether a session that has not been ended lives, of the columns of its row.
pub(in crate::store) const LIVES: &str =
    "(now() < s.idle_expires_at AND now() < s.absolute_expires_at)";

/// Whether the event `earlier` is of the last minute. Its id bounds the search, by two minutes:
/// replicas of the release before make ids by their own clocks.
pub(in crate::store) const IN_THE_LAST_MINUTE: &str = concat!(
    "earlier.id > ",
    millis!(before),
    "now() - '2 minutes'::interval",
    millis!(after),
    " || '00000000000000000000')::uuid AND earlier.created_at > now() - '1 minute'::interval"
);

/// [`crate::model::audit::UserSnapshot`] of the columns of a user.
pub(in crate::store) const USER_SNAPSHOT: &str = "jsonb_build_object('login', login, \
     'display_name', display_name, 'roles', to_jsonb(roles), 'disabled', disabled_at IS NOT NULL, \
     'created_at', (extract(epoch FROM created_at) * 1000000)::bigint, \
     'updated_at', (extract(epoch FROM updated_at) * 1000000)::bigint)";

/// The last columns of an event: its id, its time, and by whom and by which call.
pub(in crate::store) struct By<'a> {
    actor_id: Option<Uuid>,
    actor_session_id: Option<Uuid>,
    request_id: &'a str,
    ip_address: Option<IpNet>,
}

impl<'a> From<&'a Act> for By<'a> {
    fn from(act: &'a Act) -> Self {
        let (actor_id, actor_session_id) = match act.actor {
            None => (None, None),
            Some(Actor::CommandLine) => (Some(Uuid::nil()), None),
            Some(Actor::Operator {
                user_id,
                session_id,
            }) => (Some(user_id.0), Some(session_id.0)),
        };
        Self {
            actor_id,
            actor_session_id,
            request_id: &act.request_id,
            ip_address: act.ip_address.map(IpNet::from),
        }
    }
}

impl QueryFragment<Pg> for By<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(NEW_ID);
        out.push_sql(", now(), ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&self.actor_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&self.actor_session_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(self.request_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Inet>, _>(&self.ip_address)
    }
}

/// Tells of the ends of sessions: the whole of a CTE `told`, which reads one of the name
/// `ended` with the columns `user_id`, `id` and `lived`. A session that had expired before it
/// was ended is not told of.
///
/// ```ignore
/// "WITH ended AS (UPDATE sessions AS s SET revoked_at = now(), end_reason = …
///    WHERE … AND s.revoked_at IS NULL RETURNING s.user_id, s.id, ", {audit::LIVES},
/// " AS lived), told AS (", (it.told), ") SELECT count(*) FILTER (WHERE lived) FROM ended"
/// ```
pub(in crate::store) struct SessionsEnded<'a> {
    reason: &'static str,
    by: By<'a>,
}

impl<'a> SessionsEnded<'a> {
    pub(in crate::store) fn new(act: &'a Act, reason: EndReason) -> Self {
        Self {
            reason: reason.as_str(),
            by: By::from(act),
        }
    }
}

impl QueryFragment<Pg> for SessionsEnded<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(INSERT);
        out.push_sql(
            "SELECT ended.user_id, ended.id, 'SESSION_ENDED', jsonb_build_object('reason', ",
        );
        out.push_bind_param::<Text, _>(&self.reason)?;
        out.push_sql("::text), ");
        self.by.walk_ast(out.reborrow())?;
        out.push_sql(" FROM ended WHERE ended.lived");
        Ok(())
    }
}

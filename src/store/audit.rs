//! The audit trail: events are written by the statement that does what they tell of.
//!
//! A statement that changes something has one more CTE, named `told`, and takes an [`Act`]
//! for it. `INSERT` and `By` are the two ends of it, and what stands between them is what
//! differs: about whom, about which session, what happened, and what belongs to it.
//!
//! ```ignore
//! struct Binds<'a> { id: Uuid, by: By<'a> }
//!
//! statement! {
//!     Lock(&Binds<'a>) -> Int8 = |it|
//!         "WITH locked AS (UPDATE users SET … WHERE id = ", [SqlUuid: it.id],
//!         " AND … RETURNING id), told AS (", {audit::INSERT},
//!         "SELECT id, NULL::uuid, 'USER_LOCKED', '{}'::jsonb, ", (it.by),
//!         " FROM locked) SELECT count(*) FROM locked"
//! }
//!
//! Lock(&Binds { id, by: By::from(act) }).get_result(conn).await?
//! ```
//!
//! So what changes nothing tells nothing, and no event costs a round trip. For the most usual
//! event there is all of the CTE in `SessionsEnded`. An event that stands alone, or comes
//! with a transaction of several statements, is written by [`record`].

mod list;
mod piece;
mod purge;
mod row;

use diesel::sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

pub use list::{Filter, list, list_between};
pub use purge::{PURGE_BATCH, purge};

pub(super) use piece::{
    By, IN_THE_LAST_MINUTE, INSERT, LIVES, NOBODY, SessionsEnded, USER_SNAPSHOT,
};

use super::{Error, statement::statement};
use crate::model::audit::{Act, Detail, NewEvent};

struct Binds<'a> {
    user_id: Uuid,
    session_id: Option<Uuid>,
    kind: &'static str,
    detail: serde_json::Value,
    by: By<'a>,
}

statement! {
    Record(&Binds<'a>) -> () = |it|
        {INSERT}, "SELECT ", [SqlUuid: it.user_id], ", ", [Nullable<SqlUuid>: it.session_id], ", ",
        [Text: it.kind], ", ", [Jsonb: it.detail], ", ", (it.by)
}

/// Writes an event that is told by no statement of its own, which is to be of the same
/// transaction.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn record(
    conn: &mut AsyncPgConnection,
    act: &Act,
    event: &NewEvent,
) -> Result<(), Error> {
    let detail = event.detail.as_ref().map(Detail::to_json);
    let binds = Binds {
        user_id: event.user_id.map_or(Uuid::nil(), |id| id.0),
        session_id: event.session_id.map(|id| id.0),
        kind: event.kind.as_str(),
        detail: detail.unwrap_or_else(|| serde_json::json!({})),
        by: By::from(act),
    };
    Record(&binds).execute(conn).await?;
    Ok(())
}

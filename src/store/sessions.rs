//! Sessions.

mod filter;
mod incident;
mod list;
mod open;
mod revoke;
mod rotate;
mod row;
mod superseded;
mod sweep;

pub(super) use filter::escape_like;
pub use filter::{Filter, GenerationRange, Range};
pub use incident::{Incident, Judged, record, revoke_judged};
pub use list::list;
pub use open::{NewSession, Opening, open, open_in_turn};
pub use revoke::{revoke, revoke_of_user, revoke_user_sessions, revoke_user_sessions_except};
pub(super) use rotate::interval;
pub use rotate::{Rotation, rotate};
pub use superseded::{PURGE_BATCH, purge_superseded};
pub use sweep::{Swept, WINDOW, Window, count_swept, sweep};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, dsl::now, sql_types::Timestamptz,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use row::SessionRow;
use time::OffsetDateTime;

use super::{
    Error,
    schema::{sessions, users},
};
use crate::model::{
    ids::{SessionId, UserId},
    refresh_token::Commitment,
    role::Roles,
    session::Session,
    verdict::Lineage,
};

/// A session as it was seen at one moment, which decides its state.
#[derive(Debug)]
pub struct SeenSession {
    /// The session.
    pub session: Session,
    /// The moment, by the database's clock.
    pub now: OffsetDateTime,
}

impl TryFrom<(SessionRow, OffsetDateTime)> for SeenSession {
    type Error = Error;

    fn try_from((row, at): (SessionRow, OffsetDateTime)) -> Result<Self, Error> {
        Ok(Self {
            session: row.try_into()?,
            now: at,
        })
    }
}

/// A session and what its user may do, as a change of it found them.
#[derive(Debug)]
pub struct Entitled {
    /// The session after the change.
    pub session: Session,
    /// The user's roles at that moment.
    pub roles: Roles,
}

impl TryFrom<(SessionRow, Vec<String>)> for Entitled {
    type Error = Error;

    fn try_from((row, roles): (SessionRow, Vec<String>)) -> Result<Self, Error> {
        Ok(Self {
            session: row.try_into()?,
            roles: Roles::from_stored(roles),
        })
    }
}

/// A session, its generations and its user, at one moment.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The session.
    pub session: Session,
    /// What its row says of its generations.
    pub lineage: Lineage,
    /// Its user; `None` when deleted.
    pub user: Option<Standard>,
    /// The moment, by the database's clock.
    pub now: OffsetDateTime,
}

impl Standing {
    /// The session and the moment alone.
    #[must_use]
    pub fn seen(self) -> SeenSession {
        SeenSession {
            session: self.session,
            now: self.now,
        }
    }
}

/// What a user's row demands of a session.
#[derive(Clone, Debug)]
pub struct Standard {
    /// The login, as it was typed.
    pub login: String,
    /// What the user may do.
    pub roles: Roles,
    /// Whether the user is kept from signing in.
    pub disabled: bool,
    /// Sessions created before are ended.
    pub sessions_valid_after: OffsetDateTime,
}

/// What [`Standing`] is read from.
type StandingRow = (
    SessionRow,
    Option<(String, Vec<String>, Option<OffsetDateTime>, OffsetDateTime)>,
    OffsetDateTime,
);

impl TryFrom<StandingRow> for Standing {
    type Error = Error;

    fn try_from((row, user, at): StandingRow) -> Result<Self, Error> {
        let lineage = row.lineage()?;
        let user = user.map(
            |(login, roles, disabled_at, sessions_valid_after)| Standard {
                login,
                roles: Roles::from_stored(roles),
                disabled: disabled_at.is_some(),
                sessions_valid_after,
            },
        );
        Ok(Self {
            session: row.try_into()?,
            lineage,
            user,
            now: at,
        })
    }
}

/// `SELECT` of [`StandingRow`] where `$filter`.
macro_rules! standings {
    ($filter:expr) => {
        sessions::table
            .left_join(users::table.on(users::id.eq(sessions::user_id)))
            .filter($filter)
            .select((
                sessions::all_columns,
                (
                    users::login,
                    users::roles,
                    users::disabled_at,
                    users::sessions_valid_after,
                )
                    .nullable(),
                now.into_sql::<Timestamptz>(),
            ))
    };
}

/// Names a session by both parts of its key.
macro_rules! is_session {
    ($user_id:expr, $id:expr) => {
        sessions::user_id.eq($user_id.0).and(sessions::id.eq($id.0))
    };
}

/// The session of a user, whatever its state.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn find_standing(
    conn: &mut AsyncPgConnection,
    user_id: UserId,
    id: SessionId,
) -> Result<Option<Standing>, Error> {
    let row: Option<StandingRow> = standings!(is_session!(user_id, id))
        .first(conn)
        .await
        .optional()?;
    row.map(Standing::try_from).transpose()
}

/// Two sessions of two users, whatever their state, at one moment. Where both are the
/// same, it is answered twice.
///
/// # Errors
///
/// When the database cannot be asked or a row cannot be.
pub async fn find_two_standings(
    conn: &mut AsyncPgConnection,
    one: (UserId, SessionId),
    other: (UserId, SessionId),
) -> Result<(Option<Standing>, Option<Standing>), Error> {
    let either = is_session!(one.0, one.1).or(is_session!(other.0, other.1));
    let rows: Vec<StandingRow> = standings!(either).load(conn).await?;
    let (mut first, mut second) = (None, None);
    for row in rows {
        let standing = Standing::try_from(row)?;
        let key = (standing.session.user_id, standing.session.id);
        if key == one {
            first = Some(standing.clone());
        }
        if key == other {
            second = Some(standing);
        }
    }
    Ok((first, second))
}

/// A session of any user, whatever its state.
///
/// # Errors
///
/// When the database cannot be asked or the row cannot be.
pub async fn get(
    conn: &mut AsyncPgConnection,
    id: SessionId,
) -> Result<Option<SeenSession>, Error> {
    let row: Option<(SessionRow, OffsetDateTime)> = sessions::table
        .filter(sessions::id.eq(id.0))
        .select((sessions::all_columns, now.into_sql::<Timestamptz>()))
        .first(conn)
        .await
        .optional()?;
    row.map(SeenSession::try_from).transpose()
}

fn bytes(commitment: Commitment) -> Vec<u8> {
    commitment.0.to_vec()
}

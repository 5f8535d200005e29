//! The row of a user, without the password.

use diesel::{
    prelude::Queryable,
    sql_types::{Array, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::Error;
use crate::model::{
    audit,
    ids::UserId,
    login::{LoginKind, UserLogin},
    role::Roles,
    user::User,
};

/// The columns of [`UserRow`] but the last two.
macro_rules! own_columns {
    () => {
        "users.id, users.login, users.display_name, users.roles, users.disabled_at, \
         users.created_at, users.updated_at, "
    };
}

/// The columns of [`UserRow`] of a user who is there.
pub(in crate::store) const COLUMNS: &str = concat!(
    own_columns!(),
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('login', coalesce(l.typed, users.login), \
         'kind', l.kind, 'created_at', (extract(epoch FROM CASE WHEN l.typed IS NULL \
         THEN users.created_at ELSE l.created_at END) * 1000000)::bigint) \
       ORDER BY l.typed IS NOT NULL, l.created_at, l.login), '[]'::jsonb) \
     FROM user_logins AS l WHERE l.user_id = users.id), \
     coalesce((SELECT i.attempts >= 100 FROM user_sign_ins AS i WHERE i.user_id = users.id), false)"
);

/// The columns of [`UserRow`] of a user whom the same statement inserts: it does not see the
/// login that it inserts.
pub(super) const NEW_COLUMNS: &str = concat!(
    own_columns!(),
    "jsonb_build_array(jsonb_build_object('login', users.login, 'kind', 'USERNAME', \
     'created_at', (extract(epoch FROM users.created_at) * 1000000)::bigint)), false"
);

/// The SQL types of [`UserRow`].
pub(in crate::store) type UserSql = (
    SqlUuid,
    Text,
    Text,
    Array<Text>,
    Nullable<Timestamptz>,
    Timestamptz,
    Timestamptz,
    Jsonb,
    Bool,
);

#[derive(Queryable)]
pub(in crate::store) struct UserRow {
    id: Uuid,
    login: String,
    display_name: String,
    roles: Vec<String>,
    disabled_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    logins: serde_json::Value,
    locked: bool,
}

impl TryFrom<UserRow> for User {
    type Error = Error;

    fn try_from(row: UserRow) -> Result<Self, Error> {
        let logins = logins(row.logins).ok_or_else(|| Error::Corrupt {
            what: format!("the logins of user {}", row.id),
        })?;
        Ok(Self {
            id: UserId(row.id),
            login: row.login,
            display_name: row.display_name,
            roles: Roles::from_stored(row.roles),
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            logins,
            locked: row.locked,
        })
    }
}

/// An event has a login in the same form.
fn logins(json: serde_json::Value) -> Option<Vec<UserLogin>> {
    let logins: Vec<audit::UserLogin> = serde_json::from_value(json).ok()?;
    let login = |it: audit::UserLogin| {
        Some(UserLogin {
            kind: LoginKind::from_stored(&it.kind)?,
            login: it.login,
            created_at: it.created_at,
        })
    };
    logins.into_iter().map(login).collect()
}

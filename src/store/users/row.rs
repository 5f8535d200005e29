//! The row of a user, without the password.

use diesel::prelude::Queryable;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::schema::users;
use crate::model::{ids::UserId, role::Roles, user::User};

/// The columns in the order of [`UserRow`].
pub(super) const COLUMNS: (
    users::id,
    users::login,
    users::display_name,
    users::roles,
    users::disabled_at,
    users::created_at,
    users::updated_at,
) = (
    users::id,
    users::login,
    users::display_name,
    users::roles,
    users::disabled_at,
    users::created_at,
    users::updated_at,
);

#[derive(Queryable)]
pub(super) struct UserRow {
    id: Uuid,
    login: String,
    display_name: String,
    roles: Vec<String>,
    disabled_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            login: row.login,
            display_name: row.display_name,
            roles: Roles::from_stored(row.roles),
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

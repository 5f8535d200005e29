//! Users.

use time::OffsetDateTime;

use super::{ids::UserId, login::UserLogin, role::Roles};

/// Somebody who can sign in.
#[derive(Clone, Debug)]
pub struct User {
    /// The `sub` claim of the user's access tokens.
    pub id: UserId,
    /// The login as it was typed.
    pub login: String,
    /// What people call the user.
    pub display_name: String,
    /// What the user may do.
    pub roles: Roles,
    /// Since when the user is kept from signing in.
    pub disabled_at: Option<OffsetDateTime>,
    /// When the user was created.
    pub created_at: OffsetDateTime,
    /// When the user was last changed.
    pub updated_at: OffsetDateTime,
    /// All logins of the user, `login` first, then by time.
    pub logins: Vec<UserLogin>,
    /// Whether passwords are not checked: too many in a row were wrong.
    pub locked: bool,
}

//! Email addresses and telephone numbers as further logins of a user.

use super::{Error, Identity};
use crate::{
    model::{
        audit::Act,
        ids::UserId,
        login::{Login, LoginKind},
        user::User,
    },
    store::users::{self, Added, Removed},
};

impl Identity {
    /// Adds a login to a user, and answers the user. One that the user has is fine.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], [`Error::LoginTaken`], [`Error::TooManyLogins`], or when the
    /// database cannot be asked.
    pub async fn add_login(
        &self,
        act: &Act,
        id: UserId,
        login: &Login,
        kind: LoginKind,
    ) -> Result<User, Error> {
        let add = async |conn: &mut _| users::add_login(conn, act, id, login, kind).await;
        match self.0.pool.run(add).await? {
            Some(Added::Here(user)) => {
                tracing::info!(user_id = %id, kind = kind.as_str(), "login added");
                Ok(user)
            }
            Some(Added::Taken) => Err(Error::LoginTaken),
            Some(Added::Full) => Err(Error::TooManyLogins),
            None => Err(Error::UserNotFound),
        }
    }

    /// Removes a login, as it was typed, from a user, and answers the user.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], [`Error::LoginNotFound`], [`Error::LoginFixed`], or when the
    /// database cannot be asked.
    pub async fn remove_login(&self, act: &Act, id: UserId, login: &str) -> Result<User, Error> {
        // A name that cannot be a login is nobody's; whether there is the user is told all
        // the same.
        let key = Login::key_for_lookup(login).unwrap_or_default();
        let remove = async |conn: &mut _| users::remove_login(conn, act, id, &key).await;
        match self.0.pool.run(remove).await? {
            Some(Removed::Gone(user)) => {
                tracing::info!(user_id = %id, "login removed");
                Ok(user)
            }
            Some(Removed::Fixed) => Err(Error::LoginFixed),
            Some(Removed::NotThere) => Err(Error::LoginNotFound),
            None => Err(Error::UserNotFound),
        }
    }
}

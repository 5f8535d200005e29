//! Callers of `Auth` where it takes calls from known services only.

use super::{Error, Identity};
use crate::{
    model::{refresh_token::RefreshToken, role::Roles},
    store::users,
};

/// Whether whoever calls `Auth` may act for any user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthCaller {
    /// It may.
    Known,
    /// It has shown nothing yet, and may act for a service only: for itself.
    Unknown,
}

impl AuthCaller {
    /// Whether it may act for a user with these roles.
    pub(super) fn may_act_for(self, roles: &Roles) -> bool {
        self == Self::Known || roles.include_service()
    }

    /// The error that this caller is told: one who is not known learns nothing of logins
    /// and passwords.
    pub(super) fn tell(self, error: Error) -> Error {
        match (self, error) {
            (Self::Unknown, Error::InvalidCredentials) => Error::CallerNotAllowed,
            (_, error) => error,
        }
    }
}

impl Identity {
    /// Whether an access token is that of a live session of a service or an operator.
    ///
    /// # Errors
    ///
    /// When the keys are not loaded or the database cannot be asked.
    pub async fn is_known(&self, access_token: &str) -> Result<bool, Error> {
        // In a box: types so deep are too much for the compiler further up.
        match Box::pin(self.service(access_token)).await {
            Ok(_) => Ok(true),
            Err(error @ (Error::Store(_) | Error::NotReady)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Refuses a caller who is not known and has a refresh token of somebody who is no
    /// service. One that this deployment did not make is for the flow itself to refuse.
    ///
    /// # Errors
    ///
    /// [`Error::CallerNotAllowed`], or when the database cannot be asked.
    pub async fn admit(&self, caller: AuthCaller, refresh_token: &str) -> Result<(), Error> {
        if caller == AuthCaller::Known {
            return Ok(());
        }
        let Some(token) = RefreshToken::decode(refresh_token, &self.0.mac_keys) else {
            return Ok(());
        };
        let get = async |conn: &mut _| users::get(conn, token.user_id).await;
        match self.0.pool.run(get).await? {
            Some(user) if caller.may_act_for(&user.roles) => Ok(()),
            _ => Err(Error::CallerNotAllowed),
        }
    }
}

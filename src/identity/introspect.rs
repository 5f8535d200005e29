//! What a token is worth at this moment (RFC 7662).

use super::{Caller, Error, Identity, tell_log};
use crate::{model::access_token::Claims, store::sessions};

/// What there is to say of a token that is good.
#[derive(Debug)]
pub struct Active {
    /// What it says, with the user's roles of this moment.
    pub claims: Claims,
    /// The login of the user, as it was typed.
    pub login: String,
}

impl Identity {
    /// What an access token is worth, for a service that asks with its own; `None` for
    /// whatever is not good. One statement.
    ///
    /// # Errors
    ///
    /// As [`Identity::caller`] for the service's own token, [`Error::ServiceRequired`], or
    /// when the database cannot be asked.
    pub async fn introspect(&self, own_token: &str, token: &str) -> Result<Option<Active>, Error> {
        let own = self.claims(own_token)?;
        let asked = self.claims(token).ok();
        let key = |claims: &Claims| (claims.user_id(), claims.session_id());
        let caller_key = key(&own);
        tell_log(caller_key.0, caller_key.1);
        let asked_key = asked.as_ref().map_or(caller_key, key);
        let find =
            async |conn: &mut _| sessions::find_two_standings(conn, caller_key, asked_key).await;
        let (caller, standing) = self.0.pool.run(find).await?;
        let superseded = self.0.settings.superseded;
        if !Caller::of(&own, caller, superseded)?
            .roles
            .include_service()
        {
            return Err(Error::ServiceRequired);
        }
        let (Some(mut claims), Some(standing)) = (asked, standing) else {
            return Ok(None);
        };
        let login = standing.user.as_ref().map(|user| user.login.clone());
        let subject = Caller::of(&claims, Some(standing), superseded);
        let (Some(login), Ok(subject)) = (login, subject) else {
            return Ok(None);
        };
        claims.roles = subject.roles.into_names();
        Ok(Some(Active { claims, login }))
    }

    /// The caller behind an access token, who must be a service or an operator.
    ///
    /// # Errors
    ///
    /// As [`Identity::caller`], or [`Error::ServiceRequired`].
    pub async fn service(&self, access_token: &str) -> Result<Caller, Error> {
        let caller = self.caller(access_token).await?;
        if caller.roles.include_service() {
            Ok(caller)
        } else {
            Err(Error::ServiceRequired)
        }
    }
}

//! Who calls: an access token, checked alone and against its session's live row.

use time::OffsetDateTime;

use super::{Error, Identity, Settings, tell_log};
use crate::{
    model::{
        access_token::{self, Claims, VerifyingKey},
        audit::Actor,
        ids::{SessionId, UserId},
        role::Roles,
        session::{EndReason, State, Superseded},
    },
    store::sessions::Standing,
};

/// The user and session behind a call, as they stand at this moment.
#[derive(Debug)]
pub struct Caller {
    /// Who.
    pub user_id: UserId,
    /// On which session.
    pub session_id: SessionId,
    /// What the user may do now, whatever the token says.
    pub roles: Roles,
    /// Which key signed the token.
    kid: String,
    /// When the user signed in.
    authenticated_at: OffsetDateTime,
    /// The database's time at the check.
    now: OffsetDateTime,
}

impl Identity {
    /// What an access token of this deployment says, which need no longer be so. No
    /// statement.
    ///
    /// # Errors
    ///
    /// When the token is invalid; not when it has expired.
    pub fn claims(&self, access_token: &str) -> Result<Claims, Error> {
        let ring = self.0.signing_keys.ring()?;
        self.claims_by(access_token, |kid| ring.find(kid))
    }

    /// What an access token of this deployment says that is to be renewed: its key need not
    /// be published any more.
    pub(super) fn claims_for_renewal(&self, access_token: &str) -> Result<Claims, Error> {
        let ring = self.0.signing_keys.ring()?;
        self.claims_by(access_token, |kid| ring.find_former(kid))
    }

    fn claims_by<'k>(
        &self,
        access_token: &str,
        find: impl FnOnce(&str) -> Option<&'k VerifyingKey>,
    ) -> Result<Claims, Error> {
        let Settings {
            issuer, audience, ..
        } = &self.0.settings;
        access_token::verify(access_token, find, issuer, audience)
            .map_err(|_| Error::AccessTokenInvalid)
    }

    /// The caller behind an access token. One statement, and none for a token that
    /// this deployment did not sign.
    ///
    /// # Errors
    ///
    /// When the token is invalid or expired, superseded where only the newest counts, its
    /// session has ended, or the database cannot be asked.
    pub async fn caller(&self, access_token: &str) -> Result<Caller, Error> {
        let ring = self.0.signing_keys.ring()?;
        let mut kid = String::new();
        let claims = self.claims_by(access_token, |named| {
            named.clone_into(&mut kid);
            ring.find(named)
        })?;
        let (user_id, session_id) = (claims.user_id(), claims.session_id());
        tell_log(user_id, session_id);
        let standing = self.find_standing(user_id, session_id).await?;
        let caller = Caller::of(&claims, standing, self.0.settings.superseded)?;
        Ok(Caller { kid, ..caller })
    }

    /// The caller behind an access token, who must be an operator.
    ///
    /// # Errors
    ///
    /// As [`Identity::caller`], or when the user does not have the role `admin`.
    pub async fn admin(&self, access_token: &str) -> Result<Caller, Error> {
        let caller = self.caller(access_token).await?;
        if caller.roles.include_admin() {
            Ok(caller)
        } else {
            Err(Error::AdminRequired)
        }
    }

    /// Sees that a caller who began something long as an operator may still go on with it:
    /// the token may have expired meanwhile, but no key was dropped that it may have been
    /// forged with, and the session must not have ended.
    ///
    /// # Errors
    ///
    /// When the token's key was dropped, the session has ended or the user is no operator any
    /// more, or the database cannot be asked.
    pub async fn still_admin(&self, caller: &Caller) -> Result<(), Error> {
        let ring = self.0.signing_keys.ring()?;
        ring.find_former(&caller.kid)
            .ok_or(Error::AccessTokenInvalid)?;
        let standing = self
            .find_standing(caller.user_id, caller.session_id)
            .await?;
        let roles = live_roles(&standing.ok_or(Error::AccessTokenInvalid)?)?;
        if roles.include_admin() {
            Ok(())
        } else {
            Err(Error::AdminRequired)
        }
    }

    /// Whether the caller signed in so recently that other sessions may be ended.
    pub(super) fn signed_in_recently(&self, caller: &Caller) -> bool {
        caller.now - caller.authenticated_at <= self.0.settings.recent_sign_in
    }
}

impl Caller {
    /// The caller as the one who does something to others.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Operator {
            user_id: self.user_id,
            session_id: self.session_id,
        }
    }

    /// The database's time at the check.
    pub(super) fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// The caller whose token says `claims`, as the session stands.
    pub(super) fn of(
        claims: &Claims,
        standing: Option<Standing>,
        superseded: Superseded,
    ) -> Result<Self, Error> {
        let standing = standing.ok_or(Error::AccessTokenInvalid)?;
        let roles = live_roles(&standing)?;
        let session = &standing.session;
        let counts = session.takes_generation(claims.generation, standing.now, superseded);
        if !counts || claims.expired_at(standing.now.unix_timestamp()) {
            return Err(Error::AccessTokenExpired);
        }
        Ok(Self {
            user_id: standing.session.user_id,
            session_id: standing.session.id,
            roles,
            kid: String::new(),
            authenticated_at: standing.session.created_at,
            now: standing.now,
        })
    }
}

/// The roles of a session's user, when the session lives.
pub(super) fn live_roles(standing: &Standing) -> Result<Roles, Error> {
    match standing.session.state(standing.now) {
        State::Revoked(ended) => return Err(Error::SessionEnded(Some(ended.reason))),
        State::Expired => return Err(Error::SessionEnded(None)),
        State::Live => {}
    }
    match &standing.user {
        None => Err(Error::SessionEnded(Some(EndReason::UserDeleted))),
        Some(user) if user.disabled => Err(Error::SessionEnded(Some(EndReason::UserDisabled))),
        Some(user) if standing.session.created_at < user.sessions_valid_after => {
            Err(Error::SessionEnded(Some(EndReason::RevokedByAdmin)))
        }
        Some(user) => Ok(user.roles.clone()),
    }
}

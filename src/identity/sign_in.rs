//! Sign in: look up, check the password, open a session.

use tracing::Instrument;

use super::{
    AuthCaller, Error, Granted, Identity,
    access_token::{AccessToken, claims},
    password::{Admission, HashError},
    tell_log,
};
use crate::{
    error_chain,
    model::{
        binding::Binding,
        ids::SessionId,
        login::Login,
        password::Password,
        refresh_token::{Commitment, RefreshToken, RefreshTokenText},
        role::Roles,
        session::{Device, Session},
        token_mode::TokenMode,
    },
    store::{
        sessions::{self, Entitled, NewSession},
        users::{self, Credentials},
    },
};

/// The index that lets one session of a device live.
const LIVE_DEVICE: &str = "sessions_live_device";

/// How often a password is checked whose hash is replaced meanwhile.
pub(super) const ATTEMPTS: usize = 3;

/// A sign-in that is asked for.
#[derive(Debug)]
pub struct SignIn {
    /// The login as it was typed.
    pub login: String,
    /// The password that is to be checked.
    pub password: Password,
    /// On which device.
    pub device: Device,
    /// Which tokens its client can hold.
    pub token_mode: TokenMode,
    /// What the session is to be bound to.
    pub binding: Option<Binding>,
    /// Who asks.
    pub caller: AuthCaller,
}

impl Identity {
    /// Checks a password and opens a session. Whatever is wrong, the answer is one and
    /// costs one hash with the live parameters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCredentials`], [`Error::CallerNotAllowed`] instead to a caller who is
    /// not known, or when the password cannot be hashed or the database cannot be asked.
    pub async fn sign_in(&self, request: SignIn) -> Result<Granted, Error> {
        self.count_sign_in(self.sign_in_uncounted(request).await)
    }

    async fn sign_in_uncounted(&self, request: SignIn) -> Result<Granted, Error> {
        // Before anything is written, so that no session is opened without its token.
        self.0.signing_keys.ring()?;
        for _ in 0..ATTEMPTS {
            // Before anything is asked, so that a flood of passwords stays out of the pool.
            let admission = self.0.hasher.admit()?;
            let found = self.find_credentials(&request.login).await?;
            let found = found.filter(|found| request.caller.may_act_for(&found.roles));
            let checked = self.check(admission, &request.password, found).await;
            let (credentials, outdated) = checked.map_err(|error| request.caller.tell(error))?;
            let new = self.new_session(&credentials, &request)?;
            tell_log(new.user_id, new.id);
            let Some(opened) = self.open(&new).await? else {
                // The hash was replaced meanwhile: by another password, or by an upgrade.
                continue;
            };
            if new.device.device_id.is_some() {
                // The earlier session of the device may have ended.
                self.0.feed.wake();
            }
            tracing::info!(user_id = %new.user_id, session_id = %new.id, "signed in");
            let granted = self.grant(opened.session, opened.roles, new.commitment)?;
            if outdated {
                self.upgrade(request.password, credentials);
            }
            return Ok(granted);
        }
        Err(request.caller.tell(Error::InvalidCredentials))
    }

    fn new_session(
        &self,
        credentials: &Credentials,
        request: &SignIn,
    ) -> Result<NewSession, Error> {
        Ok(NewSession {
            id: SessionId::generate(),
            user_id: credentials.user_id,
            password_hash: credentials.password_hash.clone(),
            device: request.device.clone(),
            commitment: Commitment::random()?,
            idle: self.0.settings.session_idle_lifetime,
            absolute: self.0.settings.session_absolute_lifetime,
            token_mode: request.token_mode,
            binding: request.binding,
        })
    }

    async fn find_credentials(&self, login: &str) -> Result<Option<Credentials>, Error> {
        let Some(key) = Login::key_for_lookup(login) else {
            return Ok(None);
        };
        let find = async |conn: &mut _| users::find_credentials(conn, &key).await;
        Ok(self.0.pool.run(find).await?)
    }

    /// The credentials when the password is theirs, and whether the hash is outdated.
    pub(super) async fn check(
        &self,
        admission: Admission,
        password: &Password,
        credentials: Option<Credentials>,
    ) -> Result<(Credentials, bool), Error> {
        let hasher = &self.0.hasher;
        let can_match = |found: &Credentials| !found.disabled && !found.password_hash.is_none();
        let Some(credentials) = credentials.filter(can_match) else {
            hasher.verify_nobody(admission, password).await?;
            return Err(Error::InvalidCredentials);
        };
        let stored = &credentials.password_hash;
        match hasher.verify(admission, password, stored).await {
            Ok(verdict) if verdict.matches => Ok((credentials, verdict.outdated)),
            Ok(_) => Err(Error::InvalidCredentials),
            Err(HashError::Unusable(reason)) => {
                // The caller must not learn that there is such a user.
                let user_id = credentials.user_id;
                tracing::error!(%user_id, %reason, "stored password hash refused");
                hasher.verify_nobody(hasher.admit()?, password).await?;
                Err(Error::InvalidCredentials)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn open(&self, new: &NewSession) -> Result<Option<Entitled>, Error> {
        let pool = &self.0.pool;
        let open = async |conn: &mut _| sessions::open(conn, new).await;
        match pool.run(open).await {
            Err(error) if error.unique_violation() == Some(LIVE_DEVICE) => {}
            result => return Ok(result?),
        }
        let open_in_turn = async |conn: &mut _| sessions::open_in_turn(conn, new).await;
        Ok(pool.run(open_in_turn).await?)
    }

    /// Stores the password under the live parameters, after the reply. A failure is only
    /// logged: the next sign-in tries again.
    fn upgrade(&self, password: Password, credentials: Credentials) {
        let identity = self.clone();
        let upgrade = async move {
            let upgraded = identity.0.hasher.hash(&password).await?;
            let (id, verified) = (credentials.user_id, &credentials.password_hash);
            let replace =
                async |conn: &mut _| users::upgrade_password(conn, id, verified, &upgraded).await;
            Ok(identity.0.pool.run(replace).await?)
        };
        let logged = async move {
            let result: Result<bool, Error> = upgrade.await;
            if let Err(error) = result {
                tracing::warn!(error = error_chain(&error), "password not upgraded");
            }
        };
        tokio::spawn(logged.in_current_span());
    }

    /// The tokens of a session's present generation, which `commitment` made.
    pub(super) fn grant(
        &self,
        session: Session,
        roles: Roles,
        commitment: Commitment,
    ) -> Result<Granted, Error> {
        let ring = self.0.signing_keys.ring()?;
        let claims = claims(&session, commitment, &roles, &self.0.settings);
        let refresh_token = match session.token_mode {
            TokenMode::Single => RefreshTokenText::default(),
            TokenMode::Pair => RefreshToken {
                user_id: session.user_id,
                session_id: session.id,
                generation: session.generation,
                commitment,
            }
            .encode(&self.0.mac_keys),
        };
        Ok(Granted {
            access_token: AccessToken::sign(claims, ring.active())?,
            refresh_token,
            session,
            roles,
        })
    }
}

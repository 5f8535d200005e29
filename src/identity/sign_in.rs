//! Sign in: look up, check the password, open a session.

use super::{
    Error, Granted, Identity,
    access_token::{AccessToken, Claims, token_id},
    tell_log,
};
use crate::{
    model::{
        ids::SessionId,
        login::Login,
        password::Password,
        refresh_token::{Commitment, RefreshToken},
        role::Roles,
        session::{Device, Session},
    },
    store::{
        self,
        sessions::{self, NewSession, Opened},
        users::{self, Credentials},
    },
};

/// The index that lets one session of a device live.
const LIVE_DEVICE: &str = "sessions_live_device";

/// A sign-in that is asked for.
#[derive(Debug)]
pub struct SignIn {
    /// The login as it was typed.
    pub login: String,
    /// The password that is to be checked.
    pub password: Password,
    /// On which device.
    pub device: Device,
}

impl Identity {
    /// Checks a password and opens a session. Whatever is wrong, the answer is one and
    /// costs one hash with the live parameters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCredentials`], or when the password cannot be hashed or the
    /// database cannot be asked.
    pub async fn sign_in(&self, request: SignIn) -> Result<Granted, Error> {
        // Before anything is written, so that no session is opened without its token.
        self.0.signing_keys.ring()?;
        let credentials = self.find_credentials(&request.login).await?;
        let (credentials, outdated) = self.check(&request.password, credentials).await?;

        let new = NewSession {
            id: SessionId::generate(),
            user_id: credentials.user_id,
            password_hash: credentials.password_hash.clone(),
            device: request.device,
            commitment: Commitment::random()?,
            idle: self.0.settings.session_idle_lifetime,
            absolute: self.0.settings.session_absolute_lifetime,
        };
        tell_log(new.user_id, new.id);
        let opened = self.open(&new).await?.ok_or(Error::InvalidCredentials)?;
        if outdated {
            self.upgrade(&request.password, &credentials).await;
        }
        tracing::info!(user_id = %new.user_id, session_id = %new.id, "signed in");
        self.grant(opened.session, opened.roles, new.commitment)
    }

    async fn find_credentials(&self, login: &str) -> Result<Option<Credentials>, Error> {
        let Some(key) = Login::key_for_lookup(login) else {
            return Ok(None);
        };
        let mut conn = self.0.pool.get().await?;
        Ok(users::find_credentials(&mut conn, &key).await?)
    }

    /// The credentials when the password is theirs, and whether the hash is outdated.
    pub(super) async fn check(
        &self,
        password: &Password,
        credentials: Option<Credentials>,
    ) -> Result<(Credentials, bool), Error> {
        let Some(credentials) = credentials.filter(|found| !found.disabled) else {
            self.0.hasher.verify_nobody(password).await?;
            return Err(Error::InvalidCredentials);
        };
        let stored = &credentials.password_hash;
        let verdict = self.0.hasher.verify(password, stored).await?;
        if verdict.matches {
            Ok((credentials, verdict.outdated))
        } else {
            Err(Error::InvalidCredentials)
        }
    }

    async fn open(&self, new: &NewSession) -> Result<Option<Opened>, Error> {
        let mut conn = self.0.pool.get().await?;
        match sessions::open(&mut conn, new).await {
            Err(error) if error.unique_violation() == Some(LIVE_DEVICE) => {
                Ok(sessions::open_in_turn(&mut conn, new).await?)
            }
            result => Ok(result?),
        }
    }

    /// Stores the password under the live parameters. The sign-in has succeeded, so a
    /// failure is only logged; the next one tries again.
    async fn upgrade(&self, password: &Password, credentials: &Credentials) {
        let result: Result<bool, Error> = async {
            let upgraded = self.0.hasher.hash(password).await?;
            let mut conn = self.0.pool.get().await?;
            let (id, verified) = (credentials.user_id, &credentials.password_hash);
            Ok(users::replace_password(&mut conn, id, verified, &upgraded).await?)
        }
        .await;
        if let Err(error) = result {
            let error = store::chain(&error);
            tracing::warn!(user_id = %credentials.user_id, error, "password not upgraded");
        }
    }

    /// The tokens of a session's present generation, which `commitment` made.
    pub(super) fn grant(
        &self,
        session: Session,
        roles: Roles,
        commitment: Commitment,
    ) -> Result<Granted, Error> {
        let ring = self.0.signing_keys.ring()?;
        let jti = token_id(session.id, session.generation, commitment.0);
        let claims = Claims::of(&session, jti, &roles, &self.0.settings);
        let refresh_token = RefreshToken {
            user_id: session.user_id,
            session_id: session.id,
            generation: session.generation,
            commitment,
        };
        Ok(Granted {
            access_token: AccessToken::sign(claims, ring.active())?,
            refresh_token: refresh_token.encode(&self.0.mac_keys),
            session,
            roles,
        })
    }
}

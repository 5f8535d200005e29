//! See and end sessions.

use time::OffsetDateTime;

use super::{Caller, Error, Identity, tell_log};
use crate::{
    model::{
        ids::{SessionId, UserId},
        login::Login,
        refresh_token::RefreshToken,
        session::{EndReason, Session},
    },
    store::{
        sessions::{self, Filter, Page},
        sign_out, users,
    },
};

/// A session and the database's time, which decides its state.
pub type SeenSession = (Session, OffsetDateTime);

impl Identity {
    /// Ends the session of a refresh token, of whichever generation. What is no token of
    /// this deployment ends nothing and meets no database.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn log_out(&self, refresh_token: &str) -> Result<(), Error> {
        let Some(token) = RefreshToken::decode(refresh_token, &self.0.mac_keys) else {
            return Ok(());
        };
        let (user_id, session_id) = (token.user_id, token.session_id);
        tell_log(user_id, session_id);
        let mut conn = self.0.pool.get().await?;
        let reason = EndReason::LoggedOut;
        if sessions::revoke_of_user(&mut conn, user_id, session_id, reason).await? {
            tracing::info!(%user_id, %session_id, "logged out");
        }
        Ok(())
    }

    /// One page of sessions, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn list_sessions(
        &self,
        filter: &Filter,
        page: Page<SessionId>,
    ) -> Result<Vec<SeenSession>, Error> {
        let mut conn = self.0.pool.get().await?;
        Ok(sessions::list(&mut conn, filter, page).await?)
    }

    /// The user behind a login as it was typed.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn find_user_id(&self, login: &str) -> Result<Option<UserId>, Error> {
        let Some(key) = Login::key_for_lookup(login) else {
            return Ok(None);
        };
        let mut conn = self.0.pool.get().await?;
        let user = users::find_by_login(&mut conn, &key).await?;
        Ok(user.map(|user| user.id))
    }

    /// One session of any user.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`], or when the database cannot be asked.
    pub async fn get_session(&self, id: SessionId) -> Result<SeenSession, Error> {
        let mut conn = self.0.pool.get().await?;
        let found = sessions::get(&mut conn, id).await?;
        found.ok_or(Error::SessionNotFound)
    }

    /// Ends one session of any user.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`], or when the database cannot be asked.
    pub async fn revoke_session(&self, id: SessionId) -> Result<SeenSession, Error> {
        let mut conn = self.0.pool.get().await?;
        let reason = EndReason::RevokedByAdmin;
        if let Some(ended) = sessions::revoke(&mut conn, id, reason).await? {
            tracing::info!(session_id = %id, user_id = %ended.0.user_id, "session revoked");
            return Ok(ended);
        }
        let found = sessions::get(&mut conn, id).await?;
        found.ok_or(Error::SessionNotFound)
    }

    /// Ends one of the caller's own sessions: another one only after a recent sign-in.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`] for any other session than the caller's own,
    /// [`Error::RecentSignInRequired`], or when the database cannot be asked.
    pub async fn revoke_my_session(
        &self,
        caller: &Caller,
        id: SessionId,
    ) -> Result<SeenSession, Error> {
        if id != caller.session_id && !self.signed_in_recently(caller) {
            return Err(Error::RecentSignInRequired);
        }
        let mut conn = self.0.pool.get().await?;
        let reason = EndReason::RevokedByUser;
        if sessions::revoke_of_user(&mut conn, caller.user_id, id, reason).await? {
            tracing::info!(session_id = %id, user_id = %caller.user_id, "session revoked by its user");
        }
        let standing = sessions::find_standing(&mut conn, caller.user_id, id).await?;
        let standing = standing.ok_or(Error::SessionNotFound)?;
        Ok((standing.session, standing.now))
    }

    /// Ends all sessions of a user but those named, and says how many.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn revoke_user_sessions(
        &self,
        id: UserId,
        kept: &[SessionId],
    ) -> Result<usize, Error> {
        let mut conn = self.0.pool.get().await?;
        let ended = if kept.is_empty() {
            let ended = sign_out::sign_out(&mut conn, id).await?;
            ended.ok_or(Error::UserNotFound)?
        } else {
            let found = users::get(&mut conn, id).await?;
            found.ok_or(Error::UserNotFound)?;
            let reason = EndReason::RevokedByAdmin;
            sessions::revoke_user_sessions_except(&mut conn, id, kept, reason).await?
        };
        tracing::info!(user_id = %id, ended, "sessions revoked");
        Ok(ended)
    }
}

//! See and end sessions.

use super::{Caller, Error, Identity, tell_log};
use crate::{
    model::{
        audit::Act,
        ids::{SessionId, UserId},
        refresh_token::RefreshToken,
        session::EndReason,
    },
    store::{
        Page,
        sessions::{self, Filter, SeenSession},
        sign_out,
    },
};

impl Identity {
    /// Ends the session of a refresh token, of whichever generation. What is no token of
    /// this deployment ends nothing and meets no database.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn log_out(&self, act: &Act, refresh_token: &str) -> Result<(), Error> {
        let Some(token) = RefreshToken::decode(refresh_token, &self.0.mac_keys) else {
            return Ok(());
        };
        let (user_id, session_id) = (token.user_id, token.session_id);
        tell_log(user_id, session_id);
        let reason = EndReason::LoggedOut;
        let revoke = async |conn: &mut _| {
            sessions::revoke_of_user(conn, act, user_id, session_id, reason).await
        };
        if self.0.pool.run(revoke).await? {
            self.ended(EndReason::LoggedOut, 1);
            tracing::info!(%user_id, %session_id, "logged out");
        }
        Ok(())
    }

    /// One page of the sessions of the user behind a login as it was typed, and of what
    /// `filter` says besides. A login that nobody has has no sessions.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn list_sessions_of_login(
        &self,
        login: &str,
        filter: Filter,
        page: Page<SessionId>,
    ) -> Result<Vec<SeenSession>, Error> {
        let Some(user) = self.find_user_by_login(login).await? else {
            return Ok(Vec::new());
        };
        let filter = Filter {
            user_id: Some(user.id),
            ..filter
        };
        self.list_sessions(&filter, page).await
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
        let list = async |conn: &mut _| sessions::list(conn, filter, page).await;
        Ok(self.0.pool.run(list).await?)
    }

    /// One session of any user.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`], or when the database cannot be asked.
    pub async fn get_session(&self, id: SessionId) -> Result<SeenSession, Error> {
        let get = async |conn: &mut _| sessions::get(conn, id).await;
        let found = self.0.pool.run(get).await?;
        found.ok_or(Error::SessionNotFound)
    }

    /// Ends one session of any user.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`], or when the database cannot be asked.
    pub async fn revoke_session(&self, act: &Act, id: SessionId) -> Result<SeenSession, Error> {
        let reason = EndReason::RevokedByAdmin;
        let revoke = async |conn: &mut _| sessions::revoke(conn, act, id, reason).await;
        match self.0.pool.run(revoke).await? {
            Some(ended) => {
                let user_id = ended.session.user_id;
                self.ended(EndReason::RevokedByAdmin, 1);
                tracing::info!(session_id = %id, %user_id, "session revoked");
                Ok(ended)
            }
            None => self.get_session(id).await,
        }
    }

    /// Ends one of the caller's own sessions: another one only after a recent sign-in.
    ///
    /// # Errors
    ///
    /// [`Error::SessionNotFound`] for any other session than the caller's own,
    /// [`Error::RecentSignInRequired`], or when the database cannot be asked.
    pub async fn revoke_my_session(
        &self,
        act: &Act,
        caller: &Caller,
        id: SessionId,
    ) -> Result<SeenSession, Error> {
        if id != caller.session_id && !self.signed_in_recently(caller) {
            return Err(Error::RecentSignInRequired);
        }
        let user_id = caller.user_id;
        let revoke = async |conn: &mut _| {
            sessions::revoke_of_user(conn, act, user_id, id, EndReason::RevokedByUser).await
        };
        if self.0.pool.run(revoke).await? {
            self.ended(EndReason::RevokedByUser, 1);
            tracing::info!(session_id = %id, %user_id, "session revoked by its user");
        }
        let standing = self.find_standing(user_id, id).await?;
        let standing = standing.ok_or(Error::SessionNotFound)?;
        Ok(standing.seen())
    }

    /// Ends all sessions of a user but those named, and says how many.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the database cannot be asked.
    pub async fn revoke_user_sessions(
        &self,
        act: &Act,
        id: UserId,
        kept: &[SessionId],
    ) -> Result<usize, Error> {
        let sign_out = async |conn: &mut _| sign_out::sign_out(conn, act, id, kept).await;
        let ended = self.0.pool.run(sign_out).await?;
        let ended = ended.ok_or(Error::UserNotFound)?;
        self.ended(EndReason::RevokedByAdmin, ended);
        tracing::info!(user_id = %id, ended, "sessions revoked");
        Ok(ended)
    }
}

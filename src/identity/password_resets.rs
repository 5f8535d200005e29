//! Passwords that are set with a token which an operator had made.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Error, Identity};
use crate::{
    model::{
        audit::Act,
        ids::UserId,
        password::Password,
        password_reset_token::{PasswordResetToken, PasswordResetTokenText},
        session::EndReason,
    },
    store::{password_resets, sign_out},
};

impl Identity {
    /// Makes a token with which the user's password can be set once, and says until when. It
    /// takes the place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`], or when the system has no random bytes or the database cannot
    /// be asked.
    pub async fn issue_password_reset_token(
        &self,
        act: &Act,
        id: UserId,
        lifetime: Duration,
    ) -> Result<(PasswordResetTokenText, OffsetDateTime), Error> {
        let token = PasswordResetToken::generate(id)?;
        let issue = async |conn: &mut _| password_resets::issue(conn, act, token, lifetime).await;
        let expires_at = self.0.pool.run(issue).await?.ok_or(Error::UserNotFound)?;
        tracing::info!(user_id = %id, "password reset token issued");
        Ok((token.encode(&self.0.reset_mac_keys), expires_at))
    }

    /// Sets a password with a token, ends all sessions of its user, and says how many. A
    /// token that this deployment did not make meets no database, and one that cannot be used
    /// costs no hash; a weak password does not use it up.
    ///
    /// # Errors
    ///
    /// [`Error::PasswordResetTokenInvalid`], [`Error::WeakPassword`], or when the password
    /// cannot be hashed or the database cannot be asked.
    pub async fn reset_password(
        &self,
        act: &Act,
        text: &PasswordResetTokenText,
        password: &Password,
    ) -> Result<usize, Error> {
        let token = PasswordResetToken::decode(text.expose(), &self.0.reset_mac_keys)
            .ok_or(Error::PasswordResetTokenInvalid)?;
        let find = async |conn: &mut _| password_resets::find_user(conn, token).await;
        let Some(user) = self.0.pool.run(find).await? else {
            return Err(self.refuse_password_reset(act, token).await);
        };
        let hash = self.hash_strong(password, &user).await?;
        let reset = async |conn: &mut _| sign_out::reset_password(conn, act, token, &hash).await;
        let Some(ended) = self.0.pool.run(reset).await? else {
            // It was used, replaced or voided meanwhile.
            return Err(self.refuse_password_reset(act, token).await);
        };
        self.ended(EndReason::PasswordChanged, ended);
        tracing::info!(user_id = %user.id, ended, "password reset");
        Ok(ended)
    }

    /// Tells of a token that cannot be used, and answers what its bearer is told.
    async fn refuse_password_reset(&self, act: &Act, token: PasswordResetToken) -> Error {
        let refuse = async |conn: &mut _| password_resets::refuse(conn, act, token).await;
        match self.0.pool.run(refuse).await {
            Ok(()) => Error::PasswordResetTokenInvalid,
            Err(error) => error.into(),
        }
    }
}

//! Refresh: a refresh token for its successor.

use super::{Error, Granted, Identity, exchange::Exchange, tell_log};
use crate::model::{
    audit::Act,
    refresh_token::{Commitment, RefreshToken},
    session::Origin,
    verdict::Presented,
};

/// A refresh that is asked for.
pub struct Refresh {
    /// The text of the token.
    pub refresh_token: String,
    /// The client's name for this refresh.
    pub request_id: Option<String>,
    /// From where.
    pub origin: Origin,
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresh")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Exchanges a refresh token for its successor. No statement for a token that this
    /// deployment did not make.
    ///
    /// # Errors
    ///
    /// When the token is invalid or reused, its session has ended, was refreshed too
    /// short a time ago or is bound to elsewhere, the database lost a generation or
    /// cannot be asked.
    pub async fn refresh(&self, act: &Act, request: Refresh) -> Result<Granted, Error> {
        let refreshed = self.refresh_uncounted(act, request).await;
        self.count_refusal(refreshed, Error::RefreshTokenInvalid)
    }

    async fn refresh_uncounted(
        &self,
        act: &Act,
        request: Refresh,
    ) -> Result<Option<Granted>, Error> {
        // Before anything is used up, so that no rotation is left without its tokens.
        self.0.signing_keys.ring()?;
        let token = RefreshToken::decode(&request.refresh_token, &self.0.mac_keys)
            .ok_or(Error::RefreshTokenInvalid)?;
        tell_log(token.user_id, token.session_id);
        let exchange = Exchange {
            user_id: token.user_id,
            session_id: token.session_id,
            presented: self.present(&token, &request)?,
            origin: request.origin,
        };
        self.exchange(act, exchange).await
    }

    fn present(&self, token: &RefreshToken, request: &Refresh) -> Result<Presented, Error> {
        let (next, replay_window) = match &request.request_id {
            Some(id) => (Commitment::of_request(id), self.0.settings.replay_window),
            None => (Commitment::of_token(token), self.0.settings.replay_leeway),
        };
        if next == token.commitment {
            return Err(Error::RequestIdRepeated);
        }
        Ok(Presented {
            generation: token.generation,
            commitment: token.commitment,
            next,
            replay_window,
        })
    }
}

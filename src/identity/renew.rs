//! Renew: the access token of a single-token session for its successor.

use super::{Error, Granted, Identity, exchange::Exchange, tell_log};
use crate::model::{
    audit::Act, refresh_token::Commitment, session::Origin, token_mode::TokenMode,
    verdict::Presented,
};

/// A renewal that is asked for.
pub struct Renew {
    /// The text of the access token, expired or not.
    pub access_token: String,
    /// From where.
    pub origin: Origin,
}

impl std::fmt::Debug for Renew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renew")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Exchanges the access token of a single-token session for its successor. The token
    /// names its own renewal, so every use of it within the leeway is the same request.
    /// No statement for a token that this deployment did not sign.
    ///
    /// # Errors
    ///
    /// [`Error::AccessTokenInvalid`], also for a token of a session that has a refresh
    /// token; else as [`Identity::refresh`].
    pub async fn renew(&self, act: &Act, request: Renew) -> Result<Granted, Error> {
        let renewed = self.renew_uncounted(act, request).await;
        self.count_refusal(renewed, Error::AccessTokenInvalid)
    }

    async fn renew_uncounted(&self, act: &Act, request: Renew) -> Result<Option<Granted>, Error> {
        let claims = self.claims_for_renewal(&request.access_token)?;
        let commitment = match claims.token_mode {
            TokenMode::Single => Commitment::from_jti(&claims.jti),
            TokenMode::Pair => None,
        };
        let commitment = commitment.ok_or(Error::AccessTokenInvalid)?;
        tell_log(claims.user_id(), claims.session_id());
        let exchange = Exchange {
            user_id: claims.user_id(),
            session_id: claims.session_id(),
            presented: Presented {
                generation: claims.generation,
                commitment,
                next: Commitment::of_renewal(&claims.jti),
                replay_window: self.0.settings.replay_window,
            },
            origin: request.origin,
        };
        self.exchange(act, exchange).await
    }
}
